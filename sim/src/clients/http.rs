//! Requests as clients write them, and the heads of answers as they read them.
//!
//! Leaves what an answer says to others. What must stay true: an answer that is no HTTP is told from one that has not come yet.

use std::fmt::Write;

/// The key of RFC 6455's example, which all have here, and what follows from it.
pub const KEY: [&str; 2] = ["dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];
/// The longest head of an answer, in bytes: a greeting of 4 KiB may be in one.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its status.
    pub status: u16,
    /// Its length.
    pub bytes: usize,
    lines: Vec<(String, String)>,
}

impl Head {
    /// The head that stands here, if it is whole.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let wrong = |what: &str| Err(format!("answer: {what}: \"{}\"", bytes[..bytes.len().min(80)].escape_ascii()));
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() > HEAD_BYTES_MAX { wrong("its head does not end") } else { Ok(None) };
        };
        let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return wrong("its head is no text") };
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let Some(status) = status else { return wrong("it is no HTTP") };
        let mut all = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(": ") else { return wrong("a line has no name") };
            all.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Ok(Some(Self { status, bytes: end + 4, lines: all }))
    }

    /// The value of a line, by its name in small letters.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str())
    }

    /// The length of the body, if it says one.
    pub fn length(&self) -> Option<usize> {
        self.get("content-length")?.parse().ok()
    }

    /// What `Foghorn-Seq` says.
    pub fn position(&self) -> Option<(&str, u64)> {
        let (epoch, seq) = self.get("foghorn-seq")?.split_once(':')?;
        Some((epoch, seq.parse().ok()?))
    }
}

/// The path of a channel.
pub fn path(channel: &str) -> String {
    if channel.is_empty() { "/".to_owned() } else { format!("/c/{channel}") }
}

/// An address with a code in it, if one is needed.
pub fn with_code(target: &str, code: Option<&str>) -> String {
    let Some(code) = code else { return target.to_owned() };
    let between = if target.contains('?') { '&' } else { '?' };
    format!("{target}{between}code={code}")
}

/// A request's head, with these lines beside the Host.
pub fn request(method: &str, target: &str, lines: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: board.local:1919\r\n");
    for (name, value) in lines {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// The request for a WebSocket.
pub fn upgrade(target: &str, protocol: Option<&str>) -> String {
    upgrade_with(target, protocol, &[])
}

/// The same with more lines.
pub fn upgrade_with(target: &str, protocol: Option<&str>, more: &[(&str, &str)]) -> String {
    let mut lines = vec![
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY[0]),
    ];
    lines.extend(protocol.map(|protocol| ("Sec-WebSocket-Protocol", protocol)));
    lines.extend(more);
    request("GET", target, &lines)
}

/// Appends a body in chunks, each of as many bytes as `next` says.
pub fn put_chunks(into: &mut Vec<u8>, mut body: &[u8], mut next: impl FnMut() -> usize) {
    while !body.is_empty() {
        let (chunk, rest) = body.split_at(next().clamp(1, body.len()));
        into.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        into.extend_from_slice(chunk);
        into.extend_from_slice(b"\r\n");
        body = rest;
    }
    into.extend_from_slice(b"0\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use foghorn::http::body::{BodyDecoder, Framing};

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nFoghorn-Seq: abc:7\r\n\r\nhello";
        for cut in 0..bytes.len() - 5 {
            assert_eq!(Head::parse(&bytes[..cut]), Ok(None));
        }
        let head = Head::parse(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.length(), head.position()), (200, Some(5), Some(("abc", 7))));
        assert_eq!(&bytes[head.bytes..], b"hello");
        Head::parse(b"HTTP/1.0 200 OK\r\n\r\n").expect_err("no such version");
        Head::parse(b"hello\r\n\r\n").expect_err("no HTTP");
    }

    #[test]
    fn the_server_reads_chunks_of_any_length_as_they_were_written() {
        let body: Vec<u8> = (0..1000_u32).map(|nth| nth.to_le_bytes()[0]).collect();
        for bytes in [1, 7, 16, 999, 5000] {
            let mut chunks = Vec::new();
            put_chunks(&mut chunks, &body, || bytes);
            let (mut decoder, mut read) = (BodyDecoder::new(Framing::Chunked, 1000).unwrap(), Vec::new());
            let chunks_bytes = chunks.len();
            if let Ok(taken) = decoder.decode(&chunks, &mut read) {
                assert_eq!((taken, &read), (chunks_bytes, &body));
            } else {
                // What stands beside the data is bounded.
                assert!(bytes == 1, "{bytes}");
            }
        }
    }
}
