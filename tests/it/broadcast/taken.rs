//! What a client is told of its last connection when it comes back: how many messages of that are in the log, and no more of them ever will
//! be.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::thread;

use serde_json::Value;

use super::resume::resume;
use crate::harness::{
    BINARY, CLOSE, Client, FIN, PING, PONG, Server, TEXT, eventually, expect_numbered, masked, numbered, request,
    sleeper, unmasked, upgrade_head,
};

const OFFER: &str = "Sec-WebSocket-Protocol: foghorn.v1\r\n";

/// No connection ends but those that a test is about, and a log that is soon full.
const CALM: [&str; 6] = ["--heartbeat", "0", "--patience", "1m", "--backlog", "64KiB"];

/// Joins a channel in the place of an earlier connection, and returns its own hello, and what that says of the other.
fn replace(server: &Server, channel: &str, earlier: &str) -> (Client, Value, Value) {
    let (client, hello) = resume(server.address(), &format!("{channel}?replaces={earlier}"));
    let taken = hello.get("taken").unwrap_or_else(|| panic!("it was asked for: {hello}")).clone();
    (client, hello, taken)
}

/// What a client is told that comes back to the main channel.
fn taken(server: &Server, earlier: &str) -> Value {
    replace(server, "/", earlier).2
}

fn id_of(hello: &Value) -> String {
    hello["id"].as_str().expect("an id").to_owned()
}

/// Joins as a client that counts, and returns its id.
fn join(server: &Server) -> (Client, String) {
    let (client, hello) = resume(server.address(), "/");
    assert_eq!(hello.get("taken"), None, "it has asked for nothing");
    (client, id_of(&hello))
}

/// A client sends five messages, its connection ends in this way, and it comes back, several times with the same id: an answer may have
/// been lost.
fn ends(args: &[&str], reason: &str, end: impl FnOnce(&Server, Client, &str) -> Option<Client>) {
    let server = Server::start(args);
    let (mut client, id) = join(&server);
    for number in 1..=5 {
        client.send_text(&number.to_string());
    }
    server.wait_for_figure("/messages", 5);
    let left = end(&server, client, &id);
    server.wait_for_figure(&format!("/closed/{reason}"), 1);
    assert_eq!(taken(&server, &id), 5, "{reason}");
    drop(left);
    let (mut next, _, taken_of_it) = replace(&server, "/", &id);
    assert_eq!((taken_of_it, server.figure("/messages")), (5.into(), 5), "{reason}");
    next.expect_echo("not of that connection");
    assert_eq!(taken(&server, &id), 5, "{reason}");
}

/// An end that follows from the last that a client sends.
fn after(bytes: Vec<u8>) -> impl FnOnce(&Server, Client, &str) -> Option<Client> {
    move |_, mut client, _| {
        client.send(&bytes);
        Some(client)
    }
}

#[test]
fn however_a_connection_has_ended_its_client_is_told_what_was_taken() {
    let calm = &["--heartbeat", "0", "--max-message", "1KiB"][..];
    ends(calm, "vanished", |_, client, _| {
        client.socket().shutdown(Shutdown::Write).unwrap();
        Some(client)
    });
    ends(calm, "vanished", |_, client, _| {
        client.reset();
        None
    });
    ends(calm, "closedByClient", after(masked(FIN | CLOSE, &1000_u16.to_be_bytes())));
    ends(calm, "protocolError", after(unmasked(FIN | TEXT, b"6")));
    ends(calm, "invalidUtf8", after(masked(FIN | TEXT, b"\xff")));
    ends(calm, "messageTooBig", after(masked(FIN | BINARY, &[6; 1025])));
    ends(&["--heartbeat", "500ms"], "silent", |_, client, _| Some(client));
    ends(calm, "newEpoch", |server, client, _| {
        assert_eq!(request(server.address(), "DELETE", "/", "").status, 200);
        Some(client)
    });
    // Whoever asks first is gone before it can read the answer.
    ends(calm, "replaced", |server, client, id| {
        let mut first = Client::connect(server.address());
        first.send(upgrade_head(&server.address().to_string(), &format!("/?replaces={id}"), OFFER).as_bytes());
        server.wait_for_figure("/closed/replaced", 1);
        first.reset();
        Some(client)
    });
}

#[test]
fn of_a_connection_that_is_not_known_or_was_to_another_channel_nothing_is_said() {
    let server = Server::start(&[]);
    for nonsense in ["", "0", "0000000000000000", "AAAAAAAAAAAAAAAA", "%00", "*", "+000000000000000"] {
        assert_eq!(taken(&server, nonsense), Value::Null, "{nonsense}");
    }
    let (mut client, id) = join(&server);
    client.expect_echo("1");
    let in_lights = |id: &str| replace(&server, "/c/lights", id).2;
    assert_eq!(in_lights(&id), Value::Null, "while it is there");
    drop(client);
    server.wait_for_figure("/clients", 0);
    assert_eq!(in_lights(&id), Value::Null, "when it is gone");
    assert_eq!(taken(&server, &id), 1, "its own channel");

    let earlier = Server::start(&[]);
    let (mut client, id) = join(&earlier);
    client.expect_echo("1");
    drop(earlier);
    assert_eq!(taken(&server, &id), Value::Null, "the server was restarted");
}

