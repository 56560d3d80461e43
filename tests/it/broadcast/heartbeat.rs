//! The heartbeat: who says nothing is pinged, and who gives no sign of life is dropped, but nobody else.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    BINARY, Client, FIN, Loop, PING, PONG, Server, TEXT, eventually, masked, numbered, publish_numbered, sleeper,
};

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
fn answering(mut client: Client, answered: &Arc<AtomicU32>) -> Loop {
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
fn a_publisher_whose_message_waits_is_no_silent_client_however_long_it_waits() {
    const MESSAGES: usize = 50;
    const LEN: usize = 32 * 1024;
    let server = Server::start(&["--heartbeat", "500ms", "--patience", "1m", "--backlog", "64KiB"]);
    let mut sleeper = sleeper(&server);
    let mut publisher = Client::join_at(server.address(), "/?echo=0");
    let publishing = thread::spawn(move || {
        for _ in 0..MESSAGES {
            publisher.send_binary(&vec![0; LEN]);
        }
        publisher
    });
    server.wait_for_figure("/publishersWaiting", 1);
    // A client counts as heard from in the sweep after the one in which its bytes came. So the first canary may be dropped
    // before the publisher would be; the second one comes when that is over, and has all its time still before it.
    for _ in 0..2 {
        let canary = server.join();
        let from = canary.socket().local_addr().unwrap();
        eventually("the silent canary is dropped", || {
            sleeper.send(&masked(FIN | PONG, b"asleep, not silent"));
            server.log().contains(&format!("{from} left"))
        });
    }
    assert_eq!(server.figure("/closed/silent"), 2, "the canaries");
    assert_eq!((server.figure("/publishersWaiting"), server.figure("/clients")), (1, 2), "all the others are here");
    let messages = std::iter::repeat_with(|| sleeper.frame()).filter(|frame| frame.opcode == BINARY);
    assert!(messages.take(MESSAGES).all(|frame| frame.payload == vec![0; LEN]), "all messages came");
    drop(publishing.join().expect("the publisher was not disturbed"));
}
