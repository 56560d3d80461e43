//! How connections end: close codes, broken rules of RFC 6455, and clients that just go; while the others go on.

use std::net::Shutdown;

use crate::harness::{
    BINARY, Bystanders, CLOSE, CONTINUATION, Client, FIN, PING, PONG, Server, TEXT, eventually, masked, unmasked,
    upgrade_head,
};

/// Sends these bytes as a client, and expects this close code. Meanwhile others must not notice anything.
fn expect_closed_with(code: u16, counter: &str, attacks: &[(&str, Vec<u8>)]) {
    let server = Server::start(&["--max-message", "100KiB"]);
    let bystanders = Bystanders::start(&server);
    for (nth, (what, bytes)) in (1..).zip(attacks) {
        let mut client = Client::join_at(server.address(), "/?echo=0");
        client.send(bytes);
        assert_eq!(client.closed_with(), Some(code), "{what}");
        server.wait_for_figure(&format!("/closed/{counter}"), nth);
    }
    bystanders.finish();
    server.wait_for_figure("/clients", 0);
}

#[test]
fn broken_framing_is_a_protocol_error() {
    let long_control = vec![b'x'; 126];
    expect_closed_with(
        1002,
        "protocolError",
        &[
            ("a frame without a mask", unmasked(FIN | TEXT, b"hello")),
            ("an empty frame without a mask", unmasked(FIN | BINARY, b"")),
            ("reserved bit 1, as of compression that was declined", masked(FIN | 0x40 | TEXT, b"hello")),
            ("reserved bit 2", masked(FIN | 0x20 | TEXT, b"hello")),
            ("reserved bit 3", masked(FIN | 0x10 | PING, b"")),
            ("reserved data opcode", masked(FIN | 3, b"hello")),
            ("the last reserved data opcode", masked(FIN | 7, b"hello")),
            ("reserved control opcode", masked(FIN | 0xb, b"hello")),
            ("the last reserved control opcode", masked(FIN | 0xf, b"")),
            ("a fragmented ping", masked(PING, b"hel")),
            ("a fragmented close", masked(CLOSE, b"")),
            ("a ping that is too long", masked(FIN | PING, &long_control)),
            ("a pong that is too long", masked(FIN | PONG, &long_control)),
            ("a close that is too long", masked(FIN | CLOSE, &[&[3, 232], &long_control[..]].concat())),
            ("a continuation of nothing", masked(FIN | CONTINUATION, b"hello")),
            ("a new message in a fragmented one", [masked(TEXT, b"hel"), masked(FIN | TEXT, b"lo")].concat()),
            ("a close of one byte", masked(FIN | CLOSE, &[3])),
            (
                "a close of one byte, and a frame behind it",
                [masked(FIN | CLOSE, &[3]), masked(FIN | TEXT, b"x")].concat(),
            ),
            ("garbage", vec![0xff; 200]),
        ],
    );
}

