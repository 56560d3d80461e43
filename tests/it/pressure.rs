//! Slow, silent and greedy clients: nobody costs another a message, a second beyond the patience, or the server its memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    BINARY, Bystanders, CLOSE, Client, FIN, Frame, GREETING, Loop, PING, PONG, Server, TEXT, eventually,
    expect_numbered, is_emulated, masked, numbered, project, publish_numbered, sleeper,
};

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
fn a_client_that_trickles_cannot_hold_up_the_room_for_ever() {
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

#[test]
fn a_message_larger_than_the_backlog_is_let_in_alone() {
    let server = Server::start(&["--backlog", "64KiB", "--max-message", "2MiB"]);
    let (mut speaker, mut listener) = (server.join(), server.join());
    for (number, len) in [(1, 100), (2, 2 << 20), (3, 10), (4, 1 << 20), (5, 64 * 1024), (6, 1)] {
        let payload = numbered(number, len.max(4));
        speaker.send_binary(&payload);
        for client in [&mut speaker, &mut listener] {
            assert!(client.binary() == payload, "message {number}");
        }
    }
    assert!(server.figure("/backlogBytes") <= 64 * 1024);
}

#[test]
fn a_burst_of_small_messages_comes_whole() {
    const MESSAGES: u32 = 50_000;
    let server = Server::start(&["--backlog", "64KiB"]);
    let mut listener = server.join();
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let burst: Vec<u8> = (0..MESSAGES).flat_map(|number| masked(FIN | TEXT, number.to_string().as_bytes())).collect();
    let sending = thread::spawn(move || {
        speaker.send(&burst);
        speaker
    });
    for number in 0..MESSAGES {
        assert_eq!(listener.text(), number.to_string());
    }
    sending.join().unwrap();
}

#[test]
fn a_client_that_pings_without_reading_is_closed_and_the_others_go_on() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let pinger = sleeper(&server);
    let pings = masked(FIN | PING, &[b'p'; 125]).repeat(1000);
    let mut socket = pinger.writer();
    let flood = Loop::start(move || socket.write_all(&pings));
    server.wait_for_figure("/closed/tooSlow", 1);
    eventually("the connection ends", || flood.is_over());
    bystanders.finish();
    flood.stop();
}

#[test]
fn a_client_that_pings_and_reads_may_ping_as_much_as_it_likes() {
    const PINGS: u32 = 20_000;
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let mut pinger = server.join();
    let mut socket = pinger.writer();
    let sending = thread::spawn(move || {
        for number in 0..PINGS {
            socket.write_all(&masked(FIN | PING, &number.to_be_bytes())).unwrap();
        }
        socket.write_all(&masked(FIN | TEXT, b"enough")).unwrap();
    });
    let mut last = None;
    loop {
        let frame = pinger.frame();
        if frame.opcode == PONG {
            // The RFC lets a server leave out all but the newest.
            let number = u32::from_be_bytes(frame.payload.try_into().unwrap());
            assert!(last.is_none_or(|last| last < number), "{number} after {last:?}");
            last = Some(number);
        } else if frame.payload == b"enough" {
            break;
        }
    }
    assert!(last.is_some());
    sending.join().unwrap();
    pinger.expect_echo("still here");
    bystanders.finish();
}

#[test]
fn a_publisher_that_floods_does_not_starve_the_others() {
    const ROUNDS: u32 = 30;
    let server = Server::start(&[]);
    let floods: Vec<Loop> = [16, 60_000]
        .into_iter()
        .flat_map(|len| {
            let mut flooder = Client::join_at(server.address(), "/?echo=0");
            let frames = masked(FIN | BINARY, &vec![0; len]).repeat((1 << 20) / len);
            let mut socket = flooder.writer();
            let writing = Loop::start(move || socket.write_all(&frames));
            [writing, Loop::start(move || flooder.try_frame().map(drop))]
        })
        .collect();
    let expect_round = |client: &mut Client, round: u32| {
        let heard = std::iter::repeat_with(|| client.frame()).find(|frame| frame.opcode == TEXT);
        assert_eq!(heard.unwrap().payload, format!("round {round}").as_bytes());
    };
    let mut speaker = server.join();
    let mut listener = server.join();
    let listening = thread::spawn(move || (0..ROUNDS).for_each(|round| expect_round(&mut listener, round)));
    for round in 0..ROUNDS {
        speaker.send_text(&format!("round {round}"));
        expect_round(&mut speaker, round);
    }
    listening.join().unwrap();
    assert!(floods.iter().all(|flood| !flood.is_over()), "they flooded all the time");
    assert_eq!(server.figure("/closed/tooSlow"), 0);
    drop(server);
    for flood in floods {
        flood.stop();
    }
}

