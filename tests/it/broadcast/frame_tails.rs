//! Clients that are in the middle of a frame: nothing but its tail may come next, whatever happens meanwhile.

use std::io::Read;

use crate::harness::{
    BINARY, CLOSE, Client, FIN, GREETING, PING, PONG, Server, TEXT, contents, eventually, masked, sleeper, unmasked,
};

/// More than is written at once, and more than a kernel takes for a client that does not read.
const MESSAGE_BYTES: usize = 1 << 20;

/// No frame comes from these but those that a test is about, and nobody is out of patience.
const CALM: [&str; 4] = ["--heartbeat", "0", "--patience", "1m"];

/// Publishes one large message, of which the others who do not read get a part.
fn publish(server: &Server) -> Client {
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    speaker.send_binary(&contents(MESSAGE_BYTES));
    server.wait_for_figure("/messages", 1);
    speaker
}

/// Sends something to the server, and waits until that has read it.
fn have_read(server: &Server, client: &mut Client, bytes: &[u8]) {
    let before = server.figure("/bytesIn");
    client.send(bytes);
    server.wait_for_figure("/bytesIn", before + bytes.len() as u64);
}

fn expect_whole_frame(client: &mut Client) {
    assert!(client.binary() == contents(MESSAGE_BYTES), "the frame is as it was sent");
}

fn expect_pong(client: &mut Client, payload: &[u8]) {
    let frame = client.frame();
    assert_eq!((frame.opcode, &frame.payload[..]), (PONG, payload), "behind the frame");
}

/// A client that is in the middle of a frame, and for which a pong waits.
fn in_mid_frame_with_a_pong(server: &Server, mut client: Client) -> Client {
    let _speaker = publish(server);
    server.wait_for_figure("/clientsBehind", 1);
    have_read(server, &mut client, &masked(FIN | PING, b"are you there?"));
    client
}

#[test]
fn a_pong_waits_for_the_end_of_the_frame_that_is_out_in_part() {
    let server = Server::start(&CALM);
    let mut client = in_mid_frame_with_a_pong(&server, sleeper(&server));
    expect_whole_frame(&mut client);
    expect_pong(&mut client, b"are you there?");
    client.expect_echo("all is well");
}

#[test]
fn who_says_goodbye_in_mid_frame_gets_the_tail_then_the_pong_then_the_answer() {
    let server = Server::start(&CALM);
    let mut client = in_mid_frame_with_a_pong(&server, sleeper(&server));
    client.send_close(1000, "");
    server.wait_for_figure("/closed/closedByClient", 1);
    expect_whole_frame(&mut client);
    expect_pong(&mut client, b"are you there?");
    client.expect_close(1000);
}

#[test]
fn who_breaks_the_protocol_in_mid_frame_gets_the_tail_then_the_pong_then_the_reason() {
    let server = Server::start(&CALM);
    let mut client = in_mid_frame_with_a_pong(&server, sleeper(&server));
    client.send(&unmasked(FIN | TEXT, b"a client has to mask"));
    server.wait_for_figure("/closed/protocolError", 1);
    expect_whole_frame(&mut client);
    expect_pong(&mut client, b"are you there?");
    client.expect_close(1002);
}

#[test]
fn who_comes_back_in_mid_frame_gets_the_tail_then_the_pong_then_the_goodbye_on_the_old_connection() {
    const RESUMES: &str = "Sec-WebSocket-Protocol: foghorn.v1\r\n";
    let server = Server::start(&CALM);
    let mut client = Client::connect_narrow(server.address(), 4096);
    client.upgrade(server.address(), "/", RESUMES);
    let hello: serde_json::Value = serde_json::from_str(&client.text()).unwrap();
    let mut client = in_mid_frame_with_a_pong(&server, client);
    let mut next = Client::connect(server.address());
    let id = hello["id"].as_str().expect("an id");
    next.upgrade(server.address(), &format!("/?replaces={id}"), RESUMES);
    server.wait_for_figure("/closed/replaced", 1);
    expect_whole_frame(&mut client);
    expect_pong(&mut client, b"are you there?");
    client.expect_close(1000);
}

