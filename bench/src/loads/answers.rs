//! HTTP answers out of the bytes of one connection, in whatever pieces they come.
//!
//! Sockets are left to `visit` and `kept`. What must stay true: an answer that is no success (200, and what nchan says to a post, 201 or 202) with a length is an error,
//! and nothing of the next answer is lost.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};

/// No answer of the benchmark's page is larger.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What asks for this path, as every load of pages asks.
pub fn request(path: &str, addr: SocketAddr) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nAccept: */*\r\n\r\n")
}

/// What posts this text to this path.
pub fn post(path: &str, addr: SocketAddr, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The bytes that have been read and belong to no complete answer yet.
#[derive(Debug, Default)]
pub struct Answers {
    ahead: Vec<u8>,
}

impl Answers {
    /// Takes in what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
    }

    /// The body of the next answer, once all of it is here.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>> {
        let Some((head_bytes, body)) = head(&self.ahead)? else {
            return self.not_yet();
        };
        let rest = &self.ahead[head_bytes..];
        let taken = match body {
            Body::Sized(bytes) => rest.get(..bytes).map(|body| (bytes, body.to_vec())),
            Body::Chunked => chunks(rest)?,
        };
        let Some((body_bytes, body)) = taken else {
            return self.not_yet();
        };
        self.ahead.drain(..head_bytes + body_bytes);
        Ok(Some(body))
    }

    fn not_yet(&self) -> Result<Option<Vec<u8>>> {
        if self.ahead.len() > ANSWER_BYTES_MAX {
            bail!("an answer of the server has no end");
        }
        Ok(None)
    }
}

#[derive(Debug)]
enum Body {
    Sized(usize),
    Chunked,
}

/// How long the head is, and what comes after it.
fn head(bytes: &[u8]) -> Result<Option<(usize, Body)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(bytes).context("the answer is no HTTP")? else {
        return Ok(None);
    };
    if !matches!(response.code, Some(200..=202)) {
        bail!("the answer has status {}", response.code.unwrap_or(0));
    }
    let value = |name: &str| {
        let header = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let body = match (value("content-length"), value("transfer-encoding")) {
        (Some(length), _) => Body::Sized(length.parse().context("the length of an answer is no number")?),
        (None, Some("chunked")) => Body::Chunked,
        _ => bail!("the answer has no length"),
    };
    Ok(Some((head_bytes, body)))
}

/// A chunked body that is complete: its bytes in the stream, and what they hold.
fn chunks(mut rest: &[u8]) -> Result<Option<(usize, Vec<u8>)>> {
    let (all, mut body) = (rest.len(), Vec::new());
    loop {
        let (line_bytes, chunk_bytes) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((line_bytes, chunk_bytes))) => (line_bytes, usize::try_from(chunk_bytes)?),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => bail!("a chunk of the answer has no size"),
        };
        // After each chunk, the empty last one too, the line ends.
        let end = line_bytes.saturating_add(chunk_bytes).saturating_add(2);
        let Some(chunk) = rest.get(line_bytes..end) else {
            return Ok(None);
        };
        body.extend_from_slice(&chunk[..chunk_bytes]);
        rest = &rest[end..];
        if chunk_bytes == 0 {
            return Ok(Some((all - rest.len(), body)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_however_a_stream_is_cut() {
        let stream = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\
            \r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for piece_bytes in [1, 2, 7, 40, stream.len()] {
            let (mut answers, mut bodies) = (Answers::default(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                answers.feed(piece);
                while let Some(body) = answers.take().unwrap() {
                    bodies.push(body);
                }
            }
            assert_eq!(bodies, [&b"hello"[..], b"abcde", b""], "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn only_a_200_with_a_length_is_an_answer() {
        for head in ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "hello\r\n\r\n"]
        {
            let mut answers = Answers::default();
            answers.feed(head.as_bytes());
            answers.take().expect_err(head);
        }
    }
}
