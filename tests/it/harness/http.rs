//! Heads of requests, right or wrong, and the answers to them.

use std::fmt::Write as _;
use std::io::{self, BufRead};
use std::net::SocketAddr;

/// The head of a request.
pub fn request_head(address: SocketAddr, method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n")
}

/// The head of a post with a body of so many bytes.
pub fn post_head(address: SocketAddr, path: &str, lines: &str, body_bytes: usize) -> String {
    request_head(address, "POST", path, &format!("Content-Length: {body_bytes}\r\n{lines}"))
}

/// The head of a WebSocket handshake, with the key that RFC 6455 has as its example.
pub fn upgrade_head(host: &str, path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A line of `Name: value` for each, with its end.
pub fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().fold(String::new(), |mut lines, (name, value)| {
        let _ = write!(lines, "{name}: {value}\r\n");
        lines
    })
}

/// An answer to an HTTP request.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// Reads the head and the body of an answer.
    pub fn read_from(from: &mut impl BufRead, head_only: bool) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the answer ends in {head:?}")));
            }
        }
        let status =
            head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        let mut response = Self { status, head, body: Vec::new() };
        if !head_only && status >= 200 && !matches!(status, 204 | 304) {
            let length = response.header("Content-Length").and_then(|length| length.parse().ok());
            let length = length.ok_or_else(|| io::Error::other(format!("no length in {:?}", response.head)))?;
            response.body = vec![0; length];
            from.read_exact(&mut response.body)?;
        }
        Ok(response)
    }

    /// The value of a header that comes at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (its_name, value) = line.split_once(':')?;
            its_name.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        let value = values.next();
        assert!(values.next().is_none(), "{name} comes twice: {}", self.head);
        value
    }

    /// A refusal is one plain sentence, behind which the connection ends.
    pub fn expect_a_sentence(&self) {
        assert_eq!(self.header("Connection"), Some("close"), "{self:?}");
        assert_eq!(self.header("Content-Type"), Some("text/plain; charset=utf-8"), "{self:?}");
        let text = self.text();
        assert!(text.ends_with(".\n") && text.lines().count() == 1, "{text:?}");
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
