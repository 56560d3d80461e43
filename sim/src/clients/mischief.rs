//! What vandals send, and how docs/wire.md and docs/reference.md say that it is answered.
//!
//! Leaves sending it to `vandal`. What must stay true: each breaks one rule, and nothing of it can be taken for a message.

use fastrand::Rng;

use crate::book::Book;
use crate::clients::frames::{self, BINARY, CLOSE, FIN, PING, TEXT};
use crate::clients::http::{request, upgrade};
use crate::clients::talking::mask;

/// What a vandal does.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Breaks a rule.
    Break(Mischief),
    /// Says nothing, or half of a head.
    Silent(&'static [u8]),
    /// Comes with many connections that say nothing.
    Crowd,
    /// Comes with many WebSockets from one address.
    Clients,
    /// Has the server send pongs that it does not read.
    Pings,
}

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mischief {
    /// For people.
    pub name: &'static str,
    /// Whether it is done over a WebSocket that was let in.
    pub is_websocket: bool,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// The close codes, or the statuses, of which one comes of it.
    pub expects: &'static [u16],
}

impl Mischief {
    /// Any, to this path of a channel whose largest message is so long.
    pub fn draw(random: &mut Rng, book: &Book, channel: usize, path: &str) -> Self {
        let message_bytes_max = book.message_bytes_max(channel);
        if random.bool() {
            over_websocket(random, message_bytes_max)
        } else {
            over_http(random, message_bytes_max, path)
        }
    }
}

fn frame(random: &mut Rng, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames::put(&mut bytes, first, payload, mask(random));
    bytes
}

fn over_websocket(random: &mut Rng, message_bytes_max: usize) -> Mischief {
    let too_large = message_bytes_max + random.usize(1..1000);
    let (name, bytes, expects): (_, Vec<u8>, &'static [u16]) = match random.u8(..16) {
        0 => ("a frame without a mask", vec![FIN | TEXT, 2, b'n', b'o'], &[1002]),
        1 => ("a reserved bit", frame(random, FIN | 0x40 | TEXT, b"no"), &[1002]),
        2 => {
            let opcode = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15][random.usize(..10)];
            ("a reserved opcode", frame(random, FIN | opcode, b"no"), &[1002])
        }
        3 => ("a ping that is too long", frame(random, FIN | PING, &[b'x'; 126]), &[1002]),
        4 => ("a ping in fragments", frame(random, PING, b"no"), &[1002]),
        5 => ("the end of no message", frame(random, FIN, b"no"), &[1002]),
        6 => (
            "a message within a message",
            [frame(random, TEXT, b"a"), frame(random, FIN | TEXT, b"b")].concat(),
            &[1002],
        ),
        7 => ("a text that is none", frame(random, FIN | TEXT, b"\xff\xfe no"), &[1007]),
        8 => {
            let halves = [frame(random, TEXT, b"n\xc3"), frame(random, FIN, b"o")];
            ("a text with a cut character", halves.concat(), &[1007])
        }
        9 => {
            let mut bytes = vec![FIN | BINARY];
            frames::put_length(&mut bytes, too_large, 0x80);
            bytes.extend_from_slice(&[1, 2, 3, 4]);
            ("the head of a message that is too large", bytes, &[1009])
        }
        10 => {
            let bytes = frame(random, FIN | BINARY, &vec![b'x'; too_large]);
            ("a message that is too large", bytes, &[1009])
        }
        11 => {
            let first = frame(random, BINARY, &vec![b'x'; message_bytes_max]);
            let second = frame(random, FIN, &[b'x'; 100]);
            ("a message that is too large in fragments", [first, second].concat(), &[1009])
        }
        12 => {
            let code = [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000][random.usize(..9)];
            ("a code that nobody may send", frame(random, FIN | CLOSE, &code.to_be_bytes()), &[1002])
        }
        13 => ("half a code", frame(random, FIN | CLOSE, &[3]), &[1002]),
        14 => ("a reason that is no text", frame(random, FIN | CLOSE, b"\x03\xe8\xff"), &[1002, 1007]),
        _ => ("a length that has no end", [&[FIN | BINARY][..], &[0xff; 9], &[1, 2, 3, 4]].concat(), &[1002, 1009]),
    };
    Mischief { name, is_websocket: true, bytes, expects }
}

fn over_http(random: &mut Rng, message_bytes_max: usize, path: &str) -> Mischief {
    let get = |lines: &[(&str, &str)]| request("GET", &format!("{path}?status"), lines).into_bytes();
    let post = |lines: &[(&str, &str)], body: &[u8]| [request("POST", path, lines).as_bytes(), body].concat();
    let long = "x".repeat(17 * 1024);
    let length = (message_bytes_max + random.usize(1..100_000)).to_string();
    let (name, bytes, expects): (_, Vec<u8>, &'static [u16]) = match random.u8(..20) {
        0 => ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[400]),
        1 => ("no Host", format!("GET {path}?status HTTP/1.1\r\n\r\n").into_bytes(), &[400]),
        2 => ("two Hosts", get(&[("Host", "board.local")]), &[400]),
        3 => ("a line that ends in LF", format!("GET {path}?status HTTP/1.1\nHost: x\n\n").into_bytes(), &[400]),
        4 => ("a head that is too large", get(&[("X", &long)]), &[431]),
        5 => ("too many lines", get(&[("X", "y"); 70]), &[431]),
        6 => {
            ("a foreign Host", format!("GET {path}?status HTTP/1.1\r\nHost: example.com\r\n\r\n").into_bytes(), &[403])
        }
        7 => ("a foreign Origin", get(&[("Origin", "http://example.com")]), &[403]),
        8 => ("two lengths", post(&[("Content-Length", "3"), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n"), &[400]),
        9 => ("a chunk of no length", post(&[("Transfer-Encoding", "chunked")], b"zz\r\nno\r\n0\r\n\r\n"), &[400]),
        10 => ("a post that is too large", post(&[("Content-Length", &length)], b""), &[413]),
        11 => ("a post that is no text", post(&[("Content-Length", "2")], b"\xff\xfe"), &[415]),
        12 => ("a post that is packed", post(&[("Content-Length", "2"), ("Content-Encoding", "gzip")], b"no"), &[415]),
        13 => ("a post to nowhere", request("POST", "/nowhere", &[("Content-Length", "0")]).into_bytes(), &[404]),
        14 => ("an unknown method", request("BREW", path, &[]).into_bytes(), &[405]),
        15 => ("a place that cannot be read", upgrade(&format!("{path}?after=nowhere"), None).into_bytes(), &[400]),
        16 => {
            let lines = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "12")];
            ("another version", request("GET", path, &lines).into_bytes(), &[426])
        }
        17 => ("a stream of no form", request("GET", &format!("{path}?as=xml"), &[]).into_bytes(), &[400]),
        18 => ("a folded line", get(&[("X", "y\r\n z")]), &[400]),
        _ => {
            let chunk = format!("1;{}\r\nx\r\n", "y".repeat(5000));
            ("a chunk with a long extension", post(&[("Transfer-Encoding", "chunked")], chunk.as_bytes()), &[400])
        }
    };
    Mischief { name, is_websocket: false, bytes, expects }
}
