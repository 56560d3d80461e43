//! Coming back without a gap and without a repeat: the sub-protocol `foghorn.v1`, and history for newcomers.

use std::io::Write;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::harness::{BINARY, Client, FIN, Frame, GREETING, Server, TEXT, masked, sleeper};

const OFFER: &str = "Sec-WebSocket-Protocol: foghorn.v1\r\n";

/// Joins as a client that can resume, and returns the server's first frame.
pub(super) fn resume(address: SocketAddr, path: &str) -> (Client, Value) {
    let mut client = Client::connect(address);
    let response = client.upgrade(address, path, OFFER);
    assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("foghorn.v1"));
    let hello = client.text();
    (client, serde_json::from_str(&hello).expect("the first frame is JSON"))
}

fn after(hello: &Value, seq: u64) -> String {
    format!("/?after={}:{seq}", hello["epoch"].as_str().expect("the epoch is a string"))
}

/// Publishes messages `1`, `2`, `3` … and waits until all are in the log.
fn publish(server: &Server, numbers: RangeInclusive<u64>) {
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let last = *numbers.end();
    for number in numbers {
        speaker.send_text(&number.to_string());
    }
    server.wait_for_figure("/messages", last);
}

fn expect_numbers(client: &mut Client, numbers: RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(client.text(), number.to_string());
    }
}

#[test]
fn the_first_frame_says_where_the_client_stands() {
    let server = Server::start(&["--greeting", "hello \"you\"", "--max-message", "2KiB"]);
    let (mut first, hello) = resume(server.address(), "/");
    let epoch = hello["epoch"].as_str().expect("a string").to_owned();
    assert!((1..=32).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{epoch}");
    let id = hello["id"].as_str().expect("a string").to_owned();
    let expected = serde_json::json!({
        "foghorn": 1, "greeting": "hello \"you\"", "channel": "", "epoch": epoch, "seq": 0, "lost": 0, "head": 0, "clients": 1,
        "maxMessage": 2048, "send": true, "id": id,
    });
    assert_eq!(hello, expected);
    assert_eq!(server.status()["epoch"], epoch);

    first.expect_echo("1");
    let (_second, hello) = resume(server.address(), "/elsewhere");
    for (name, value) in [("seq", 1), ("head", 1), ("lost", 0), ("clients", 2)] {
        assert_eq!(hello[name], value, "{name} in {hello}");
    }
    assert_eq!(hello["epoch"], epoch, "the same for the whole run");
}

#[test]
fn each_run_has_another_epoch() {
    let epochs = [(); 2].map(|()| resume(Server::start(&[]).address(), "/").1["epoch"].clone());
    assert_ne!(epochs[0], epochs[1]);
}

#[test]
fn who_does_not_ask_for_it_sees_nothing_of_it() {
    let server = Server::start(&[]);
    publish(&server, 1..=3);
    for (path, lines) in [
        ("/", ""),
        ("/", "Sec-WebSocket-Protocol: chat\r\n"),
        ("/", "Sec-WebSocket-Protocol: foghorn.v2\r\n"),
        ("/?after=abc:1", ""),
    ] {
        let mut client = Client::connect(server.address());
        client.upgrade(server.address(), path, lines);
        assert_eq!(client.text(), GREETING, "{path} {lines:?}");
        client.send_text("next");
        assert_eq!(client.text(), "next");
    }
}

#[test]
fn it_is_agreed_on_wherever_it_stands_among_the_offers() {
    let server = Server::start(&[]);
    for offer in ["chat, foghorn.v1", "foghorn.v1,chat", "a, b , foghorn.v1"] {
        let mut client = Client::connect(server.address());
        let response = client.upgrade(server.address(), "/", &format!("Sec-WebSocket-Protocol: {offer}\r\n"));
        assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("foghorn.v1"), "{offer}");
        assert!(client.text().starts_with("{\"foghorn\":1,"));
    }
}

