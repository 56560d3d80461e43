//! Tests of [`super`]: what people write, what they get wrong, and any text at all.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn parse(text: &str) -> Address {
    Address::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Each with a URL in `FOGHORN_URL`.
fn with_url(text: &str, url: &str) -> Address {
    Address::parse(text, Some(url)).unwrap_or_else(|error| panic!("{text}, {url}: {error}"))
}

#[test]
fn an_address_reads_as_people_write_it() {
    for (text, host, port, header, target) in [
        ("board", "board", 1919, "board:1919", "/"),
        ("board:1920/c/lights", "board", 1920, "board:1920", "/c/lights"),
        ("raspberrypi.local", "raspberrypi.local", 1919, "raspberrypi.local:1919", "/"),
        ("192.168.1.5:", "192.168.1.5", 1919, "192.168.1.5:1919", "/"),
        ("board.local.:80", "board.local.", 80, "board.local.", "/"),
        ("http://board", "board", 80, "board", "/"),
        ("WS://board:1919/", "board", 1919, "board:1919", "/"),
        (
            "http://board:1920/c/lights?history=3&code=4711#top",
            "board",
            1920,
            "board:1920",
            "/c/lights?history=3&code=4711",
        ),
        ("board?a=b://c", "board", 1919, "board:1919", "/?a=b://c"),
        ("http://board:1920/c/club#code=4711", "board", 1920, "board:1920", "/c/club?code=4711"),
        ("board/c/x?code=a#code=b", "board", 1919, "board:1919", "/c/x?code=a"),
        ("[::1]:1920", "::1", 1920, "[::1]:1920", "/"),
        ("ws://[fd00::5]/x", "fd00::5", 80, "[fd00::5]", "/x"),
        ("[fe80::1%eth0]", "fe80::1%eth0", 1919, "[fe80::1]:1919", "/"),
        ("http://[fe80::1%25wlan0.1]:1920", "fe80::1%wlan0.1", 1920, "[fe80::1]:1920", "/"),
        ("board/küche/a%20b|", "board", 1919, "board:1919", "/k%C3%BCche/a%20b%7C"),
        ("board?a=ü", "board", 1919, "board:1919", "/?a=%C3%BC"),
        ("board/c/x#code=a|b", "board", 1919, "board:1919", "/c/x?code=a%7Cb"),
    ] {
        let address = parse(text);
        assert_eq!((address.hosts.as_slice(), address.port), ([host.to_owned()].as_slice(), port), "{text}");
        assert_eq!((address.host_header().as_str(), address.target(&[]).as_str()), (header, target), "{text}");
        assert_eq!(address.authorization(), None, "{text}");
    }
}

#[test]
fn a_colon_is_this_machine() {
    for (text, url) in [(":", None), (":", Some("")), (":/", None)] {
        let address = Address::parse(text, url).unwrap();
        assert_eq!((address.hosts.join(" "), address.port), ("127.0.0.1 ::1".into(), 1919));
        assert_eq!((address.host_header(), address.target(&[])), ("localhost:1919".into(), "/".into()));
        assert_eq!(address.to_string(), "this machine (port 1919)");
    }
    let lights = parse(":/c/lights?history=2");
    assert_eq!(lights.target(&[]), "/c/lights?history=2");
    assert_eq!(lights.to_string(), "this machine (port 1919, /c/lights)");
}

#[test]
fn a_colon_is_the_address_of_the_variable_where_that_is_set() {
    for (text, url, target) in [
        (":", "board:1920/c/lights", "/c/lights"),
        (":/c/heating", "board:1920/c/lights", "/c/heating"),
        (":/c/heating", "board:1920/c/lights/", "/c/heating"),
        (":/", "board:1920/c/lights", "/"),
        (":/c/x", "http://board:1920", "/c/x"),
        (":/c/x", "http://board:1920/hub/c/lights", "/hub/c/x"),
        (":/c/x", "http://board:1920/hub/", "/hub/c/x"),
        (":/c/x", "http://board:1920/hub/c/no.name", "/hub/c/no.name/c/x"),
        (":/c/x", "board:1920/c/lights?code=4711&history=1", "/c/x?history=1&code=4711"),
        (":?history=2&code=5", "board:1920/c/lights?code=4711&history=1", "/c/lights?history=2&code=5"),
    ] {
        let address = with_url(text, url);
        assert_eq!(
            (address.hosts.join(" "), address.port, address.target(&[])),
            ("board".into(), 1920, target.into()),
            "{text} {url}"
        );
        assert!(address.to_string().starts_with("board:1920"), "{address}");
    }
    assert_eq!(with_url("other", "board:1920/c/lights"), parse("other"), "it is for the colon alone");
    assert_eq!(with_url("other", "https://nonsense"), parse("other"));
}

#[test]
fn what_is_wrong_is_said_with_what_would_be_right() {
    for (text, hint) in [
        ("", "raspberrypi.local"),
        ("https://board", "http://board:1920"),
        ("WSS://board", "asks for TLS"),
        ("ftp://board", "http:// or ws://"),
        ("hello world", "one word"),
        ("board\n", "control character"),
        ("board/\u{7f}", "control character"),
        ("board/\u{85}", "control character"),
        ("http://", "no host"),
        ("/c/lights", "no host"),
        ("user:pass@", "no host"),
        ("küche", "xn--"),
        ("a..b", "192.168.1.5"),
        (".", "192.168.1.5"),
        ("hello,", "raspberrypi.local"),
        ("board:0", "65535"),
        ("board:99999", "65535"),
        ("board:+80", "65535"),
        ("board:x", "65535"),
        ("[::1]x", "65535"),
        ("fe80::1", "[::1]"),
        ("[::1", "[::1]"),
        ("[127.0.0.1]", "[::1]"),
        ("[fe80::1%]", "eth0"),
        ("[fe80::1%a/b]", "[::1]"),
        (":c/x", ":/c/lights"),
        (":1920", "localhost:1920"),
        ("::1", "[::1]"),
        (": /c/x", "one word"),
        ("board?code=1&code=2", "more than one code"),
    ] {
        let error = Address::parse(text, None).unwrap_err();
        assert!(error.starts_with("the address ") && error.contains(hint), "{text:?}: {error}");
    }
    for (url, hint) in [(":", "unset it"), ("https://board", "asks for TLS"), ("board:x", "65535"), ("a b", "one word")]
    {
        let error = Address::parse(":/c/x", Some(url)).unwrap_err();
        assert!(error.starts_with("FOGHORN_URL ") && error.contains(hint), "{url}: {error}");
    }
}

