//! Clients that send as fast as they can: messages, fragments, pings. They starve nobody.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use crate::harness::{
    BINARY, Bystanders, Client, FIN, Loop, PING, PONG, Server, TEXT, eventually, masked, request_head, sleeper,
};

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
    let mut elsewhere = Client::join_at(server.address(), "/c/quiet");
    let mut listener = server.join();
    let listening = thread::spawn(move || (0..ROUNDS).for_each(|round| expect_round(&mut listener, round)));
    for round in 0..ROUNDS {
        speaker.send_text(&format!("round {round}"));
        expect_round(&mut speaker, round);
        // Nothing of the flood, and no later than those who are in it.
        elsewhere.expect_echo(&format!("round {round}"));
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
fn requests_that_come_without_a_pause_do_not_starve_the_others() {
    let server = Server::start(&[]);
    for path in ["/status", "/foghorn.js"] {
        // From memory, and with little to send, so that the connection is never one that waits.
        let requests = request_head(server.address(), "HEAD", path, "").repeat(2000);
        let flooder = Client::connect(server.address());
        let (mut socket, mut answers) = (flooder.writer(), flooder.writer());
        let flood = Loop::start(move || socket.write_all(requests.as_bytes()));
        let reading = Loop::start(move || answers.read(&mut [0; 8192]).map(drop));
        eventually("the flood has begun", || server.figure("/httpRequests") > 2000);
        let mut speaker = server.join();
        for round in 0..30 {
            speaker.expect_echo(&format!("round {round}"));
            assert_eq!(server.get("/").status, 200);
        }
        assert!(!flood.is_over(), "it flooded all the time");
        flooder.socket().shutdown(Shutdown::Both).unwrap();
        flood.stop();
        reading.stop();
    }
}

#[test]
fn fragments_without_end_do_not_starve_the_others() {
    // Where all is slow, under an emulator, 30 rounds take longer than the heartbeat waits, which is not what is tried here.
    let server = Server::start(&["--heartbeat", "0"]);
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