#[test]
fn every_data_frame_after_the_first_is_a_message_so_the_client_only_counts() {
    let server = Server::start(&[]);
    publish(&server, 1..=3);
    let (mut client, hello) = resume(server.address(), "/");
    assert_eq!(hello["seq"], 3);
    client.send_text("");
    client.send_binary(b"5");
    client.send_text("6");
    let frames = [client.frame(), client.frame(), client.frame()];
    let expected = [(TEXT, ""), (BINARY, "5"), (TEXT, "6")];
    assert_eq!(frames, expected.map(|(opcode, text)| Frame { opcode, payload: text.into() }));
    let (_, hello) = resume(server.address(), "/");
    assert_eq!(hello["seq"], 6);
}

#[test]
fn it_always_gets_its_own_messages_back() {
    for (flags, path) in [(&["--no-echo"][..], "/"), (&[], "/?echo=0"), (&["--no-echo"], "/?echo=0")] {
        let server = Server::start(flags);
        let (mut client, _) = resume(server.address(), path);
        client.send_text("mine");
        assert_eq!(client.text(), "mine", "{flags:?} {path}");
    }
}

#[test]
fn who_comes_back_gets_what_it_missed_and_then_the_live_messages() {
    let server = Server::start(&[]);
    let (_, hello) = resume(server.address(), "/");
    publish(&server, 1..=10);
    for seq in [0, 1, 9, 10] {
        let (mut client, again) = resume(server.address(), &after(&hello, seq));
        assert_eq!((&again["seq"], &again["lost"], &again["head"]), (&seq.into(), &0.into(), &10.into()), "{again}");
        expect_numbers(&mut client, seq + 1..=10);
    }
    let (mut client, _) = resume(server.address(), &after(&hello, 7).replace(':', "%3a"));
    expect_numbers(&mut client, 8..=10);
    publish(&server, 11..=20);
    expect_numbers(&mut client, 11..=20);
}

#[test]
fn what_the_backlog_no_longer_holds_is_counted_as_lost() {
    let server = Server::start(&["--backlog", "1KiB"]);
    let (_, hello) = resume(server.address(), "/");
    publish(&server, 1..=200);
    let (mut client, again) = resume(server.address(), &after(&hello, 5));
    let lost = again["lost"].as_u64().expect("a number");
    assert!(lost > 0 && lost < 195, "{again}");
    assert_eq!(again["seq"], 5 + lost);
    expect_numbers(&mut client, 5 + lost + 1..=200);
    let (mut client, again) = resume(server.address(), &after(&hello, 5 + lost));
    assert_eq!((&again["seq"], &again["lost"]), (&(5 + lost).into(), &0.into()), "just the first that is held");
    expect_numbers(&mut client, 5 + lost + 1..=200);
}

#[test]
fn another_epoch_or_a_number_from_the_future_means_that_the_server_was_restarted() {
    let server = Server::start(&["--history", "2"]);
    let (_, hello) = resume(server.address(), "/");
    publish(&server, 1..=5);
    for path in ["/?after=another:2".to_owned(), "/?after=x:0".to_owned(), after(&hello, 6), after(&hello, u64::MAX)] {
        let (mut client, again) = resume(server.address(), &path);
        // It is a newcomer then, with what newcomers get.
        assert_eq!((&again["lost"], &again["seq"], &again["head"]), (&Value::Null, &3.into(), &5.into()), "{path}");
        expect_numbers(&mut client, 4..=5);
    }
}

#[test]
fn nonsense_is_answered_with_400() {
    let server = Server::start(&[]);
    let too_long = "a".repeat(33) + ":1";
    for value in [
        "",
        ":",
        "abc",
        "abc:",
        ":1",
        "abc:-1",
        "abc:+1",
        "abc:1.5",
        "abc:1e3",
        "abc:0x1",
        "abc:one",
        "abc:1:2",
        "abc:18446744073709551616",
        "a_c:1",
        "%ff:1",
        "a%00b:1",
        "abc%3A",
        "abc;1",
        "abc:%20",
        "abc:1%20",
        &too_long,
    ] {
        let mut client = Client::connect(server.address());
        let response = client.try_upgrade(server.address(), &format!("/?after={value}"), OFFER);
        assert_eq!(response.status, 400, "{value}");
        assert!(response.text().contains("EPOCH:SEQ"), "{response:?}");
    }
}