#[test]
fn so_many_connections_are_known_after_their_end_and_the_oldest_is_forgotten() {
    let server = Server::start(&["--heartbeat", "0"]);
    let mut ended = 0;
    let mut come_and_go = || {
        let (mut client, id) = join(&server);
        client.expect_echo("1");
        client.reset();
        ended += 1;
        (id, ended)
    };
    let (oldest, nth) = come_and_go();
    server.wait_for_figure("/closed/vanished", nth);
    let (second, nth) = come_and_go();
    server.wait_for_figure("/closed/vanished", nth);
    let mut last = nth;
    while last < 4096 {
        last = come_and_go().1;
    }
    server.wait_for_figure("/closed/vanished", 4096);
    // To ask is to be known, too, when one is gone.
    assert_eq!(taken(&server, &oldest), 1);
    server.wait_for_figure("/closed/vanished", 4097);
    let (_stays, _, of_oldest) = replace(&server, "/", &oldest);
    let (_stays, _, of_second) = replace(&server, "/", &second);
    assert_eq!((of_oldest, of_second), (Value::Null, 1.into()));
}

#[test]
fn a_message_that_waited_and_was_published_counts_and_one_that_waits_is_taken_back() {
    const LEN: usize = 30_000;
    let server = Server::start(&CALM);
    let mut sleeper = sleeper(&server);
    let (client, id) = join(&server);
    let mut writer = client.writer();
    let flood = thread::spawn(move || {
        (0..100).take_while(|number| writer.write_all(&masked(FIN | BINARY, &numbered(*number, LEN))).is_ok()).count()
    });
    let blocked_at = || {
        server.wait_for_figure("/publishersWaiting", 1);
        server.figure("/messages")
    };
    let first = blocked_at();
    let mut read = 0;
    while server.figure("/messages") == first {
        assert!(sleeper.binary() == numbered(read, LEN), "message {read}");
        read += 1;
    }
    // There was room for what waited, and the next one waits.
    blocked_at();
    let (mut next, hello, taken_of_it) = replace(&server, "/", &id);
    assert_eq!((&taken_of_it, server.figure("/publishersWaiting")), (&hello["head"], 0));
    let in_log = u32::try_from(taken_of_it.as_u64().unwrap()).unwrap();
    next.send_text("of the next connection");
    for number in read..in_log {
        assert!(sleeper.binary() == numbered(number, LEN), "message {number}");
    }
    assert_eq!(sleeper.text(), "of the next connection");
    drop(client);
    flood.join().unwrap();
}

#[test]
fn what_waits_when_its_sender_is_closed_for_being_slow_is_never_published() {
    const LEN: usize = 30_000;
    let server = Server::start(&["--heartbeat", "0", "--patience", "1s", "--backlog", "64KiB"]);
    let mut listener = Client::join_at(server.address(), "/?echo=0");
    let listening = thread::spawn(move || {
        let mut seen = Vec::new();
        while let payload @ [_, _, _, _, ..] = &listener.binary()[..] {
            seen.push(u32::from_be_bytes(*payload.first_chunk().unwrap()));
        }
        seen
    });
    // It does not read its own messages, and so its next one waits for itself.
    let mut slow = Client::connect_narrow(server.address(), 4096);
    slow.upgrade(server.address(), "/", OFFER);
    let id = id_of(&serde_json::from_str(&slow.text()).unwrap());
    let mut writer = slow.writer();
    let flood = thread::spawn(move || {
        (1..=1000).take_while(|number| writer.write_all(&masked(FIN | BINARY, &numbered(*number, LEN))).is_ok()).count()
    });
    server.wait_for_figure("/closed/tooSlow", 1);
    let (mut next, _, taken_of_it) = replace(&server, "/", &id);
    let in_log = u32::try_from(taken_of_it.as_u64().unwrap()).unwrap();
    assert!(in_log > 0);
    for number in in_log + 1..=in_log + 5 {
        next.send_binary(&numbered(number, LEN));
        assert!(next.binary() == numbered(number, LEN));
    }
    next.send_binary(b"");
    assert!(next.binary().is_empty());
    assert_eq!(listening.join().unwrap(), (1..=in_log + 5).collect::<Vec<_>>());
    drop(slow);
    flood.join().unwrap();
}

