//! All ways to use a channel, with all kinds of codes in all places, against a table.

use super::asking::{Answer, Asker, HIGH, IN, LOW, OUT, Place, WRONG, Way, stranger, with_codes};
use crate::harness::{GREETING, Server, eventually, get};

/// What somebody may do by a code: nothing, receive, send.
const NO: u8 = 0;
const RECEIVE: u8 = 1;
const SEND: u8 = 2;

/// For each channel and code: what that gives in an address; and in a header to one who looks, joins, sends.
const TABLE: [(&str, Option<&str>, u8, [u8; 3]); 24] = [
    ("free", None, SEND, [SEND; 3]),
    ("free", Some(WRONG), SEND, [SEND; 3]),
    ("free", Some(IN), SEND, [SEND; 3]),
    ("free", Some(OUT), SEND, [SEND; 3]),
    ("free", Some(LOW), SEND, [SEND; 3]),
    ("free", Some(HIGH), SEND, [SEND; 3]),
    ("in", None, NO, [NO; 3]),
    ("in", Some(WRONG), NO, [NO; 3]),
    ("in", Some(IN), SEND, [SEND; 3]),
    ("in", Some(OUT), NO, [NO; 3]),
    ("in", Some(LOW), NO, [NO; 3]),
    ("in", Some(HIGH), NO, [NO; 3]),
    ("out", None, RECEIVE, [RECEIVE; 3]),
    ("out", Some(WRONG), NO, [RECEIVE, RECEIVE, NO]),
    ("out", Some(IN), NO, [RECEIVE, RECEIVE, NO]),
    ("out", Some(OUT), SEND, [RECEIVE, SEND, SEND]),
    ("out", Some(LOW), NO, [RECEIVE, RECEIVE, NO]),
    ("out", Some(HIGH), NO, [RECEIVE, RECEIVE, NO]),
    ("both", None, NO, [NO; 3]),
    ("both", Some(WRONG), NO, [NO; 3]),
    ("both", Some(IN), NO, [NO; 3]),
    ("both", Some(OUT), NO, [NO; 3]),
    ("both", Some(LOW), RECEIVE, [RECEIVE; 3]),
    ("both", Some(HIGH), SEND, [SEND; 3]),
];

/// The status, or close code, with which somebody is answered who has this right.
fn expected(way: Way, right: u8, has_code: bool) -> u16 {
    let is_enough = right >= if way.sends() { SEND } else { RECEIVE };
    match way {
        Way::Request("OPTIONS", _) => 204,
        Way::Resuming if !is_enough => 4401,
        _ if !is_enough && right == RECEIVE && has_code => 403,
        _ if !is_enough => 401,
        Way::Plain | Way::Resuming => 101,
        Way::Request("GET" | "HEAD", "last") => 204,
        _ => 200,
    }
}

fn check_refusal(answer: &Answer, way: Way, has_code: bool, what: &str) {
    let Answer { code, head, words, .. } = answer;
    let sentences = [
        (4401, "This channel needs a code: "),
        (4401, "This is not the code of this channel"),
        (401, "This channel needs a code: "),
        (401, "This is not the code of this channel"),
        (403, "This code may receive only"),
    ];
    if *code == 401 {
        assert_eq!(head.header("WWW-Authenticate"), Some("Bearer"), "{what}");
    }
    if way == Way::Request("HEAD", "last") || way == Way::Request("HEAD", "status") {
        return;
    }
    let said: Vec<_> = sentences.iter().filter(|(of, start)| of == code && words.starts_with(start)).collect();
    assert_eq!(said.len(), 1, "{what}: {words:?}");
    assert_eq!(said[0].1.contains("needs"), !has_code, "{what}: {words:?}");
    if *code < 1000 {
        head.expect_a_sentence();
    }
}

