//! What each code gives in which channel, what is refused of settings, and what is said of them.

use proptest::prelude::*;

use super::*;

const RECEIVE: Option<Right> = Some(Right::Receive);
const SEND: Option<Right> = Some(Right::Send);

fn settings(receive: &[&str], send: &[&str]) -> Result<Vec<Setting>, String> {
    let all = receive.iter().map(|text| (Right::Receive, text)).chain(send.iter().map(|text| (Right::Send, text)));
    all.enumerate().map(|(nth, (right, text))| Setting::parse(format!("place {nth}"), right, text)).collect()
}

fn codes(receive: &[&str], send: &[&str]) -> Result<Codes, String> {
    settings(receive, send).and_then(|settings| Codes::new(settings, 2))
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap_or(ChannelName::MAIN)
}

#[test]
fn who_needs_none_may_send_and_who_needs_one_to_send_may_receive() {
    let without = |receive: &[&str], send: &[&str]| codes(receive, send).unwrap().right_without(&channel("a"));
    assert_eq!(without(&[], &[]), SEND);
    assert_eq!(without(&[], &["x"]), RECEIVE);
    assert_eq!(without(&["x"], &[]), None);
    assert_eq!(without(&["x"], &["y"]), None);
    assert_eq!(without(&["/=x", "b=x"], &["b=y"]), SEND, "others need it");
    assert_eq!(Codes::none().right_without(&ChannelName::MAIN), SEND);
}

#[test]
fn the_code_to_come_in_is_enough_to_send_where_that_needs_no_other() {
    let both = codes(&["in"], &["out"]).unwrap();
    assert_eq!(both.judge(&channel("a"), "in").right, RECEIVE);
    assert_eq!(both.judge(&channel("a"), "out").right, SEND);
    let one = codes(&["in"], &["b=out"]).unwrap();
    assert_eq!(one.judge(&channel("a"), "in").right, SEND);
    assert_eq!(one.judge(&channel("b"), "in").right, RECEIVE);
    let to_send = codes(&[], &["out"]).unwrap();
    assert_eq!(to_send.judge(&channel("a"), "out").right, SEND);
    assert_eq!(to_send.judge(&channel("a"), "in").right, None);
}

#[test]
fn a_channel_with_a_code_of_its_own_has_no_use_for_that_of_the_others() {
    let codes = codes(&["all", "Lights=own", "/=main"], &["lights=send"]).unwrap();
    assert_eq!(codes.judge(&channel("lights"), "own").right, RECEIVE, "capitals in a name are folded");
    assert_eq!(codes.judge(&channel("lights"), "all").right, None);
    assert_eq!(codes.judge(&ChannelName::MAIN, "main").right, SEND);
    assert_eq!(codes.judge(&ChannelName::MAIN, "all").right, None);
    assert_eq!(codes.judge(&channel("b"), "all").right, SEND);
    for (name, offered, is_of_another) in [
        ("lights", "all", true),
        ("lights", "main", true),
        ("lights", "own", false),
        ("b", "send", true),
        ("b", "all", false),
        ("b", "nobody's", false),
        ("", "own", true),
    ] {
        assert_eq!(codes.judge(&channel(name), offered).is_of_another, is_of_another, "{name}: {offered}");
    }
    assert_eq!(codes.named().map(ChannelName::as_str).collect::<Vec<_>>(), ["", "lights"]);
}

#[test]
fn what_was_not_set_gives_nothing_however_near_it_is() {
    let codes = codes(&["4711"], &["a=Secret"]).unwrap();
    for wrong in ["", "4", "47110", "4711\0", "4712", "secret", "SECRET", "4711 ", "é", &"4711".repeat(100)] {
        assert_eq!(codes.judge(&channel("a"), wrong).right, None, "{wrong:?}");
        assert!(!codes.judge(&channel("a"), wrong).is_of_another, "{wrong:?}");
    }
}

