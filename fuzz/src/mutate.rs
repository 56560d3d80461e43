//! Changing inputs a little: bytes, pieces, words that matter, and parts of another input.

use fastrand::Rng;

/// The longest input, in bytes. A head may have 16 KiB.
const INPUT_BYTES_MAX: usize = 16 * 1024 + 64;

/// Words that a random byte would hardly ever spell.
const WORDS: [&[u8]; 81] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"/",
    b"//",
    b"..",
    b"/../",
    b"%2e%2e",
    b"%2f",
    b"%5c",
    b"%00",
    b"%25",
    b"%ff",
    b"%C3%A4",
    b"\\",
    b"?after=",
    b"&echo=0",
    b"&replaces=",
    b"epoch:1",
    b"18446744073709551615",
    b"18446744073709551616",
    b"GET / HTTP/1.1\r\n",
    b"HEAD ",
    b"POST ",
    b"Expect: 100-continue\r\n",
    b"Content-Type: image/png\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Range: bytes 0-0/1\r\n",
    b"Host: x\r\n",
    b"Host: board.local:1919\r\n",
    b"Origin: http://board.local\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"\r\n5\r\n",
    b";a=\"b\"",
    b"0x5",
    b"ffffffffffffffff",
    b"Connection: close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Protocol: foghorn.v1\r\n",
    b"If-Match: \"1\"\r\n",
    b"If-Unmodified-Since: Sun Nov  6 08:49:37 1994\r\n",
    b"If-None-Match: \"1\"\r\n",
    b"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    b"Range: bytes=0-1\r\n",
    b"If-Range: \"1\"\r\n",
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"bytes=",
    b"-",
    b".local",
    b".home.arpa",
    b".localdomain",
    b"localhost",
    b"board.example.com",
    b"evil.example",
    b"127.0.0.1",
    b"[::1]",
    b"[fe80::1%25eth0]",
    b"http://",
    b"https://",
    b"null",
    b"*",
    b"@",
    // Masked frames with a mask of zeros: text, the middle and the end of a fragmented message, ping, close.
    b"\x81\x82\0\0\0\0hi",
    b"\x01\x80\0\0\0\0",
    b"\x00\x81\0\0\0\0\xc3",
    b"\x80\x81\0\0\0\0\xa4",
    b"\x89\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8",
    b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0",
];

/// Changes `input` in a few places; `other` is one to take pieces from.
pub fn mutate(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=rng.usize(..4) {
        mutate_once(rng, input, other);
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn mutate_once(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=input.len());
    let piece = |rng: &mut Rng, of: &[u8]| {
        let start = rng.usize(..=of.len());
        of[start..(start + rng.usize(..=64)).min(of.len())].to_vec()
    };
    match rng.u8(..9) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 => input.insert(at, rng.u8(..)),
        3 => {
            let until = (at + rng.usize(1..=16)).min(input.len());
            input.drain(at..until);
        }
        4 => {
            let own = piece(rng, input);
            input.splice(at..at, own);
        }
        5 => {
            let others = piece(rng, other);
            input.splice(at..at, others);
        }
        6 | 7 => {
            let word = WORDS[rng.usize(..WORDS.len())];
            let until = if rng.bool() { (at + word.len()).min(input.len()) } else { at };
            input.splice(at..until, word.iter().copied());
        }
        _ => {
            // A long run, for what counts.
            let byte = *input.get(at).unwrap_or(&b'a');
            input.splice(at..at, std::iter::repeat_n(byte, rng.usize(1..=300)));
        }
    }
}