#[test]
fn a_close_code_that_nobody_may_send_is_a_protocol_error() {
    let server = Server::start(&[]);
    for (nth, code) in (1..).zip([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) {
        let mut client = server.join();
        client.send_close(code, "");
        assert_eq!(client.closed_with(), Some(1002), "{code}");
        server.wait_for_figure("/closed/protocolError", nth);
    }
}

#[test]
fn text_that_is_not_utf8_is_closed_with_1007() {
    let cut = "a€".as_bytes();
    expect_closed_with(
        1007,
        "invalidUtf8",
        &[
            ("a stray byte", masked(FIN | TEXT, b"ab\xffcd")),
            ("an overlong form", masked(FIN | TEXT, b"\xc0\xaf")),
            ("a surrogate", masked(FIN | TEXT, b"\xed\xa0\x80")),
            ("beyond Unicode", masked(FIN | TEXT, b"\xf4\x90\x80\x80")),
            ("an unfinished character", masked(FIN | TEXT, &cut[..3])),
            (
                "a character broken between two fragments",
                [masked(TEXT, &cut[..2]), masked(FIN | CONTINUATION, b"x")].concat(),
            ),
            (
                "a character unfinished in the last fragment",
                [masked(TEXT, &cut[..2]), masked(CONTINUATION, b""), masked(FIN | CONTINUATION, b"\x82")].concat(),
            ),
            ("bad words in a close", masked(FIN | CLOSE, b"\x03\xe8\xff")),
        ],
    );
}

#[test]
fn a_message_that_is_too_big_is_closed_with_1009_before_it_is_taken_in() {
    const MAX: usize = 100 * 1024;
    // Of a frame the header suffices.
    let announced = |len: u64| [&[FIN | BINARY, 0x80 | 127][..], &len.to_be_bytes(), &[0; 4]].concat();
    let fragments: Vec<u8> =
        (0..9).flat_map(|nth| masked(if nth == 0 { BINARY } else { CONTINUATION }, &vec![7; MAX / 8])).collect();
    expect_closed_with(
        1009,
        "messageTooBig",
        &[
            ("one byte too many", masked(FIN | BINARY, &vec![7; MAX + 1])),
            ("one byte of text too many", masked(FIN | TEXT, &vec![b'x'; MAX + 1])),
            ("announced, just too big", announced(MAX as u64 + 1)),
            ("announced, 4 GiB", announced(1 << 32)),
            ("announced, the largest there is", announced(i64::MAX as u64)),
            ("in fragments", fragments),
        ],
    );
}

#[test]
fn a_message_of_just_the_allowed_size_passes_whole_or_in_fragments() {
    const MAX: usize = 100 * 1024;
    let server = Server::start(&["--max-message", "100KiB"]);
    let mut client = server.join();
    client.send_binary(&vec![7; MAX]);
    assert!(client.binary() == vec![7; MAX], "in one frame");
    client.send(&masked(BINARY, &vec![8; MAX / 2]));
    client.send(&masked(FIN | CONTINUATION, &vec![8; MAX / 2]));
    assert!(client.binary() == vec![8; MAX], "in fragments");
}

#[test]
fn a_close_is_answered_with_its_own_code_and_no_message_follows() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    // All that `ws` takes: those of the RFC, those that IANA has since registered, those of libraries and applications.
    let codes = [&(1000..=1003).chain(1007..=1014).collect::<Vec<_>>()[..], &[3000, 3999, 4000, 4999]].concat();
    for &code in &codes {
        let mut client = server.join();
        client.send_close(code, "good night");
        // What was published before may still come, but nothing behind the Close frame.
        assert_eq!(client.closed_with(), Some(code));
    }
    let mut client = server.join();
    client.send(&masked(FIN | CLOSE, b""));
    assert_eq!(client.closed_with(), None, "a close without a code is answered with one without");
    bystanders.finish();
    server.wait_for_figure("/closed/closedByClient", codes.len() as u64 + 1);
}

#[test]
fn what_comes_behind_a_close_is_not_broadcast() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let mut client = server.join();
    client.send(
        &[masked(FIN | TEXT, b"last words"), masked(FIN | CLOSE, b"\x03\xe8"), masked(FIN | TEXT, b"!")].concat(),
    );
    assert_eq!(client.closed_with(), Some(1000));
    assert_eq!(listener.text(), "last words");
    listener.expect_echo("next");
    assert_eq!(server.figure("/messages"), 2);
}

#[test]
fn who_sends_and_closes_at_once_still_gets_the_echo() {
    let server = Server::start(&[]);
    let mut client = server.join();
    // As `echo hello | websocat ws://board:1919` does.
    client.send(&[masked(FIN | TEXT, b"hello"), masked(FIN | CLOSE, b"\x03\xe8")].concat());
    assert_eq!(client.text(), "hello");
    client.expect_close(1000);
}

#[test]
fn what_comes_before_a_broken_frame_is_broadcast() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let mut client = Client::join_at(server.address(), "/?echo=0");
    client.send(&[masked(FIN | TEXT, b"good"), masked(FIN | TEXT, b"better"), unmasked(FIN | TEXT, b"bad")].concat());
    assert_eq!([listener.text(), listener.text()], ["good", "better"]);
    client.expect_close(1002);
}

#[test]
fn a_close_frame_has_words_for_people() {
    let server = Server::start(&[]);
    let mut client = server.join();
    client.send(&unmasked(FIN | TEXT, b"x"));
    let (code, words) = client.frame().close_parts();
    assert_eq!(code, Some(1002));
    assert_ne!(words, "");
}

#[test]
fn a_ping_is_answered_with_its_payload_and_a_pong_is_taken() {
    let server = Server::start(&[]);
    let mut client = server.join();
    for payload in [&b""[..], b"hello", &[0xff; 125]] {
        client.send(&masked(FIN | PONG, payload));
        client.send(&masked(FIN | PING, payload));
        let pong = client.frame();
        assert_eq!((pong.opcode, &pong.payload[..]), (PONG, payload));
    }
    client.expect_echo("still here");
}