/// Reads to the end of the connection.
fn read_to_end(client: &Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.socket().read_to_end(&mut bytes).expect("the connection ends in order");
    bytes
}

#[test]
fn of_many_thrown_out_in_mid_frame_whose_tails_are_more_than_the_backlog_the_others_get_not_even_a_goodbye() {
    const SLEEPERS: usize = 5;
    let server = Server::start(&["--heartbeat", "0", "--patience", "100ms", "--backlog", "2MiB"]);
    let sleepers: Vec<Client> = (0..SLEEPERS).map(|_| sleeper(&server)).collect();
    let mut speaker = publish(&server);
    server.wait_for_figure("/clientsBehind", SLEEPERS as u64);
    // The second of these has to wait for them.
    for _ in 0..2 {
        speaker.send_binary(&contents(MESSAGE_BYTES));
    }
    server.wait_for_figure("/closed/tooSlow", SLEEPERS as u64);

    let frame = unmasked(FIN | BINARY, &contents(MESSAGE_BYTES));
    let mut with_goodbye = 0;
    for sleeper in &sleepers {
        let got = read_to_end(sleeper);
        if got.len() < frame.len() {
            assert!(frame.starts_with(&got), "a part of the frame and nothing else, in {} bytes", got.len());
        } else {
            let (whole, close) = got.split_at(frame.len());
            assert!(whole == frame, "the frame is as it was sent");
            assert_eq!(close, unmasked(FIN | CLOSE, &[&1013_u16.to_be_bytes()[..], b"too slow"].concat()));
            with_goodbye += 1;
        }
    }
    assert_eq!(with_goodbye, 2, "the backlog's size is room for the tails of two of them");
}

/// A client whose kernel takes little for it, as soon as there is a place for it.
fn narrow_when_there_is_a_place(server: &Server, path: &str) -> Client {
    let mut joined = None;
    eventually("there is a place", || {
        let mut client = Client::connect_narrow(server.address(), 4096);
        let is_let_in = client.try_upgrade(server.address(), path, "").status == 101;
        joined = Some(client).filter(|_| is_let_in);
        is_let_in
    });
    let mut client = joined.expect("it was let in");
    assert_eq!(client.text(), GREETING);
    client
}

#[test]
fn a_tail_that_was_taken_makes_room_for_the_tail_of_the_next_one() {
    let flags = ["--heartbeat", "0", "--patience", "100ms", "--backlog", "2MiB", "--max-clients", "2"];
    let server = Server::start(&flags);
    for round in 1..=3 {
        // A place is free only when all of a client that was before has gone.
        let mut speaker = narrow_when_there_is_a_place(&server, "/?echo=0");
        let mut sleeper = narrow_when_there_is_a_place(&server, "/");
        speaker.send_binary(&contents(MESSAGE_BYTES));
        server.wait_for_figure("/clientsBehind", 1);
        for _ in 0..2 {
            speaker.send_binary(&contents(MESSAGE_BYTES));
        }
        server.wait_for_figure("/closed/tooSlow", round);
        expect_whole_frame(&mut sleeper);
        sleeper.expect_close(1013);
    }
}

#[test]
fn who_reads_nothing_in_mid_frame_may_provoke_a_few_pongs_and_not_twenty() {
    let server = Server::start(&CALM);
    let mut client = sleeper(&server);
    let _speaker = publish(&server);
    server.wait_for_figure("/clientsBehind", 1);
    let ping = masked(FIN | PING, &[b'p'; 125]);
    have_read(&server, &mut client, &ping.repeat(4));
    assert_eq!(server.figure("/closed/tooSlow"), 0, "four of them fit");
    client.send(&ping.repeat(20));
    server.wait_for_figure("/closed/tooSlow", 1);
    expect_whole_frame(&mut client);
    let mut pongs = 0;
    let close = loop {
        let frame = client.frame();
        if frame.opcode != PONG {
            break frame;
        }
        pongs += 1;
    };
    assert!((5..20).contains(&pongs), "{pongs} pongs");
    assert_eq!(close.close_parts().0, Some(1013));
    client.expect_end();
}