#[test]
fn the_flag_wins_over_the_address_and_that_over_the_variable() {
    for (text, flag, variable, target) in [
        ("board", Some("a"), Some("c"), "/?code=a"),
        ("board?code=b", Some("a"), Some("c"), "/?code=a"),
        ("board?code=b", None, Some("c"), "/?code=b"),
        ("board", None, Some("c"), "/?code=c"),
        ("board", None, Some(""), "/"),
        ("board", None, None, "/"),
        ("board", Some("a b&c=ü~"), None, "/?code=a%20b%26c%3D%C3%BC~"),
        ("board?code=b", Some(""), Some("c"), "/"),
        ("user:b@board", None, Some("c"), "/"),
        ("user:b@board", Some("a"), None, "/?code=a"),
        ("user@board", None, Some("c"), "/?code=c"),
    ] {
        assert_eq!(parse(text).with_code(flag, variable).target(&[]), target, "{text} {flag:?} {variable:?}");
    }
}

#[test]
fn a_login_goes_out_as_basic_authentication() {
    for (text, login) in [
        ("user:pass@board", "user:pass"),
        ("http://user:p%40ss@board/x@y", "user:p@ss"),
        ("user:p@ss@board", "user:p@ss"),
        ("user@board", "user:"),
    ] {
        let address = parse(text);
        assert_eq!(address.hosts, ["board"]);
        assert_eq!(address.authorization(), Some(format!("Basic {}", BASE64.encode(login.as_bytes()))), "{text}");
    }
}

#[test]
fn wishes_are_added_and_win_over_what_the_address_has() {
    let wishes = [("after", "kjxwqa:43".to_owned()), ("echo", "0".to_owned())];
    assert_eq!(parse("board").target(&wishes), "/?after=kjxwqa%3A43&echo=0");
    assert_eq!(parse("board/c/x?echo=1&a&code=7").target(&wishes), "/c/x?a&code=7&after=kjxwqa%3A43&echo=0");
}

#[test]
fn no_code_and_no_login_is_shown() {
    for text in [
        "user:secret-secret@board/c/x?code=secret-secret&a=secret-secret#code=secret-secret",
        ":/c/x?code=secret-secret",
    ] {
        let address = parse(text).with_code(None, Some("secret-secret"));
        let shown = format!("{address} {address:?}");
        assert!(shown.contains("/c/x") && !shown.contains("secret"), "{shown}");
    }
}

const PIECES: [&str; 26] = [
    "board",
    ":",
    ":1920",
    "/c/lights",
    "/c/",
    "http://",
    "WS://",
    "https://",
    "[::1]",
    "[fe80::1%25eth0]",
    "%",
    "[",
    "]",
    "@",
    "user:",
    "?",
    "&",
    "#",
    "code=",
    "a=b",
    "ü",
    " ",
    "\r\n",
    ".",
    "//",
    "\"<>",
];

/// Texts that are nearly addresses, and some that are none at all.
fn texts() -> impl Strategy<Value = String> {
    let piece =
        prop_oneof![4 => select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_an_address_or_a_sentence(is_address in any::<bool>(), text in texts(), url in proptest::option::of(texts())) {
        // Half of them are an address with anything behind it.
        let text = if is_address { format!("board/?{}", text.replace([' ', '\r', '\n'], "")) } else { text };
        match Address::parse(&text, url.as_deref()) {
            Ok(address) => {
                let address = address.with_code(None, url.as_deref());
                let sent = [address.host_header(), address.target(&[("after", text)]), address.authorization().unwrap_or("Basic".into())];
                for value in &sent {
                    prop_assert!(!value.is_empty() && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{value:?}");
                }
                prop_assert!(!sent[0].contains(' ') && !sent[1].contains(' ') && sent[1].starts_with('/'), "{sent:?}");
                prop_assert!(address.port > 0 && address.hosts.iter().all(|host| !host.is_empty() && !host.contains('[')));
            }
            Err(error) => prop_assert!(error.contains([':', ';']) || error.len() < 80, "{error}"),
        }
    }

    #[test]
    fn no_secret_is_shown_wherever_it_stands(before in texts(), after in texts(), place in 0..4_usize) {
        const SECRET: &str = "hidden-4711-hidden";
        let text = match place {
            0 => format!("{before}?code={SECRET}"),
            1 => format!("user:{SECRET}@{after}"),
            2 => format!("board{}?{}&code={SECRET}{after}", before.replace(['?', '#'], ""), after.replace('#', "")),
            _ => format!("board{}#code={SECRET}", before.replace('#', "")),
        };
        for (text, url) in [(text.as_str(), None), (":", Some(text.as_str()))] {
            let shown = match Address::parse(text, url) {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => error,
            };
            prop_assert!(!shown.contains(SECRET), "{text:?}: {shown}");
        }
    }
}