#[test]
fn a_pong_comes_when_all_messages_before_its_ping_are_in_the_log_and_not_before() {
    const LEN: usize = 30_000;
    const COUNT: u32 = 60;
    let server = Server::start(&CALM);
    let mut sleeper = sleeper(&server);
    let (mut client, _) = join(&server);
    let mut writer = client.writer();
    let flood = thread::spawn(move || {
        for number in 0..COUNT {
            let message = masked(FIN | BINARY, &numbered(number, LEN));
            let ping = masked(FIN | PING, &(number + 1).to_be_bytes());
            writer.write_all(&[message, ping].concat()).unwrap();
        }
    });
    server.wait_for_figure("/publishersWaiting", 1);
    let in_log = u32::try_from(server.figure("/messages")).unwrap();
    assert!(in_log < COUNT, "{in_log}");
    let (mut pongs, mut own) = (0, 0);
    while (pongs, own) != (in_log, in_log) {
        let frame = client.frame();
        if frame.opcode == PONG {
            pongs += 1;
            assert_eq!(frame.payload, pongs.to_be_bytes());
            assert!(pongs <= in_log, "message {pongs} waits");
        } else {
            own += 1;
        }
    }
    // Whatever else the server would say to it, it has said before it answers somebody else twice.
    assert_eq!((server.figure("/publishersWaiting"), server.figure("/messages")), (1, in_log.into()));
    client.socket().set_nonblocking(true).unwrap();
    let more = client.read(&mut [0; 64]).expect_err("a message waits that came before the next ping");
    assert_eq!(more.kind(), ErrorKind::WouldBlock);
    client.socket().set_nonblocking(false).unwrap();
    let reading = thread::spawn(move || expect_numbered(&mut sleeper, COUNT, LEN));
    while pongs < COUNT {
        let frame = client.frame();
        if frame.opcode == PONG {
            pongs += 1;
            assert_eq!(frame.payload, pongs.to_be_bytes());
            assert!(server.figure("/messages") >= pongs.into(), "message {pongs}");
        }
    }
    reading.join().unwrap();
    flood.join().unwrap();
}

/// How a connection is cut.
#[derive(Debug)]
enum Cut {
    Alive,
    HalfClosed,
    Closed,
    Reset,
    Goodbye,
    Deletion,
}

#[test]
fn wherever_it_is_cut_who_goes_on_behind_what_was_taken_has_every_message_in_the_log_once() {
    const CUTS: u32 = 80;
    let server = Server::start(&CALM);
    let mut listener = sleeper(&server);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut client, mut id) = join(&server);
    let mut in_log = 0_u32;
    let mut left_open = Vec::new();
    for _ in 0..CUTS {
        // Messages, some in two fragments with a ping between them, up to a random byte. The listener reads nothing meanwhile.
        let mut bytes = Vec::new();
        for number in in_log + 1..=in_log + random.u32(0..60) {
            let payload = numbered(number, random.usize(4..30_000));
            let (first, rest) = payload.split_at(random.usize(0..payload.len()));
            if random.bool() {
                bytes.extend([masked(BINARY, first), masked(FIN | PING, b""), masked(FIN, rest)].concat());
            } else {
                bytes.extend(masked(FIN | BINARY, &payload));
            }
        }
        bytes.truncate(random.usize(0..=bytes.len()));
        // When a message waits in the server, the kernels do not take all.
        client.socket().set_nonblocking(true).unwrap();
        let _ = client.try_send(&bytes);
        let cut = match random.u32(0..6) {
            0 => Cut::Alive,
            1 => Cut::HalfClosed,
            2 => Cut::Closed,
            3 => Cut::Reset,
            4 => Cut::Goodbye,
            _ => Cut::Deletion,
        };
        match cut {
            Cut::Alive => left_open.push(client),
            Cut::HalfClosed => {
                client.socket().shutdown(Shutdown::Write).unwrap();
                left_open.push(client);
            }
            Cut::Closed => drop(client),
            Cut::Reset => client.reset(),
            Cut::Goodbye => {
                let _ = client.try_send(&masked(FIN | CLOSE, &1000_u16.to_be_bytes()));
                left_open.push(client);
            }
            Cut::Deletion => {
                assert_eq!(request(server.address(), "DELETE", "/", "").status, 200);
                left_open.push(client);
            }
        }
        // A goodbye within a frame is a part of that.
        if !matches!(cut, Cut::Alive | Cut::Goodbye) && random.bool() {
            let is_over = || server.figure("/clients") == 1 || server.figure("/publishersWaiting") == 1;
            eventually("the server has seen the end, or cannot, as a message waits", is_over);
        }
        let (next, hello, taken_of_it) = replace(&server, "/", &id);
        (client, id) = (next, id_of(&hello));
        let before = in_log;
        in_log += u32::try_from(taken_of_it.as_u64().expect("it is known")).unwrap();
        for number in before + 1..=in_log {
            let payload = listener.binary();
            assert_eq!(payload.first_chunk(), Some(&number.to_be_bytes()), "{cut:?}: no gap and no repeat");
        }
    }
    client.send_text("the end");
    assert_eq!(listener.text(), "the end", "nothing came of those that are over");
    assert_eq!(server.figure("/messages"), u64::from(in_log) + 1);
}
