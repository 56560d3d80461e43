//! The handshake: what is agreed on, what is declined, and what is refused.

use crate::harness::{Client, FIN, GREETING, Server, TEXT, masked, refused, request_head, upgrade_head};

#[test]
fn the_answer_to_a_handshake_is_as_the_rfc_wants_it() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(
        b"GET /chat HTTP/1.1\r\nhOST: board.local\r\nuPGRADE: WebSocket\r\ncONNECTION: UPGRADE\r\n\
          sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==  \r\nSEC-WEBSOCKET-VERSION:\t13\r\nX-Other: \xc3\xa4\r\n\r\n",
    );
    let response = client.response(false);
    assert_eq!(response.status, 101);
    assert!(response.header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")));
    assert!(response.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
    assert_eq!(response.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("Sec-WebSocket-Protocol"), None);
}

#[test]
fn the_first_sub_protocol_offered_is_agreed_on() {
    let server = Server::start(&[]);
    for (offer, agreed) in [
        ("", None),
        ("Sec-WebSocket-Protocol: chat\r\n", Some("chat")),
        ("Sec-WebSocket-Protocol: chat, superchat\r\n", Some("chat")),
        ("sec-websocket-protocol: one\r\nSec-WebSocket-Protocol: two\r\n", Some("one")),
    ] {
        let mut client = Client::connect(server.address());
        let response = client.upgrade(server.address(), "/", offer);
        assert_eq!(response.header("Sec-WebSocket-Protocol"), agreed, "{offer:?}");
        assert_eq!(client.text(), GREETING);
    }
}

#[test]
fn compression_is_declined_and_the_client_goes_on_without() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame\r\n";
    let response = client.upgrade(server.address(), "/", offer);
    assert_eq!(response.header("Sec-WebSocket-Extensions"), None);
    assert_eq!(client.text(), GREETING);
    client.expect_echo("plain");
}

#[test]
fn frames_behind_the_handshake_in_one_packet_are_not_lost() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let mut hasty = Client::connect(server.address());
    let mut bytes = upgrade_head("localhost", "/", "").into_bytes();
    for text in ["hasty", "very"] {
        bytes.extend(masked(FIN | TEXT, text.as_bytes()));
    }
    hasty.send(&bytes);
    assert_eq!(hasty.response(false).status, 101);
    assert_eq!([hasty.text(), hasty.text(), hasty.text()], [GREETING, "hasty", "very"]);
    assert_eq!([listener.text(), listener.text()], ["hasty", "very"]);
}

#[test]
fn a_page_connection_may_become_a_websocket() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), "GET", "/", "").as_bytes());
    assert_eq!(client.response(false).status, 200);
    client.upgrade(server.address(), "/", "");
    assert_eq!(client.text(), GREETING);
    client.expect_echo("one connection");
}

#[test]
fn an_incomplete_handshake_is_answered_with_400_and_another_version_with_426() {
    let server = Server::start(&[]);
    let whole = upgrade_head("localhost", "/", "");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (what, from, to, expected) in [
        ("no key", key, "", 400),
        ("two keys", key, &key.repeat(2), 400),
        ("a key that is too short", key, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", 400),
        ("a key that is not base64", key, "Sec-WebSocket-Key: ????????????????????????\r\n", 400),
        ("no Connection: Upgrade", "Connection: keep-alive, Upgrade", "Connection: keep-alive", 400),
        ("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400),
        ("another method", "GET ", "POST ", 400),
        ("a sub-protocol that is no token", version, &format!("{version}Sec-WebSocket-Protocol: a b\r\n"), 400),
        ("a body", version, &format!("{version}Content-Length: 5\r\n"), 413),
        ("a body in chunks", version, &format!("{version}Transfer-Encoding: chunked\r\n"), 411),
        ("no version", version, "", 426),
        ("two versions", version, &version.repeat(2), 400),
        ("an old version", version, "Sec-WebSocket-Version: 8\r\n", 426),
        ("a list of versions", version, "Sec-WebSocket-Version: 13, 8\r\n", 426),
        ("a wrong echo", "GET / ", "GET /?echo=yes ", 400),
        ("a wrong after", "GET / ", "GET /?after=here ", 400),
    ] {
        let head = whole.replacen(from, to, 1);
        assert_ne!(head, whole, "{what}");
        let response = refused(server.address(), head.as_bytes());
        assert_eq!(response.status, expected, "{what}: {response:?}");
        let answered_version = response.header("Sec-WebSocket-Version");
        assert_eq!(answered_version, (expected == 426).then_some("13"), "{what}");
    }
    server.wait_for_figure("/clientsTotal", 0);
}
