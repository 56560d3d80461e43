//! Clients that read slowly or not at all: nobody costs another a message, or a second beyond the patience.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    BINARY, Bystanders, CLOSE, Client, FIN, Frame, GREETING, Loop, Server, TEXT, eventually, expect_numbered, masked,
    numbered, publish_numbered, sleeper,
};

#[test]
fn a_client_that_never_reads_is_closed_with_1013_and_costs_the_others_nothing() {
    const MESSAGES: u32 = 400;
    const LEN: usize = 64 * 1024;
    let server = Server::start(&["--patience", "1s"]);
    let bystanders = Bystanders::start(&server);
    let mut sleeper = sleeper(&server);
    let mut listener = Client::join_at(server.address(), "/");
    let speaker = publish_numbered(&server, MESSAGES, LEN);
    let mut number = 0;
    while number < MESSAGES {
        let frame = listener.frame();
        if frame.opcode == BINARY {
            assert!(frame.payload == numbered(number, LEN), "message {number} of 25 MB");
            number += 1;
        }
    }
    speaker.join().unwrap();
    bystanders.finish();
    server.wait_for_figure("/closed/tooSlow", 1);
    server.wait_for_log("too slow");
    // When it wakes up, it gets what its kernel has for it, whole frames in order, and then the reason.
    let mut number = 0;
    loop {
        let frame = sleeper.frame();
        match frame.opcode {
            BINARY => {
                assert!(frame.payload == numbered(number, LEN), "message {number}");
                number += 1;
            }
            CLOSE => {
                assert_eq!(frame.close_parts(), (Some(1013), "too slow".to_owned()));
                break;
            }
            _ => assert_eq!(frame.opcode, TEXT, "the bystanders' talk"),
        }
    }
    sleeper.expect_end();
    assert!(number < MESSAGES);
    server.wait_for_figure("/clients", 1);
    drop(listener);
}

#[test]
fn a_client_that_trickles_cannot_block_publishers_for_ever() {
    const MESSAGES: u32 = 400;
    const LEN: usize = 64 * 1024;
    let server = Server::start(&["--patience", "1s", "--backlog", "256KiB"]);
    let trickler = sleeper(&server);
    let mut socket = trickler.writer();
    // One KB a second.
    let trickle = Loop::start(move || {
        thread::sleep(Duration::from_millis(100));
        socket.read_exact(&mut [0; 100])
    });
    let mut listener = server.join();
    let speaker = publish_numbered(&server, MESSAGES, LEN);
    expect_numbered(&mut listener, MESSAGES, LEN);
    speaker.join().unwrap();
    server.wait_for_figure("/closed/tooSlow", 1);
    trickle.stop();
}

#[test]
fn a_slow_client_that_keeps_moving_loses_nothing_and_slows_the_publisher_down() {
    const MESSAGES: u32 = 300;
    const LEN: usize = 8 * 1024;
    const PATIENCE: Duration = Duration::from_secs(1);
    let server = Server::start(&["--patience", "1s", "--backlog", "64KiB"]);
    let mut slow = Client::connect_narrow(server.address(), 32 * 1024);
    slow.upgrade(server.address(), "/", "");
    assert_eq!(slow.text(), GREETING);
    let mut listener = server.join();
    let speaker = publish_numbered(&server, MESSAGES, LEN);
    let started = Instant::now();
    let reader = thread::spawn(move || {
        for number in 0..MESSAGES {
            // At most 800 KB a second.
            thread::sleep(Duration::from_millis(10));
            assert!(slow.binary() == numbered(number, LEN), "message {number}");
        }
        slow
    });
    expect_numbered(&mut listener, MESSAGES, LEN);
    let mut speaker = speaker.join().unwrap();
    let mut slow = reader.join().unwrap();
    assert!(started.elapsed() > 2 * PATIENCE, "else this test shows nothing");
    speaker.send_text("end");
    assert_eq!((slow.text(), listener.text()), ("end".into(), "end".into()));
    assert_eq!(server.figure("/closed/tooSlow"), 0);
}

#[test]
fn nobody_is_closed_for_being_slow_while_nobody_waits() {
    let server = Server::start(&["--patience", "10ms", "--backlog", "8MiB"]);
    let mut sleeper = sleeper(&server);
    let mut listener = server.join();
    publish_numbered(&server, 60, 64 * 1024).join().unwrap();
    expect_numbered(&mut listener, 60, 64 * 1024);
    eventually("the sleeper is behind", || server.figure("/clientsBehind") == 1);
    // It would be out of patience by far.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(500) {
        listener.expect_echo("going on");
    }
    assert_eq!(server.figure("/closed/tooSlow"), 0);
    expect_numbered(&mut sleeper, 60, 64 * 1024);
}

/// Reads numbered messages to the Close frame, and sees to it that none is missing before it. Returns how many came.
fn numbered_until_1013(client: &mut Client, len: usize) -> u32 {
    let mut number = 0;
    loop {
        let Frame { opcode, payload } = client.frame();
        if opcode == CLOSE {
            assert_eq!(Frame { opcode, payload }.close_parts().0, Some(1013));
            client.expect_end();
            return number;
        }
        assert!(payload == numbered(number, len), "message {number}");
        number += 1;
    }
}