#[test]
fn fragments_without_end_do_not_starve_the_others() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let mut flooder = Client::join_at(server.address(), "/?echo=0");
    flooder.send(&masked(TEXT, b""));
    let fragments = masked(0, b"").repeat(10_000);
    let mut socket = flooder.writer();
    let flood = Loop::start(move || socket.write_all(&fragments));
    let reading = Loop::start(move || flooder.try_frame().map(drop));
    let mut speaker = server.join();
    for round in 0..30 {
        speaker.expect_echo(&format!("round {round}"));
    }
    assert!(!flood.is_over(), "it flooded all the time");
    bystanders.finish();
    drop((speaker, server));
    flood.stop();
    reading.stop();
}

/// The formula of the README. An emulated process has its emulator's memory too.
fn memory_bound_kib(clients: u64, senders: u64, backlog_kib: u64, message_kib: u64) -> u64 {
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap().replace('\n', " ");
    let formula = "16 MiB + clients × 4 KiB + 3 × `--backlog` + 2 × `--max-message` for each client that is in the middle of \
                   sending one";
    assert!(readme.contains(formula), "the README has the formula that is tested here");
    let emulator_kib = if is_emulated() { 64 * 1024 } else { 0 };
    16 * 1024 + 4 * clients + 3 * backlog_kib + 2 * message_kib * senders + emulator_kib
}

#[test]
fn memory_stays_within_its_bound_whatever_goes_to_clients_that_never_read() {
    const SLEEPERS: u64 = 60;
    const SENDERS: u64 = 4;
    let server = Server::start(&["--backlog", "1MiB", "--max-message", "1MiB", "--patience", "1s"]);
    let payload = vec![0; 900 * 1024];
    let floods: Vec<Loop> = (0..SENDERS)
        .flat_map(|_| {
            let mut flooder = Client::join_at(server.address(), "/?echo=0");
            let frame = masked(FIN | BINARY, &payload);
            let mut socket = flooder.writer();
            let writing = Loop::start(move || socket.write_all(&frame));
            [writing, Loop::start(move || flooder.try_frame().map(drop))]
        })
        .collect();
    // Three waves of clients that read nothing, each thrown out in the middle of a large message.
    let mut sleepers: Vec<Client> = Vec::new();
    for wave in 1..=3 {
        sleepers.extend((0..SLEEPERS).map(|_| {
            let mut sleeper = Client::connect_narrow(server.address(), 4096);
            sleeper.upgrade(server.address(), "/", "");
            sleeper
        }));
        eventually("the wave was thrown out", || server.figure("/closed/tooSlow") >= wave * SLEEPERS);
    }
    let messages = server.figure("/messages");
    eventually("40 MB have gone by since", || server.figure("/messages") > messages + 45);
    let peak_kib = server.process_figure("VmHWM");
    let bound_kib = memory_bound_kib(3 * SLEEPERS + SENDERS, SENDERS, 1024, 1024);
    assert!(peak_kib <= bound_kib, "{peak_kib} KiB at the peak, and {bound_kib} are allowed");
    drop((server, sleepers));
    for flood in floods {
        flood.stop();
    }
}

#[test]
fn half_messages_of_many_senders_take_no_more_than_was_sent_of_them() {
    let server = Server::start(&[]);
    let announced = [&[FIN | BINARY, 0x80 | 127][..], &(1_u64 << 20).to_be_bytes(), &[0; 4]].concat();
    let mut senders: Vec<Client> = (0..200).map(|_| Client::join_at(server.address(), "/?echo=0")).collect();
    for sender in &mut senders {
        sender.send(&announced);
        sender.send(&[0; 100]);
    }
    let read = 200 * (announced.len() as u64 + 100);
    eventually("all of it was read", || server.figure("/bytesIn") >= read);
    let peak_kib = server.process_figure("VmHWM");
    let bound_kib = memory_bound_kib(200, 0, 0, 0);
    assert!(peak_kib <= bound_kib, "{peak_kib} KiB with 200 announcements of 1 MiB, and {bound_kib} are allowed");
}

#[test]
fn a_silent_client_is_pinged_and_then_dropped() {
    let server = Server::start(&["--heartbeat", "200ms"]);
    let mut silent = server.join();
    let ping = silent.frame();
    assert_eq!((ping.opcode, ping.payload.len()), (PING, 0));
    silent.expect_end();
    server.wait_for_figure("/closed/silent", 1);
    server.wait_for_figure("/clients", 0);
    server.wait_for_log("no sign of life");
}