#[test]
fn a_code_is_short_and_plain_and_nobody_is_shown_it() {
    let longest = "x".repeat(CODE_BYTES_MAX);
    let all = "AZaz09-._~";
    for good in [&longest, "0", all, "-._~"] {
        let codes = codes(&[good], &[]).unwrap();
        assert_eq!(codes.judge(&channel("a"), good).right, SEND);
    }
    let too_long = "x".repeat(CODE_BYTES_MAX + 1);
    for bad in ["", &too_long, "pass word", "passé", "pass,word", "a=b=c", "pass\n", "a=", "pass/word", "pass%20word"]
    {
        let error = codes(&[bad], &[]).unwrap_err();
        assert!(error.starts_with("place 0: ") && error.contains("1 to 64 of A-Z a-z 0-9 - . _ ~"), "{error}");
        assert!(bad.is_empty() || bad == "a=" || !error.contains(bad), "{error}");
    }
    let shown = format!("{:?}", (codes(&["secret", "a=secret"], &[]), settings(&["secret"], &[])));
    assert!(shown.contains("Code(..)") && !shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

#[test]
fn a_name_that_can_be_none_is_told_and_not_shown() {
    for bad in ["", "a b", "c/lights", "/c/lights", "//", "lights.", "ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
        let error = codes(&[&format!("{bad}=secret")], &[]).unwrap_err();
        assert!(error.starts_with("place 0: ") && error.contains("or / for the main channel"), "{error}");
        assert!(!error.contains("secret") && (bad.len() < 2 || !error.contains(bad)), "{error}");
    }
}

#[test]
fn what_does_not_go_together_is_told_with_its_place() {
    for (receive, send, parts) in [
        (&["x", "y"][..], &[][..], &["place 1: ", "place 0 has", "come in to all channels"][..]),
        (&["a=x", "A=y"], &[], &["place 1: ", "place 0 has", "come in to /c/a"]),
        (&["a=x"], &["/=x", "y", "/=z"], &["place 3: ", "place 1 has", "send in /"]),
        (&["a=1", "b=2", "c=3"], &[], &["place 2: ", "--max-channels 2"]),
        (&["a=1", "b=2", "/=3"], &["a=4", "c=5"], &["place 4: ", "--max-channels 2"]),
        (&["x"], &["x"], &["place 1: ", "come in to all channels is the one to send there"]),
        (&["a=x"], &["y", "a=x"], &["place 2: ", "/c/a"]),
        (&["x"], &["a=x"], &["place 1: ", "/c/a"]),
        (&["a=x"], &["x"], &["place 0: ", "/c/a"]),
        (&["/=x"], &["/=x"], &["place 1: ", "to /"]),
    ] {
        let error = codes(receive, send).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{receive:?} {send:?}: {error}");
    }
    for (receive, send) in [
        (&["x", "a=x", "b=x"][..], &["y", "a=z"][..]),
        (&["a=x"], &["y", "a=z", "b=x"]),
        (&["x", "a=y"], &["a=x", "b=z"]),
    ] {
        assert!(codes(receive, send).is_ok(), "{receive:?} {send:?}");
    }
}

#[test]
fn the_log_is_told_which_channels_need_one() {
    let summary = |receive: &[&str], send: &[&str]| codes(receive, send).unwrap().summary();
    assert_eq!(summary(&[], &[]), None);
    assert_eq!(
        summary(&["1"], &["show=2"]).unwrap(),
        "codes: needed to come in to all channels; needed to send in /c/show"
    );
    assert_eq!(summary(&["b=1", "/=2", "A=1"], &[]).unwrap(), "codes: needed to come in to /, /c/a, /c/b");
    assert_eq!(summary(&[], &["1", "a=2"]).unwrap(), "codes: needed to send in all channels (one of its own: /c/a)");
    let many: Vec<String> = (10..40).map(|number| format!("n{number}=1")).collect();
    let many = settings(&many.iter().map(String::as_str).collect::<Vec<_>>(), &[]).unwrap();
    let summary = Codes::new(many, 30).unwrap().summary().unwrap();
    assert!(summary.starts_with("codes: needed to come in to /c/n10, /c/n11,"), "{summary}");
    assert!(summary.ends_with("/c/n25 and 14 more"), "{summary}");
}

proptest! {
    /// Against the rules as they are told, with few names and codes, so that they meet.
    #[test]
    fn a_code_gives_what_the_rules_say(
        receive in prop::collection::btree_map(0_usize..4, 0_usize..3, 0..4),
        send in prop::collection::btree_map(0_usize..4, 0_usize..3, 0..4),
        of in 0_usize..3,
        offered in 0_usize..4,
    ) {
        const NAMES: [&str; 4] = ["/=", "a=", "b=", ""];
        const CODES: [&str; 4] = ["1", "11", "x.y~z", "wrong"];
        const EVERYWHERE: usize = 3;
        let texts = |set: &BTreeMap<usize, usize>| -> Vec<String> {
            set.iter().map(|(name, code)| format!("{}{}", NAMES[*name], CODES[*code])).collect()
        };
        let [receive_texts, send_texts] = [texts(&receive), texts(&send)];
        let [receive_texts, send_texts] =
            [&receive_texts, &send_texts].map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>());
        let needed = |set: &BTreeMap<usize, usize>, name| set.get(&name).or(set.get(&EVERYWHERE)).copied();
        let is_equal = |name| needed(&receive, name).is_some() && needed(&receive, name) == needed(&send, name);
        let is_named = |name| receive.contains_key(&name) || send.contains_key(&name);
        let made = codes(&receive_texts, &send_texts);
        let is_equal_elsewhere =
            receive.contains_key(&EVERYWHERE) && receive.get(&EVERYWHERE) == send.get(&EVERYWHERE);
        prop_assert_eq!(made.is_err(), is_equal_elsewhere || (0..3).any(|name| is_named(name) && is_equal(name)));
        let Ok(made) = made else { return Ok(()) };
        let name = channel(NAMES[of].trim_end_matches(['=', '/']));
        let [to_receive, to_send] = [needed(&receive, of), needed(&send, of)];
        let expected = if to_send == Some(offered) {
            SEND
        } else if to_receive == Some(offered) {
            if to_send.is_some() { RECEIVE } else { SEND }
        } else {
            None
        };
        prop_assert_eq!(made.judge(&name, CODES[offered]).right, expected);
        let of_others = |set: &BTreeMap<usize, usize>| {
            let own = if set.contains_key(&of) { of } else { EVERYWHERE };
            set.iter().any(|(name, code)| *name != own && *code == offered)
        };
        prop_assert_eq!(made.judge(&name, CODES[offered]).is_of_another, of_others(&receive) || of_others(&send));
    }
}
