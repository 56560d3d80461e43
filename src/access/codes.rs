//! Which channel needs a code for what, and what somebody may do who brings one.
//!
//! Leaves to `code_settings` where codes come from, and to `server` where one is brought. What must stay true: no code is ever shown,
//! and how long a comparison takes tells nothing of any code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter;
use std::ptr;

use constant_time_eq::constant_time_eq_n;

use crate::config::limits::{CODE_BYTES_MAX, CODE_CHANNELS_LOGGED_MAX};
use crate::hub::channel_name::{ChannelName, NAME_BYTES_MAX};

/// What somebody may do in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Get what is said there.
    Receive,
    /// Say something, too.
    Send,
}

/// 1 to 64 of `A-Z a-z 0-9 - . _ ~`, with zeros behind, so that the length of one takes no time either.
pub struct Code([u8; CODE_BYTES_MAX]);

impl Code {
    /// What nobody has.
    const NONE: Self = Self([0; CODE_BYTES_MAX]);

    /// Reads a code.
    ///
    /// # Errors
    /// If it can be none; a sentence, which does not show it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_code_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(1..=CODE_BYTES_MAX).contains(&text.len()) || !text.bytes().all(is_code_byte) {
            let wrong = if text.is_empty() { "the code is empty" } else { "this can be no code" };
            return Err(format!("{wrong}: write 1 to {CODE_BYTES_MAX} of A-Z a-z 0-9 - . _ ~"));
        }
        let mut code = Self::NONE;
        code.0[..text.len()].copy_from_slice(text.as_bytes());
        Ok(code)
    }

    fn is(&self, other: &Self) -> bool {
        constant_time_eq_n(&self.0, &other.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// One code that was set, and for what it is needed.
#[derive(Debug)]
pub struct Setting {
    /// Where it stands, for people: a flag, or a line of a file.
    place: String,
    needed_to: Right,
    /// `None`: all channels that have none of their own.
    channel: Option<ChannelName>,
    code: Code,
}

impl Setting {
    /// Reads `[NAME=]CODE`, in which `/` is the name of the main channel.
    ///
    /// # Errors
    /// If name or code can be none; a sentence that names the place and shows neither.
    pub fn parse(place: String, needed_to: Right, text: &str) -> Result<Self, String> {
        let (name, code) = text.split_once('=').map_or((None, text), |(name, code)| (Some(name), code));
        let channel = match name {
            None => None,
            Some("/") => Some(ChannelName::MAIN),
            Some(name) => Some(ChannelName::parse(name).ok_or_else(|| {
                format!(
                    "{place}: what stands before the = is no name of a channel: write 1 to {NAME_BYTES_MAX} of \
                     a-z 0-9 - _, or / for the main channel"
                )
            })?),
        };
        let code = Code::parse(code).map_err(|wrong| format!("{place}: {wrong}"))?;
        Ok(Self { place, needed_to, channel, code })
    }
}

/// All codes.
#[derive(Debug, Default)]
pub struct Codes {
    to_receive: Needed,
    to_send: Needed,
}

/// The codes that are needed for one thing.
#[derive(Debug, Default)]
struct Needed {
    by_channel: BTreeMap<ChannelName, Code>,
    /// In all other channels.
    elsewhere: Option<Code>,
}

impl Needed {
    fn of(&self, channel: &ChannelName) -> Option<&Code> {
        self.by_channel.get(channel).or(self.elsewhere.as_ref())
    }

    fn all(&self) -> impl Iterator<Item = &Code> {
        self.by_channel.values().chain(&self.elsewhere)
    }

    /// Adds a code, if its place is free.
    fn add(&mut self, channel: Option<ChannelName>, code: Code) -> bool {
        match channel {
            Some(channel) => self.by_channel.insert(channel, code).is_none(),
            None => self.elsewhere.replace(code).is_none(),
        }
    }

    /// For which channels, in words; `None` for no channel.
    fn channels(&self) -> Option<String> {
        let names: Vec<String> = self.by_channel.keys().take(CODE_CHANNELS_LOGGED_MAX).map(address).collect();
        let mut list = names.join(", ");
        if self.by_channel.len() > names.len() {
            list += &format!(" and {} more", self.by_channel.len() - names.len());
        }
        match (&self.elsewhere, list.is_empty()) {
            (None, true) => None,
            (None, false) => Some(list),
            (Some(_), true) => Some("all channels".to_owned()),
            (Some(_), false) => Some(format!("all channels (one of its own: {list})")),
        }
    }
}

/// What a code that was brought is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What somebody may do who has brought it. `None`: it is none of this channel.
    pub right: Option<Right>,
    /// Whether it is that of another channel: who has that does not guess.
    pub is_of_another: bool,
}

/// What a code that was brought is.
struct Found {
    /// The code to receive in this channel.
    to_receive: bool,
    /// The code to send there.
    to_send: bool,
    /// A code of others.
    elsewhere: bool,
}

impl Codes {
    /// No channel needs any.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that were set, with so many channels beside the main one.
    ///
    /// # Errors
    /// If they do not go together; a sentence that names the place of one that is too much, and shows no code.
    pub fn new(settings: Vec<Setting>, channels_max: usize) -> Result<Self, String> {
        let mut codes = Self::none();
        let mut places: BTreeMap<(Right, Option<ChannelName>), String> = BTreeMap::new();
        let mut named = BTreeSet::new();
        for Setting { place, needed_to, channel, code } in settings {
            let needed = match needed_to {
                Right::Receive => &mut codes.to_receive,
                Right::Send => &mut codes.to_send,
            };
            if !needed.add(channel.clone(), code) {
                let whose = channel.as_ref().map_or("all channels".to_owned(), address);
                let other = &places[&(needed_to, channel)];
                let what = match needed_to {
                    Right::Receive => "come in to",
                    Right::Send => "send in",
                };
                return Err(format!("{place}: {other} has a code to {what} {whose} already: leave one of them out"));
            }
            let is_new = channel.as_ref().is_some_and(|name| !name.is_main() && named.insert(name.clone()));
            if is_new && named.len() > channels_max {
                return Err(format!(
                    "{place}: this is the code of one channel more than --max-channels {channels_max}: \
                     raise that, or name fewer"
                ));
            }
            places.insert((needed_to, channel), place);
        }
        let mut all_channels = iter::once(None).chain(codes.named().map(Some));
        let one_for_both = all_channels.find(|channel| codes.is_one_for_both(*channel));
        drop(all_channels);
        if let Some(channel) = one_for_both {
            let place = |needed_to| places.get(&(needed_to, channel.cloned()));
            let place = place(Right::Send).or_else(|| place(Right::Receive)).expect("who is named has a setting");
            let whose = channel.map_or("all channels".to_owned(), address);
            return Err(format!(
                "{place}: the code to come in to {whose} is the one to send there, so nobody could only receive: \
                 leave one of them out, or choose another"
            ));
        }
        Ok(codes)
    }

    /// Whether a channel needs one code for both; `None` is all that are not named.
    fn is_one_for_both(&self, channel: Option<&ChannelName>) -> bool {
        let [to_receive, to_send] = [&self.to_receive, &self.to_send]
            .map(|needed| channel.map_or(needed.elsewhere.as_ref(), |channel| needed.of(channel)));
        to_receive.zip(to_send).is_some_and(|(to_receive, to_send)| to_receive.is(to_send))
    }

    /// What somebody may do in a channel who has no code.
    pub fn right_without(&self, channel: &ChannelName) -> Option<Right> {
        match (self.to_receive.of(channel), self.to_send.of(channel)) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Right::Receive),
            (None, None) => Some(Right::Send),
        }
    }

    /// Judges a code that was brought to a channel, comparing it with all codes, whichever it is.
    pub fn judge(&self, channel: &ChannelName, offered: &str) -> Judged {
        let Found { to_receive, to_send, elsewhere } = self.find(channel, offered);
        let is_enough_to_send = to_send || to_receive && self.to_send.of(channel).is_none();
        let right = if is_enough_to_send { Some(Right::Send) } else { to_receive.then_some(Right::Receive) };
        Judged { right, is_of_another: elsewhere }
    }

    fn find(&self, channel: &ChannelName, offered: &str) -> Found {
        // What can be no code is compared, too.
        let offered = Code::parse(offered).unwrap_or(Code::NONE);
        let mut elsewhere = false;
        let [to_receive, to_send] = [&self.to_receive, &self.to_send].map(|needed| {
            let own = needed.of(channel);
            let mut is_own = false;
            for code in needed.all() {
                let is_it = code.is(&offered);
                let is_of_channel = own.is_some_and(|own| ptr::eq(own, code));
                is_own |= is_it && is_of_channel;
                elsewhere |= is_it && !is_of_channel;
            }
            is_own
        });
        Found { to_receive, to_send, elsewhere }
    }

    /// The channels that have a code of their own, each once.
    pub fn named(&self) -> impl Iterator<Item = &ChannelName> {
        let to_send = self.to_send.by_channel.keys().filter(|name| !self.to_receive.by_channel.contains_key(name));
        self.to_receive.by_channel.keys().chain(to_send)
    }

    /// Which channels need a code for what, as a line of the log. `None` if none does.
    pub fn summary(&self) -> Option<String> {
        let to_receive = self.to_receive.channels().map(|channels| format!("needed to come in to {channels}"));
        let to_send = self.to_send.channels().map(|channels| format!("needed to send in {channels}"));
        let parts: Vec<String> = to_receive.into_iter().chain(to_send).collect();
        (!parts.is_empty()).then(|| format!("codes: {}", parts.join("; ")))
    }
}

/// Where a channel is, as people type it.
fn address(channel: &ChannelName) -> String {
    if channel.is_main() { "/".to_owned() } else { format!("/c/{channel}") }
}

#[cfg(test)]
mod tests {
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
        for bad in
            ["", &too_long, "pass word", "passé", "pass,word", "a=b=c", "pass\n", "a=", "pass/word", "pass%20word"]
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
        assert_eq!(
            summary(&[], &["1", "a=2"]).unwrap(),
            "codes: needed to send in all channels (one of its own: /c/a)"
        );
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
}