#[test]
fn every_way_with_every_code_in_every_place_is_answered_as_the_table_says() {
    let server = with_codes(&[]);
    let mut cases = 0;
    for (channel, code, in_address, in_header) in TABLE {
        for way in Way::ALL {
            let places = if code.is_some() { Place::ALL.map(Some).to_vec() } else { vec![None] };
            for place in places {
                // Another address each time, so that nobody is locked.
                let path = format!("/c/{channel}");
                let offered = place.zip(code);
                let answer = Asker::new(&server, stranger(cases), &path).ask(way, offered);
                let nth = if way.sends() { 2 } else { usize::from(way.joins()) };
                let right = if place.is_some_and(Place::is_header) { in_header[nth] } else { in_address };
                let what = format!("{way:?} in {channel} with {offered:?}");
                assert_eq!(answer.code, expected(way, right, code.is_some()), "{what}: {answer:?}");
                if let Some(may_send) = answer.may_send {
                    assert_eq!(may_send, right == SEND, "{what}");
                }
                if answer.code > 400 {
                    check_refusal(&answer, way, code.is_some(), &what);
                }
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn the_figures_of_the_server_need_the_code_of_the_main_channel_whatever_page_is_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "mine").unwrap();
    let folder = folder.path().to_str().unwrap();
    for args in [&[][..], &["--www", folder, "--list"]] {
        let server = Server::start(&[&["--code", "/=4711", "--code", "lights=0815"], args].concat());
        for (path, method) in [("/status", "GET"), ("/status", "HEAD"), ("/metrics", "GET"), ("/metrics", "HEAD")] {
            let asker = Asker::new(&server, stranger(0), path);
            let ask = |offered| asker.ask(Way::Request(method, ""), offered).code;
            assert_eq!(ask(None), 401, "{method} {path}");
            for place in Place::ALL {
                assert_eq!(ask(Some((place, "4711"))), 200, "{method} {path} {place:?}");
                assert_eq!(ask(Some((place, "0815"))), 401, "another channel's");
            }
        }
        assert_eq!(get(server.address(), "/status?x&code=4711").status, 200);
    }
}

#[test]
fn where_the_main_channel_needs_a_code_only_to_send_the_figures_need_none() {
    let server = Server::start(&["--send-code", "4711"]);
    for (offered, expected) in [
        (None, 200),
        (Some((Place::Basic, "login")), 200),
        (Some((Place::Query, "4711")), 200),
        (Some((Place::Query, "wrong")), 401),
    ] {
        for path in ["/status", "/metrics"] {
            assert_eq!(Asker::new(&server, stranger(0), path).ask(Way::Request("GET", ""), offered).code, expected);
        }
    }
}

#[test]
fn the_page_with_all_that_belongs_to_it_needs_no_code() {
    let server = Server::start(&["--code", "4711", "--send-code", "0815"]);
    for (path, status) in [
        ("/", 200),
        ("/c/lights", 200),
        ("/?code=wrong", 200),
        ("/app.js", 200),
        ("/c/app.js", 200),
        ("/foghorn.js", 200),
        ("/qr.svg", 200),
        ("/c", 308),
        ("/nothing", 404),
        ("/c/status", 200),
        ("/%73tatus", 404),
    ] {
        assert_eq!(get(server.address(), path).status, status, "{path}");
    }
    for (method, path, status) in [("POST", "/nothing", 404), ("PATCH", "/", 405), ("GET", "/c/x?as=xml", 400)] {
        let answer = Asker::new(&server, stranger(0), path);
        let head = crate::harness::request(server.address(), method, path, "");
        assert_eq!(head.status, status, "{method} {path} of {}: what is no request needs none", answer.from);
    }
}

#[test]
fn a_websocket_joins_the_main_channel_at_any_path_and_needs_its_code() {
    let server = Server::start(&["--code", "/=4711", "--code", "status=0815"]);
    for path in ["/", "/chat", "/status", "/metrics", "/c"] {
        let asker = Asker::new(&server, stranger(0), path);
        assert_eq!(asker.ask(Way::Plain, None).code, 401, "{path}");
        assert_eq!(asker.ask(Way::Plain, Some((Place::Query, "0815"))).code, 401, "{path}");
        assert_eq!(asker.ask(Way::Plain, Some((Place::Query, "4711"))).code, 101, "{path}");
    }
    assert_eq!(Asker::new(&server, stranger(0), "/c/Status").ask(Way::Plain, Some((Place::Bearer, "0815"))).code, 101);
}

#[test]
fn who_may_only_receive_gets_all_and_is_closed_with_1008_when_it_sends() {
    let server = with_codes(&[]);
    for (way, large) in [(Way::Plain, false), (Way::Resuming, false), (Way::Plain, true)] {
        for (path, offered) in [("/c/both", Some((Place::Query, LOW))), ("/c/out", None)] {
            let mut receiver = Asker::new(&server, stranger(0), path).ask(way, offered).client;
            let code = if path == "/c/both" { HIGH } else { OUT };
            let mut speaker = Asker::new(&server, stranger(0), path).ask(Way::Plain, Some((Place::Basic, code))).client;
            speaker.expect_echo("to all");
            assert_eq!(receiver.text(), "to all");
            receiver.send(&crate::harness::masked(crate::harness::FIN | crate::harness::PING, &[7; 125]));
            assert_eq!(receiver.frame().payload, [7; 125], "all that is no message works");
            if large {
                // It is refused by its head: nobody waits for the rest.
                receiver.send(&[0x82, 0xff, 0, 0, 0, 0, 0, 8, 0, 0, 1, 2, 3, 4]);
            } else {
                receiver.send_text("from one");
            }
            receiver.expect_close(1008);
            speaker.expect_echo("that is all");
        }
    }
    server.wait_for_figure("/closed/mayNotSend", 6);
    server.wait_for_log(" s: may receive only");
}

#[test]
fn a_stream_says_after_a_deletion_too_whether_its_reader_may_send() {
    let server = with_codes(&[]);
    let ask =
        |code| Asker::new(&server, stranger(0), "/c/both").ask(Way::Stream("as=json"), Some((Place::Query, code)));
    let (mut low, mut high) = (ask(LOW), ask(HIGH));
    assert_eq!((low.may_send, high.may_send), (Some(false), Some(true)));
    let delete =
        Asker::new(&server, stranger(0), "/c/both").ask(Way::Request("DELETE", ""), Some((Place::Basic, HIGH)));
    assert_eq!(delete.code, 200);
    for (reader, expected) in [(&mut low, false), (&mut high, true)] {
        let line = reader.client.line().unwrap();
        let hello: serde_json::Value = serde_json::from_slice(&line).expect("another hello");
        assert_eq!((&hello["foghorn"], &hello["send"]), (&1.into(), &expected.into()), "{hello}");
    }
}

#[test]
fn who_may_not_makes_no_channel_and_says_nothing() {
    let server = with_codes(&["--max-channels", "4"]);
    for way in Way::ALL {
        if way != Way::Request("OPTIONS", "") {
            assert!(Asker::new(&server, stranger(1), "/c/in").ask(way, None).code > 400);
            assert!(Asker::new(&server, stranger(1), "/c/in").ask(way, Some((Place::Query, OUT))).code > 400);
        }
    }
    let status = server.status();
    assert_eq!((&status["channels"], &status["messages"], &status["clientsTotal"]), (&1.into(), &0.into(), &0.into()));
    let mut speaker = Asker::new(&server, stranger(1), "/c/in").ask(Way::Plain, Some((Place::Query, IN))).client;
    speaker.expect_echo(GREETING);
    eventually("it is there", || server.figure("/channels") == 2);
}
