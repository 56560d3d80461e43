//! Who tries codes gets few of them, and nobody else notices.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use serde_json::Value;

use super::asking::{Answer, Asker, HIGH, IN, LOW, OFFER, OUT, Place, WRONG, Way, stranger, with_codes};
use crate::harness::{Bystanders, Client, Launch, Loop, Server, in_own_network};

const LAST: Way = Way::Request("GET", "last");

fn ask(server: &Server, from: IpAddr, path: &str, code: &str) -> u16 {
    Asker::new(server, from, path).ask(LAST, Some((Place::Query, code))).code
}

/// Tries wrong codes until none is looked at any more, and returns how many were.
fn lock(server: &Server, from: IpAddr) -> usize {
    let guesses = (0..1000).take_while(|nth| match ask(server, from, "/c/in", &format!("{nth:04}")) {
        401 => true,
        429 => false,
        other => panic!("{other}"),
    });
    guesses.count()
}

/// What is left of the lock, in seconds.
fn retry_after(answer: &Answer) -> u64 {
    let secs = answer.head.header("Retry-After").expect("it says when").parse().expect("a number");
    assert!((1..=60).contains(&secs), "{secs}");
    secs
}

#[test]
fn five_wrong_codes_lock_an_address_for_right_ones_too_and_nobody_else() {
    let server = with_codes(&[]);
    let bystanders = Bystanders::start(&server);
    let address = server.address();
    // Others come in and go, with a code each.
    let newcomers = Loop::start(move || {
        let mut client = Client::connect_from(stranger(100), address);
        client.upgrade(address, &format!("/c/in?code={IN}"), "");
        client.text();
        client.expect_echo("I am in");
        Ok(())
    });
    for nth in 0..5 {
        assert_eq!(lock(&server, stranger(nth)), 5, "{nth}");
        for code in [IN, WRONG, HIGH] {
            assert_eq!(ask(&server, stranger(nth), "/c/in", code), 429);
        }
        assert_eq!(ask(&server, stranger(50 + nth), "/c/both", LOW), 204);
    }
    assert!(!newcomers.is_over(), "nobody is kept out for it");
    newcomers.stop();
    bystanders.finish();
    let status = server.status();
    assert_eq!(status["refused"]["401"], 25, "{status}");
    assert!(status["refused"]["429"].as_u64() >= Some(20), "{status}");
    let listed = status["refusals"].as_array().unwrap();
    assert!(listed.iter().all(|refusal| refusal["status"] != 429), "a lock is only for now: {listed:?}");
}

#[test]
fn a_locked_address_is_told_so_in_every_way_and_whatever_code_it_brings() {
    let server = with_codes(&[]);
    let own = format!("http://{}:5173", server.address().ip());
    let lines = format!("Origin: {own}\r\n");
    let ways = Way::ALL.into_iter().filter(|way| *way != Way::Request("OPTIONS", ""));
    for (nth, way) in ways.enumerate() {
        // Another lock each time, since none lasts.
        let from = stranger(nth);
        assert_eq!(lock(&server, from), 5);
        for path in ["/c/in", "/c/both", "/c/out"] {
            for code in [IN, OUT, LOW, HIGH, WRONG, "0000"] {
                for place in [Place::Query, Place::Basic] {
                    let answer =
                        Asker { lines: &lines, ..Asker::new(&server, from, path) }.ask(way, Some((place, code)));
                    let what = format!("{way:?} {path} {code} {place:?}: {answer:?}");
                    if path == "/c/out" && place == Place::Basic && !way.sends() {
                        // A header counts for nothing where none is needed.
                        assert!(answer.code < 300 && answer.may_send != Some(true), "{what}");
                        continue;
                    }
                    match way {
                        Way::Resuming => assert_eq!(answer.code, 4429, "{what}"),
                        Way::Stream("as=events") => {
                            assert_eq!((answer.code, &*answer.words), (200, "retry: 5000\n"), "{what}");
                        }
                        _ => {
                            assert_eq!(answer.code, 429, "{what}");
                            retry_after(&answer);
                        }
                    }
                    if !way.joins() {
                        assert_eq!(answer.head.header("Access-Control-Allow-Origin"), Some(&*own), "{what}");
                    }
                }
            }
        }
        // No code is never locked, and where none is needed nothing is looked at.
        let expected = if way == Way::Resuming { 4401 } else { 401 };
        assert_eq!(Asker::new(&server, from, "/c/in").ask(way, None).code, expected, "{way:?}");
        assert!(Asker::new(&server, from, "/c/free").ask(way, Some((Place::Query, WRONG))).code < 300, "{way:?}");
    }
}

#[test]
fn what_is_no_guess_locks_nobody() {
    let server = with_codes(&[]);
    let from = stranger(0);
    for _ in 0..10 {
        let asker = Asker::new(&server, from, "/c/both");
        assert_eq!(asker.ask(LAST, None).code, 401, "no code");
        assert_eq!(asker.ask(Way::Resuming, None).code, 4401, "no code");
        assert_eq!(asker.ask(LAST, Some((Place::Query, IN))).code, 401, "another channel's");
        assert_eq!(asker.ask(Way::Request("POST", ""), Some((Place::Basic, LOW))).code, 403, "it may receive");
    }
    assert_eq!(lock(&server, from), 5);
}