#[test]
fn history_gives_newcomers_of_either_kind_the_last_messages() {
    let server = Server::start(&["--history", "3"]);
    publish(&server, 1..=2);
    let mut early = server.join();
    expect_numbers(&mut early, 1..=2);
    publish(&server, 3..=5);
    expect_numbers(&mut early, 3..=5);

    let mut newcomer = server.join();
    expect_numbers(&mut newcomer, 3..=5);
    let (mut newcomer, hello) = resume(server.address(), "/");
    assert_eq!((&hello["seq"], &hello["lost"], &hello["head"]), (&2.into(), &0.into(), &5.into()), "{hello}");
    expect_numbers(&mut newcomer, 3..=5);
    // Who comes back gets what it asks for, more than a newcomer or less.
    let (mut back, again) = resume(server.address(), &after(&hello, 0));
    assert_eq!(again["seq"], 0);
    expect_numbers(&mut back, 1..=5);
    let (mut back, _) = resume(server.address(), &after(&hello, 5));
    back.send_text("6");
    assert_eq!(back.text(), "6");
}

#[test]
fn history_is_at_most_what_the_backlog_holds() {
    let server = Server::start(&["--history", "18446744073709551615", "--backlog", "1KiB"]);
    publish(&server, 1..=200);
    let mut newcomer = server.join();
    let first: u64 = newcomer.text().parse().unwrap();
    assert!((2..200).contains(&first), "{first}");
    expect_numbers(&mut newcomer, first + 1..=200);
}

#[test]
fn the_newest_message_is_in_the_history_however_large_it_may_be() {
    let server = Server::start(&["--history", "1", "--backlog", "64KiB", "--max-message", "32KiB"]);
    let (mut speaker, hello) = resume(server.address(), "/");
    for seq in 1..=5 {
        let largest = vec![seq; 32 << 10];
        speaker.send_binary(&largest);
        assert!(speaker.binary() == largest);
        let mut newcomer = server.join();
        assert!(newcomer.binary() == largest, "message {seq}");
        let (mut back, again) = resume(server.address(), &after(&hello, u64::from(seq) - 1));
        assert_eq!(again["lost"], 0);
        assert!(back.binary() == largest, "message {seq}");
    }
}

#[test]
fn without_echo_history_holds_own_messages_from_an_earlier_connection() {
    let server = Server::start(&["--history", "5", "--no-echo"]);
    publish(&server, 1..=3);
    let mut again = server.join();
    expect_numbers(&mut again, 1..=3);
}

#[test]
fn who_comes_back_may_replace_its_old_connection_and_nothing_more_is_taken_from_that() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let (mut old, hello) = resume(server.address(), "/");
    old.send_text("1");
    assert_eq!((old.text(), listener.text()), ("1".into(), "1".into()));
    let path = format!("{}&replaces={}", after(&hello, 0), hello["id"].as_str().unwrap());
    let (mut new, again) = resume(server.address(), &path);
    assert_eq!(again["clients"], 2, "the old one is not counted any more: {again}");
    assert_ne!(again["id"], hello["id"], "each connection has its own");
    // The server may have closed already, and need not take it.
    let _ = old.try_send(&masked(FIN | TEXT, b"too late"));
    assert_eq!(old.closed_with(), Some(1000));
    server.wait_for_figure("/closed/replaced", 1);
    assert_eq!(new.text(), "1");
    new.send_text("2");
    assert_eq!((new.text(), listener.text()), ("2".into(), "2".into()));
}

#[test]
fn a_message_that_waits_is_withdrawn_when_its_sender_is_replaced() {
    let server = Server::start(&["--heartbeat", "0", "--patience", "1m", "--backlog", "64KiB"]);
    let mut sleeper = sleeper(&server);
    let (old, hello) = resume(server.address(), "/");
    let mut writer = old.writer();
    let flood = thread::spawn(move || {
        let mut number = 0_u32;
        loop {
            number += 1;
            let payload = [&number.to_be_bytes()[..], &[0; 3000].repeat(10)].concat();
            if writer.write_all(&masked(FIN | BINARY, &payload)).is_err() {
                return;
            }
        }
    });
    server.wait_for_figure("/publishersWaiting", 1);
    let path = format!("{}&replaces={}", after(&hello, 0), hello["id"].as_str().unwrap());
    let (mut new, again) = resume(server.address(), &path);
    assert_eq!(server.figure("/publishersWaiting"), 0);
    // What got through is what the server says, and not one more.
    let head = again["head"].as_u64().unwrap();
    assert_eq!(again["taken"], head);
    new.send_text("from the new connection");
    for number in 1..=head {
        assert_eq!(u64::from(u32::from_be_bytes(*sleeper.binary().first_chunk().unwrap())), number);
    }
    assert_eq!(sleeper.text(), "from the new connection");
    drop(old);
    flood.join().unwrap();
}

