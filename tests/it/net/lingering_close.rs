//! The end of a connection: whoever is refused or closed hears why, also if more is on its way from it.

use std::io;

use crate::harness::{BINARY, CLOSE, Client, FIN, PING, PONG, Server, masked, request_head, sleeper, unmasked};

/// The stream ends here, and it ends in order: no reset.
fn expect_clean_end(client: &mut Client, what: &str) {
    let error = client.bytes(1).expect_err("nothing more comes");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{what}: {error}");
}

/// More than is read with a head, or with the frame for which a client is closed.
const MORE_BYTES: usize = 256 * 1024;

#[test]
fn who_is_refused_while_more_comes_from_it_gets_the_answer_and_a_clean_end() {
    let server = Server::start(&[]);
    let address = server.address();
    let with_body = request_head(address, "GET", "/", &format!("Content-Length: {MORE_BYTES}\r\n"));
    let foreign = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned();
    let with_last_answer = request_head(address, "GET", "/", "Connection: close\r\n");
    for (expected, head) in [(413, with_body), (403, foreign), (200, with_last_answer)] {
        let mut client = Client::connect(address);
        client.send(&[head.as_bytes(), &vec![b'x'; MORE_BYTES]].concat());
        assert_eq!(client.response(false).status, expected);
        expect_clean_end(&mut client, &head);
    }
}

#[test]
fn who_is_closed_while_more_comes_from_it_gets_the_reason_and_a_clean_end() {
    let server = Server::start(&["--max-message", "1KiB", "--heartbeat", "0"]);
    let more = masked(FIN | BINARY, &[0; 1024]).repeat(MORE_BYTES / 1024);
    for (code, wrong) in [
        (1002, unmasked(FIN | BINARY, b"a client has to mask")),
        (1009, masked(FIN | BINARY, &[0; 1025])),
        (1000, masked(FIN | CLOSE, &1000_u16.to_be_bytes())),
    ] {
        let mut client = server.join();
        client.send(&[wrong, more.clone()].concat());
        let frame = client.frame();
        assert_eq!(frame.close_parts().0, Some(code), "{frame:?}");
        expect_clean_end(&mut client, &format!("closed with {code}"));
    }
}

#[test]
fn who_is_too_slow_while_more_comes_from_it_gets_what_it_lacks_and_the_reason_and_a_clean_end() {
    let server = Server::start(&["--heartbeat", "0", "--patience", "1m"]);
    let mut client = sleeper(&server);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    speaker.send_binary(&vec![0; 1 << 20]);
    server.wait_for_figure("/clientsBehind", 1);
    // A few of them are too many already.
    client.send(&masked(FIN | PING, &[b'p'; 125]).repeat(1000));
    server.wait_for_figure("/closed/tooSlow", 1);
    // Most of this is in the server's kernel still, which throws it away with a reset.
    assert!(client.binary() == vec![0; 1 << 20], "the whole frame came");
    let close = std::iter::repeat_with(|| client.frame()).find(|frame| frame.opcode != PONG);
    assert_eq!(close.expect("the iterator has no end").close_parts().0, Some(1013));
    expect_clean_end(&mut client, "closed with 1013");
}