#[test]
fn this_machine_may_be_a_proxy_and_is_locked_later() {
    let server =
        Launch::bare(&["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--code", "in=right"]).expecting(2).start();
    let mut over_ipv6 = 0;
    let mut asks_over_ipv6 = || {
        let mut client = Client::connect(server.addresses[1]);
        let head = format!("GET /c/in?last&code=wrong HTTP/1.1\r\nHost: {}\r\n\r\n", server.addresses[1]);
        client.send(head.as_bytes());
        over_ipv6 += 1;
        client.response(false).status
    };
    for _ in 0..12 {
        assert_eq!(asks_over_ipv6(), 401);
    }
    let proxy = IpAddr::from(Ipv4Addr::LOCALHOST);
    assert_eq!(lock(&server, proxy), 18, "both have 30 together");
    assert_eq!(asks_over_ipv6(), 429);
    assert_eq!(ask(&server, proxy, "/c/in", "right"), 429);
    assert_eq!(lock(&server, stranger(0)), 5, "others of 127/8 are like any");
}

#[test]
fn a_network_of_ipv6_is_locked_as_a_whole_after_ten_times_as_many() {
    in_own_network(|| {
        let address =
            |network: u32, host: u32| -> IpAddr { format!("2001:db8:0:{network:x}::{host:x}").parse().unwrap() };
        let all: Vec<IpAddr> = (1..=12).map(|host| address(1, host)).chain([address(2, 1)]).collect();
        for ip in &all {
            let added = Command::new("ip").args(["addr", "add", &format!("{ip}/128"), "dev", "lo"]).status();
            assert!(added.expect("ip (package iproute2) is there").success(), "{ip}");
        }
        let listen = format!("[{}]:0", all[0]);
        let server = Launch::bare(&["--listen", &listen, "--code", "in=right"]).expecting(1).start();
        let taken: Vec<usize> = all.iter().map(|ip| lock(&server, *ip)).collect();
        assert_eq!(taken, [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0, 5]);
        assert_eq!(ask(&server, all[11], "/c/in", "right"), 429, "who has not guessed");
    });
}

/// Joins as one that resumes, and returns the id of the connection.
fn id_of(answer: &mut Answer) -> String {
    assert_eq!(answer.code, 101, "{answer:?}");
    answer.id.take().expect("it has an id")
}

#[test]
fn during_a_lock_who_comes_back_is_let_in_with_what_it_had() {
    let server = with_codes(&[]);
    let address = server.address();
    let (from, other) = (stranger(0), stranger(1));
    let join = |path: &str, code| Asker::new(&server, from, path).ask(Way::Resuming, Some((Place::Query, code)));
    let mut low = join("/c/both", LOW);
    let mut high = join("/c/both", HIGH);
    let mut gone = join("/c/in", IN);
    let mut free = Asker::new(&server, from, "/c/out").ask(Way::Resuming, None);
    let [low_id, high_id, gone_id, free_id] = [&mut low, &mut high, &mut gone, &mut free].map(id_of);
    drop(gone);
    server.wait_for_figure("/closed/vanished", 1);
    assert_eq!(lock(&server, from), 5);

    // Who comes back: the channel, the code, whose id, and what it is told.
    let back = |channel: &str, code: &str, id: &str| {
        let mut client = Client::connect_from(from, address);
        client.upgrade(address, &format!("/c/{channel}?code={code}&replaces={id}"), OFFER);
        let frame = client.frame();
        if frame.opcode == crate::harness::CLOSE {
            return (frame.close_parts().0.unwrap(), None, client);
        }
        let hello: Value = serde_json::from_slice(&frame.payload).expect("the hello is JSON");
        (101, hello["send"].as_bool(), client)
    };
    let told = |channel: &str, code: &str, id: &str| {
        let (code, may_send, _) = back(channel, code, id);
        (code, may_send)
    };
    let locked = (4429, None);
    assert_eq!(told("in", IN, "0000000000000000"), locked, "who was never there");
    assert_eq!(told("in", IN, &low_id), locked, "an id is for its own channel");
    assert_eq!(told("in", WRONG, &gone_id), locked);
    assert_eq!(told("both", HIGH, &low_id), locked, "not for more than it had");
    assert_eq!(told("both", WRONG, &high_id), locked);
    assert_eq!(told("both", LOW, &high_id), locked, "not for less, which could be the code of others, too");
    assert_eq!(told("out", OUT, &free_id), locked, "it had no code");
    assert_eq!(told("in", IN, &gone_id), (101, Some(true)), "it was gone");
    assert_eq!(told("both", LOW, &low_id), (101, Some(false)));
    let (code, may_send, mut client) = back("both", HIGH, &high_id);
    assert_eq!((code, may_send), (101, Some(true)));
    client.expect_echo("still here");
    // None of these was a guess, and the lock is as it was.
    assert_eq!(ask(&server, from, "/c/in", IN), 429);
    assert_eq!(ask(&server, other, "/c/in", IN), 204);
}

#[test]
fn a_lock_has_one_line_in_the_log_however_long_somebody_tries() {
    let server = with_codes(&[]);
    assert_eq!(lock(&server, stranger(0)), 5);
    for _ in 0..100 {
        assert_eq!(ask(&server, stranger(0), "/c/in", WRONG), 429);
    }
    assert_eq!(ask(&server, stranger(1), "/c/in", WRONG), 401);
    server.wait_for_log("127.0.0.3:");
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("127.0.0.2")).collect();
    assert_eq!(lines.len(), 5 + 1, "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("too many wrong codes")).count(), 1, "{lines:#?}");
}
