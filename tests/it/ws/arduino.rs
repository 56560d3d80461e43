//! Both common libraries for Arduino, byte by byte: what they send, and what they ask of what they get.
//!
//! Read off their sources, of which nothing is copied here: `WebSockets` by Markus Sattler (`Links2004/arduinoWebSockets`, 2.6:
//! `src/WebSocketsClient.cpp` of 000fd8ab59c7, `src/WebSockets.cpp` of 083683425f47) and `ArduinoWebsockets` by Gil Maimon
//! (`gilmaimon/ArduinoWebsockets`, 0.5.3: `src/websockets_client.cpp` of 1c05674c4860, `src/websockets_endpoint.cpp` of
//! 527d2b6ed8e5). Their examples are in `clients/arduino/`.

use std::fs;

use crate::harness::{
    BINARY, CLOSE, CONTINUATION, Client, FIN, Frame, GREETING, PING, PONG, Response, Server, TEXT, post, project,
};

/// What the sketches ask for.
const LAMP: &str = "/c/lamp?history=1";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[derive(Debug, Clone, Copy)]
enum Library {
    Links2004,
    Gilmaimon,
}
use Library::{Gilmaimon, Links2004};

impl Library {
    /// Its handshake, with a login as it writes one.
    fn head(self, path: &str, login: &str) -> String {
        match self {
            // `WebSocketsClient::sendHeader`
            Links2004 => format!(
                "GET {path} HTTP/1.1\r\nHost: 192.168.1.5:1919\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 {KEY}Sec-WebSocket-Protocol: arduino\r\nOrigin: file://\r\nUser-Agent: arduino-WebSocket-Client\r\n{login}\r\n"
            ),
            // `generateHandshake`
            Gilmaimon => format!(
                "GET {path} HTTP/1.1\r\nHost: 192.168.1.5\r\n{KEY}{login}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 User-Agent: TinyWebsockets Client\r\nOrigin: https://github.com/gilmaimon/TinyWebsockets\r\n\r\n"
            ),
        }
    }