#[test]
fn the_longest_wait_because_of_one_client_is_the_patience_also_when_others_are_slow_too() {
    const MESSAGES: u32 = 64;
    const LEN: usize = 64 * 1024;
    let server = Server::start(&["--patience", "1s", "--backlog", "1MiB"]);
    let mut sleepers: Vec<Client> = (0..5).map(|_| sleeper(&server)).collect();
    let mut listener = server.join();
    let speaker = publish_numbered(&server, MESSAGES, LEN);
    expect_numbered(&mut listener, MESSAGES, LEN);
    speaker.join().unwrap();
    server.wait_for_figure("/closed/tooSlow", 5);
    for sleeper in &mut sleepers {
        assert!(numbered_until_1013(sleeper, LEN) < MESSAGES);
    }
}

#[test]
fn messages_of_half_the_backlog_go_through_it_one_after_the_other() {
    let server = Server::start(&["--backlog", "64KiB", "--max-message", "32KiB"]);
    let (mut speaker, mut listener) = (server.join(), server.join());
    for (number, len) in [(1, 100), (2, 32 << 10), (3, 32 << 10), (4, 10), (5, 32 << 10), (6, 1)] {
        let payload = numbered(number, len.max(4));
        speaker.send_binary(&payload);
        for client in [&mut speaker, &mut listener] {
            assert!(client.binary() == payload, "message {number}");
        }
    }
    assert!(server.figure("/backlogBytes") <= 64 * 1024 + 100);
}

#[test]
fn a_message_that_waits_is_delivered_although_its_sender_has_gone() {
    const MESSAGES: u32 = 100;
    const LEN: usize = 32 * 1024;
    let server = Server::start(&["--heartbeat", "0", "--patience", "1m", "--backlog", "64KiB"]);
    let mut sleeper = sleeper(&server);
    let publishing = publish_numbered(&server, MESSAGES, LEN);
    server.wait_for_figure("/publishersWaiting", 1);
    let mut second = Client::join_at(server.address(), "/?echo=0");
    second.send_text("last words");
    server.wait_for_figure("/publishersWaiting", 2);
    // Its end is noticed although nothing is read from it: when its message has gone out, or before.
    second.reset();
    let mut number = 0;
    let mut has_last_words = false;
    while number < MESSAGES || !has_last_words {
        let frame = sleeper.frame();
        if frame.opcode == TEXT {
            assert_eq!(frame.payload, b"last words");
            has_last_words = true;
        } else {
            assert!(frame.payload == numbered(number, LEN), "message {number}");
            number += 1;
        }
    }
    drop(publishing.join().unwrap());
    server.wait_for_figure("/publishersWaiting", 0);
}

#[test]
fn whatever_sizes_come_everybody_gets_the_same_sequence() {
    const PUBLISHERS: u8 = 3;
    const MESSAGES: u32 = 500;
    let server = Server::start(&["--backlog", "64KiB", "--max-message", "32KiB", "--patience", "1m"]);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut listeners: Vec<(Option<u8>, Client)> = Vec::new();
    for receive_bytes in [4096, 60_000, 1 << 20] {
        let mut listener = Client::connect_narrow(server.address(), receive_bytes);
        listener.upgrade(server.address(), "/", "");
        assert_eq!(listener.text(), GREETING);
        listeners.push((None, listener));
    }
    let mut writers = Vec::new();
    for publisher in 0..PUBLISHERS {
        // They hear the others, and one of them itself.
        let path = if publisher == 0 { "/?echo=1" } else { "/?echo=0" };
        let client = Client::join_at(server.address(), path);
        writers.push((publisher, client.writer()));
        listeners.push(((publisher > 0).then_some(publisher), client));
    }
    let mut sending = Vec::new();
    for (publisher, mut socket) in writers {
        let mut random = fastrand::Rng::with_seed(seed + u64::from(publisher));
        sending.push(thread::spawn(move || {
            for number in 0..MESSAGES {
                // Mostly small, often some KB, now and then the largest there may be, half of the backlog.
                let len = match random.u8(0..100) {
                    0..60 => random.usize(0..200),
                    60..97 => random.usize(0..20_000),
                    _ => (32 << 10) - 5 - random.usize(0..10),
                };
                let mut payload = vec![publisher];
                payload.extend(number.to_be_bytes());
                payload.resize(5 + len, random.u8(..));
                socket.write_all(&masked(FIN | BINARY, &payload)).unwrap();
            }
        }));
    }
    let hearing: Vec<_> = listeners
        .into_iter()
        .map(|(deaf_to, mut client)| {
            let expected = MESSAGES * u32::from(PUBLISHERS - u8::from(deaf_to.is_some()));
            thread::spawn(move || {
                let heard = (0..expected).map(|_| {
                    let payload = client.binary();
                    let fill = payload.last().copied().filter(|_| payload.len() > 5);
                    assert!(payload[5..].iter().all(|&byte| Some(byte) == fill), "bytes of another message");
                    (payload[0], u32::from_be_bytes(*payload[1..].first_chunk().unwrap()), payload.len())
                });
                (deaf_to, heard.collect::<Vec<_>>())
            })
        })
        .collect();
    for sender in sending {
        sender.join().unwrap();
    }
    let heard: Vec<_> = hearing.into_iter().map(|hearing| hearing.join().unwrap()).collect();
    let (_, whole) = &heard[0];
    for publisher in 0..PUBLISHERS {
        let its = whole.iter().filter(|(from, ..)| *from == publisher).map(|(_, number, _)| *number);
        assert!(its.eq(0..MESSAGES), "each message of {publisher} once, in its order");
    }
    for (deaf_to, sequence) in &heard {
        let expected = whole.iter().filter(|(from, ..)| Some(*from) != *deaf_to);
        assert!(sequence.iter().eq(expected), "the one sequence, without those of {deaf_to:?}");
    }
    assert_eq!(server.figure("/closed/tooSlow"), 0);
}