#[test]
fn who_comes_back_to_a_full_hub_has_its_own_place_and_a_newcomer_has_not() {
    let server = Server::start(&["--max-clients", "2", "--heartbeat", "0"]);
    let (mut old, mut hello) = resume(server.address(), "/");
    let mut other = server.join();
    for round in 0..5 {
        let id = hello["id"].as_str().unwrap();
        let newcomer = Client::connect(server.address()).try_upgrade(server.address(), "/?replaces=unknown", "");
        assert_eq!(newcomer.status, 503);
        let (new, again) = resume(server.address(), &format!("{}&replaces={id}", after(&hello, round)));
        assert_eq!((&again["clients"], &again["lost"]), (&2.into(), &0.into()));
        assert_eq!(again["taken"], u64::from(round > 0), "what it has said on the last connection");
        server.wait_for_figure("/closed/replaced", round + 1);
        while old.try_frame().is_ok() {}
        (old, hello) = (new, again);
        old.send_text("here again");
        assert_eq!((old.text(), other.text()), ("here again".into(), "here again".into()));
    }
    assert_eq!(Client::connect(server.address()).try_upgrade(server.address(), "/", "").status, 503);
}

#[test]
fn an_unknown_id_replaces_nobody() {
    let server = Server::start(&[]);
    let (mut client, hello) = resume(server.address(), "/");
    let id = hello["id"].as_str().unwrap();
    for guess in ["", "0", "0000000000000000", &id[1..], &format!("{id}0"), "%00", "*"] {
        let (_other, _) = resume(server.address(), &format!("/?replaces={guess}"));
        client.expect_echo(guess);
    }
    // Nor by a client that does not resume.
    let _plain = Client::join_at(server.address(), &format!("/?replaces={id}"));
    client.expect_echo("still here");
    assert_eq!(server.figure("/closed/replaced"), 0);
}

#[test]
fn however_it_is_cut_off_a_client_gets_every_message_once_and_in_order() {
    const CUTS: u32 = 60;
    let server = Server::start(&["--backlog", "16MiB"]);
    let (mut client, hello) = resume(server.address(), "/");
    let stop = Arc::new(AtomicBool::new(false));
    let read = Arc::new(AtomicU64::new(0));
    let (stopped, read_so_far) = (Arc::clone(&stop), Arc::clone(&read));
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let talk = thread::spawn(move || {
        let mut number = 0_u64;
        while !stopped.load(Ordering::SeqCst) {
            number += 1;
            let filling = usize::try_from(number * 37 % 300).unwrap();
            speaker.send_text(&format!("{number} {}", "x".repeat(filling)));
            // It goes on for as long as the cuts take, and must not run away from them over the end of the backlog.
            while number > read_so_far.load(Ordering::SeqCst) + 5000 && !stopped.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        number
    });
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut seq = 0;
    let expect_next = |text: &str, seq: &mut u64| {
        *seq += 1;
        assert_eq!(text.split(' ').next(), Some(&*seq.to_string()), "no gap and no repeat");
    };
    for _ in 0..CUTS {
        for _ in 0..random.u32(0..40) {
            expect_next(&client.text(), &mut seq);
        }
        read.store(seq, Ordering::SeqCst);
        // In the middle of a frame, perhaps.
        client.bytes(random.usize(0..100)).unwrap();
        if random.bool() {
            client.reset();
        }
        let again;
        (client, again) = resume(server.address(), &after(&hello, seq));
        assert_eq!((&again["seq"], &again["lost"]), (&seq.into(), &0.into()), "{again}");
    }
    stop.store(true, Ordering::SeqCst);
    let last = talk.join().unwrap();
    while seq < last {
        expect_next(&client.text(), &mut seq);
    }
}