    /// Sees to it that it goes on after this answer: `handleHeader`, and `parseHandshakeResponse`.
    fn expect_to_accept(self, response: &Response) {
        let mut lines = response.head.split_terminator("\r\n");
        let status = lines.next().expect("it has a first line");
        assert!(status.starts_with("HTTP/1.1 101 "), "{self:?}: {status}");
        let value = |wanted: &str| {
            // The second takes the value to begin two bytes behind the name's end, and both compare all of it.
            let named = |line: &&str| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let line = lines.clone().find(named).unwrap_or_else(|| panic!("{self:?} wants {wanted}"));
            line[wanted.len() + 2..].to_owned()
        };
        assert!(value("Upgrade").eq_ignore_ascii_case("websocket"), "{self:?}: {response:?}");
        assert!(value("Connection").eq_ignore_ascii_case("upgrade"), "{self:?}: {response:?}");
        assert_eq!(value("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "{self:?}");
    }

    /// Its frame in the writes in which it goes out: `sendFrame`, and `WebsocketsEndpoint::send`.
    fn frame(self, first: u8, payload: &[u8]) -> Vec<Vec<u8>> {
        const RANDOM: [u8; 4] = [0xfe, 0x00, 0x5a, 0x13];
        match self {
            // What is short is copied, masked, and goes out in one piece; all else, and what is empty, has a mask of zeros.
            Links2004 if !payload.is_empty() && payload.len() < 1400 => {
                vec![[header(first, payload.len(), 0xffff, RANDOM), xor(payload, RANDOM)].concat()]
            }
            Links2004 => {
                let mut writes = vec![header(first, payload.len(), 0xffff, [0; 4]), payload.to_vec()];
                writes.retain(|write| !write.is_empty());
                writes
            }
            Gilmaimon => vec![[&header(first, payload.len(), 0x1_0000, [0; 4]), payload].concat()],
        }
    }

    /// Connects, joins the lamp's channel, and reads the greeting, as the sketch does.
    fn join(self, server: &Server) -> Client {
        let mut client = Client::connect(server.address());
        client.send(self.head(LAMP, "").as_bytes());
        self.expect_to_accept(&client.response(false));
        assert_eq!(client.text(), GREETING);
        client
    }

    fn send(self, client: &mut Client, first: u8, payload: &[u8]) {
        for write in self.frame(first, payload) {
            client.send(&write);
        }
    }
}

/// A header whose length takes 64 bits from `long_bytes` on, which is one too few in the first library.
fn header(first: u8, len: usize, long_bytes: usize, mask: [u8; 4]) -> Vec<u8> {
    let mut header = vec![first];
    if len < 126 {
        header.push(0x80 + u8::try_from(len).unwrap());
    } else if len < long_bytes {
        header.push(0x80 + 126);
        header.extend(u16::try_from(len).unwrap().to_be_bytes());
    } else {
        header.push(0x80 + 127);
        header.extend((len as u64).to_be_bytes());
    }
    header.extend(mask);
    header
}

fn xor(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

#[test]
fn both_get_in_where_the_sketches_go_and_are_told_the_last_message_behind_the_greeting() {
    let server = Server::start(&[]);
    assert_eq!(post(&server, "/c/lamp", "", b"on").status, 200);
    for (library, sketch) in [(Links2004, "links2004"), (Gilmaimon, "gilmaimon")] {
        let sketch = fs::read_to_string(project().join(format!("clients/arduino/{sketch}/{sketch}.ino"))).unwrap();
        assert!(sketch.contains(&format!("\"192.168.1.5\", 1919, \"{LAMP}\"")), "{library:?}");
        assert_eq!(library.join(&server).text(), "on", "{library:?}");
    }
}

#[test]
fn a_code_is_brought_in_the_address_and_in_each_header_that_they_write() {
    let server = Server::start(&["--code", "4711"]);
    for (library, path, login) in [
        (Links2004, "/c/lamp?history=1&code=4711", ""),
        (Links2004, LAMP, "Authorization: Basic bGFtcDo0NzEx\r\n"),
        (Links2004, LAMP, "Authorization: Bearer 4711\r\n"),
        (Gilmaimon, "/c/lamp?history=1&code=4711", ""),
        (Gilmaimon, LAMP, "Authorization: Bearer 4711\r\n"),
    ] {
        let mut client = Client::connect(server.address());
        client.send(library.head(path, login).as_bytes());
        library.expect_to_accept(&client.response(false));
        assert_eq!(client.text(), GREETING, "{library:?} {path} {login}");
    }
}

#[test]
fn what_they_send_behind_a_refusal_is_no_harm() {
    let server = Server::start(&["--code", "lamp=4711"]);
    let close = Gilmaimon.frame(FIN | CLOSE, &1002_u16.to_be_bytes()).concat();
    for (library, farewell) in [(Links2004, b"This is a webSocket client!".as_slice()), (Gilmaimon, &close)] {
        let mut client = Client::connect(server.address());
        client.send(library.head(LAMP, "").as_bytes());
        assert_eq!(client.response(false).status, 401, "{library:?}");
        // It may be gone by then, and they do not look.
        let _ = client.try_send(farewell);
        client.expect_end();
    }
    assert_eq!(server.figure("/refused/401"), 2);
    assert_eq!(server.figure("/refused/400"), 0);
}

#[test]
fn their_messages_arrive_unchanged_at_each_length_at_which_they_change_their_frames() {
    for library in [Links2004, Gilmaimon] {
        let server = Server::start(&[]);
        let mut listener = Client::join_at(server.address(), "/c/lamp");
        let mut client = library.join(&server);
        for len in [0, 1, 2, 125, 126, 1399, 1400, 15 * 1024, 65534, 65535, 65536] {
            let text = "x".repeat(len);
            library.send(&mut client, FIN | TEXT, text.as_bytes());
            assert!(listener.text() == text, "{library:?}: a text of {len} bytes");
            let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
            library.send(&mut client, FIN | BINARY, &bytes);
            assert!(listener.binary() == bytes, "{library:?}: {len} bytes");
            // What they have sent comes back to them: by that the sketches switch.
            assert!(client.text() == text && client.binary() == bytes, "{library:?}: {len} bytes");
        }
    }
}

#[test]
fn a_message_in_parts_arrives_as_one() {
    // `stream`, `send` and `end` of the second; the first sends none.
    let server = Server::start(&[]);
    let mut client = Gilmaimon.join(&server);
    for (first, part) in [(TEXT, "The lamp "), (CONTINUATION, "is "), (FIN | CONTINUATION, "on")] {
        Gilmaimon.send(&mut client, first, part.as_bytes());
    }
    assert_eq!(client.text(), "The lamp is on");
}

#[test]
fn their_pings_are_answered_and_their_pongs_are_a_sign_of_life() {
    let server = Server::start(&["--heartbeat", "300ms"]);
    for library in [Links2004, Gilmaimon] {
        let mut client = library.join(&server);
        assert_eq!(library.frame(FIN | PING, b""), [b"\x89\x80\0\0\0\0"]);
        library.send(&mut client, FIN | PING, b"");
        assert_eq!(client.frame(), Frame { opcode: PONG, payload: Vec::new() }, "{library:?}");
        // More pings than somebody gets who does not answer.
        for _ in 0..4 {
            let ping = client.frame();
            assert_eq!(ping.opcode, PING, "{library:?}");
            library.send(&mut client, FIN | PONG, &ping.payload);
        }
    }
}

#[test]
fn they_and_the_server_take_leave_of_each_other() {
    for (library, answer) in [(Links2004, 1000_u16), (Gilmaimon, 1001)] {
        let server = Server::start(&[]);
        let mut leaving = library.join(&server);
        library.send(&mut leaving, FIN | CLOSE, &1000_u16.to_be_bytes());
        leaving.expect_close(1000);
        server.wait_for_figure("/closed/closedByClient", 1);
        // The first answers each Close frame with 1000, the second with the code that it knows; both then close at once.
        let mut staying = library.join(&server);
        server.signal("TERM");
        let close = staying.frame();
        assert_eq!(close.close_parts().0, Some(1001), "{library:?}");
        library.send(&mut staying, FIN | CLOSE, &answer.to_be_bytes());
        staying.expect_end();
    }
}