#[test]
fn a_message_of_many_fragments_is_taken() {
    const FRAGMENTS: u32 = 16_000;
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let mut client = server.join();
    let mut expected = Vec::new();
    let mut bytes = Vec::new();
    for nth in 0..FRAGMENTS {
        let last = if nth + 1 == FRAGMENTS { FIN } else { 0 };
        let opcode = if nth == 0 { BINARY } else { CONTINUATION };
        let payload = [u8::try_from(nth % 251).unwrap()];
        expected.push(payload[0]);
        bytes.extend(masked(last | opcode, &payload));
    }
    client.send(&bytes);
    let whole = std::iter::repeat_with(|| client.frame()).find(|frame| frame.opcode == BINARY).unwrap();
    assert!(whole.payload == expected, "each fragment once and in order");
    bystanders.finish();
}

#[test]
fn empty_fragments_without_end_cost_nobody_anything() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let before = server.process_figure("VmRSS");
    let mut client = Client::join_at(server.address(), "/?echo=0");
    client.send(&masked(TEXT, b""));
    let many = masked(CONTINUATION, b"").repeat(10_000);
    for _ in 0..20 {
        client.send(&many);
    }
    client.send(&masked(FIN | CONTINUATION, b"end of fragments"));
    let mut others = std::iter::repeat_with(|| client.text());
    assert!(others.any(|text| text.starts_with("bystander")), "it goes on");
    bystanders.finish();
    let grown_kib = server.process_figure("VmRSS").saturating_sub(before);
    assert!(grown_kib < 8 * 1024, "{grown_kib} KiB more for 200,000 fragments of nothing");
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_taken() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let mut client = Client::join_at(server.address(), "/?echo=1");
    for byte in masked(FIN | TEXT, "Stück für Stück".as_bytes()) {
        client.send(&[byte]);
    }
    let heard = std::iter::repeat_with(|| client.text()).find(|text| !text.starts_with("bystander"));
    assert_eq!(heard.as_deref(), Some("Stück für Stück"));
    bystanders.finish();
}

#[test]
fn clients_that_vanish_in_mid_frame_disturb_nobody() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let whole = masked(FIN | TEXT, &[b'x'; 300]);
    let mut gone = 0;
    for cut in [1, 2, 3, 5, 8, 9, 150, whole.len() - 1] {
        for has_reset in [false, true] {
            let mut client = server.join();
            client.send(&whole[..cut]);
            if has_reset {
                client.reset();
            } else {
                drop(client);
            }
            gone += 1;
        }
    }
    server.wait_for_figure("/closed/vanished", gone);
    bystanders.finish();
    assert!(!server.log().contains("xxx"), "no content in the log");
}

#[test]
fn a_close_in_the_middle_of_a_fragmented_message_is_answered_and_the_message_forgotten() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let mut client = server.join();
    client.send(&masked(TEXT, b"half"));
    client.send_close(1000, "");
    assert_eq!(client.closed_with(), Some(1000));
    bystanders.finish();
}

#[test]
fn a_reset_after_the_handshake_and_within_it_disturbs_nobody() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let head = upgrade_head("localhost", "/", "");
    for cut in [0, 10, head.len() - 1, head.len()] {
        let mut client = Client::connect(server.address());
        client.send(&head.as_bytes()[..cut]);
        client.reset();
    }
    for _ in 0..10 {
        server.join().reset();
    }
    eventually("all of them are gone", || {
        let status = server.status();
        status["clients"] == 2 && status["closed"]["vanished"].as_u64() >= Some(10)
    });
    bystanders.finish();
}

#[test]
fn a_half_close_ends_the_connection_after_what_was_sent_before() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let mut client = server.join();
    client.send_text("last words");
    client.socket().shutdown(Shutdown::Write).unwrap();
    assert_eq!(listener.text(), "last words");
    server.wait_for_figure("/closed/vanished", 1);
    // The end comes to the client too, and does not hang.
    while client.try_frame().is_ok() {}
    listener.expect_echo("going on");
}

#[test]
fn control_frames_that_come_with_a_message_are_answered_whatever_its_size() {
    let server = Server::start(&["--no-echo"]);
    for payload_bytes in [0, 100, 200, 240, 245, 250, 300, 400, 500, 512, 513, 600, 1000, 2000, 70_000] {
        let mut client = server.join();
        let message = masked(FIN | BINARY, &vec![7; payload_bytes]);
        let ping = masked(FIN | PING, b"and this?");
        let close = masked(FIN | CLOSE, &1000_u16.to_be_bytes());
        // In one piece, as a script does that sends and closes.
        client.send(&[&message[..], &ping, &message, &ping, &ping, &close].concat());
        for _ in 0..3 {
            let answer = client.frame();
            assert_eq!((answer.opcode, &answer.payload[..]), (PONG, &b"and this?"[..]), "behind {payload_bytes} bytes");
        }
        assert_eq!(client.closed_with(), Some(1000), "behind {payload_bytes} bytes");
    }
}