/// Answers the server's pings and passes over all else.
fn answering(mut client: Client, answered: &Arc<std::sync::atomic::AtomicU32>) -> Loop {
    let answered = Arc::clone(answered);
    Loop::start(move || {
        let frame = client.try_frame()?;
        if frame.opcode == PING {
            client.try_send(&masked(FIN | PONG, &frame.payload))?;
            answered.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    })
}

#[test]
fn a_client_that_answers_pings_stays_although_it_says_nothing() {
    let server = Server::start(&["--heartbeat", "500ms"]);
    let answered = Arc::default();
    let client = answering(server.join(), &answered);
    eventually("it has answered for more than two heartbeats", || answered.load(Ordering::SeqCst) >= 4);
    assert_eq!((server.figure("/clients"), server.figure("/closed/silent")), (1, 0));
    assert!(!client.is_over());
    drop(server);
    client.stop();
}

#[test]
fn a_client_that_talks_is_not_pinged() {
    let server = Server::start(&["--heartbeat", "1s"]);
    let mut talker = server.join();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2500) {
        // Every frame that comes has to be the echo.
        talker.send_text("chat");
        assert_eq!(talker.text(), "chat");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn without_heartbeat_a_silent_client_stays() {
    let server = Server::start(&["--heartbeat", "0"]);
    let mut silent = server.join();
    let watched = Server::start(&["--heartbeat", "200ms"]);
    let mut canary = watched.join();
    while canary.try_frame().is_ok() {}
    silent.expect_echo("where another one was dropped, this one is still here");
}

#[test]
fn a_server_that_was_suspended_does_not_drop_its_clients() {
    let server = Server::start(&["--heartbeat", "500ms"]);
    let answered = Arc::default();
    let client = answering(server.join(), &answered);
    eventually("it has answered once", || answered.load(Ordering::SeqCst) >= 1);
    let before = answered.load(Ordering::SeqCst);
    server.signal("STOP");
    thread::sleep(Duration::from_secs(2));
    server.signal("CONT");
    eventually("the next ping is answered, or the client is gone", || {
        answered.load(Ordering::SeqCst) > before + 1 || client.is_over()
    });
    assert_eq!((server.figure("/closed/silent"), server.figure("/clients")), (0, 1));
    drop(server);
    client.stop();
}

/// A client that reads nothing but is heard all the time.
fn muttering_sleeper(server: &Server) -> (Client, Loop) {
    let sleeper = sleeper(server);
    let mut socket: TcpStream = sleeper.writer();
    let muttering = Loop::start(move || {
        thread::sleep(Duration::from_millis(20));
        socket.write_all(&masked(FIN | PONG, b""))
    });
    (sleeper, muttering)
}

#[test]
fn a_publisher_that_has_to_wait_is_not_dropped_by_the_heartbeat_and_loses_nothing() {
    const MESSAGES: u32 = 200;
    const LEN: usize = 32 * 1024;
    let server = Server::start(&["--heartbeat", "200ms", "--patience", "1m", "--backlog", "64KiB"]);
    let (mut sleeper, muttering) = muttering_sleeper(&server);
    let publishing = publish_numbered(&server, MESSAGES, LEN);
    server.wait_for_figure("/publishersWaiting", 1);
    // The server reads nothing from it now. A silent client that comes meanwhile is dropped after two heartbeats.
    let mut canary = server.join();
    while canary.try_frame().is_ok() {}
    server.wait_for_figure("/closed/silent", 1);
    assert_eq!(server.figure("/publishersWaiting"), 1);
    assert!(server.figure("/messages") < MESSAGES.into(), "it still waits");
    let mut number = 0;
    while number < MESSAGES {
        let frame = sleeper.frame();
        if frame.opcode == BINARY {
            assert!(frame.payload == numbered(number, LEN), "message {number}");
            number += 1;
        }
    }
    publishing.join().unwrap().send_text("end");
    let end = std::iter::repeat_with(|| sleeper.frame()).find(|frame| frame.opcode == TEXT);
    assert_eq!(end.unwrap().payload, b"end");
    muttering.stop();
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
fn whatever_sizes_come_everybody_gets_the_same_sequence() {
    const PUBLISHERS: u8 = 3;
    const MESSAGES: u32 = 500;
    let server = Server::start(&["--backlog", "64KiB", "--max-message", "256KiB", "--patience", "1m"]);
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
                // Mostly small, often some KB, now and then larger than the whole backlog.
                let len = match random.u8(0..100) {
                    0..60 => random.usize(0..200),
                    60..97 => random.usize(0..20_000),
                    _ => random.usize(0..200_000),
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
