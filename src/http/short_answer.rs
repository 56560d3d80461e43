//! An answer that is in memory and made for one request: a few lines of JSON, a message, a redirect.
//!
//! Leaves sending to `response`. What must stay true: an answer to HEAD, and one without content, has no body, and says so in its
//! head (RFC 9110 sections 8.6 and 9.3.2).

use std::fmt::Write;

use crate::http::head::Head;
use crate::http::refusal::reason_phrase;
use crate::http::response::{self, Response};

/// What of a request decides how its answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// `HEAD` in place of `GET`.
    pub head_only: bool,
    /// Whether the client wants to send further requests on this connection.
    pub keep_alive: bool,
}

impl Asked {
    /// What this head asks for.
    pub fn of(head: &Head<'_>) -> Self {
        Self { head_only: head.method == "HEAD", keep_alive: head.keep_alive() }
    }
}

/// The answer.
#[derive(Debug)]
pub struct ShortAnswer {
    /// The status.
    pub status: u16,
    /// Header lines, each with its `\r\n`.
    pub lines: String,
    /// The body.
    pub body: Vec<u8>,
}

impl ShortAnswer {
    /// Of nothing but a status.
    pub fn empty(status: u16) -> Self {
        Self { status, lines: String::new(), body: Vec::new() }
    }

    /// One with status 200 that nobody may keep.
    pub fn json(value: &impl ToString) -> Self {
        let lines = "Content-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
        Self { status: 200, lines: lines.to_owned(), body: format!("{}\n", value.to_string()).into_bytes() }
    }

    /// A sentence that says what to do, which nobody may keep.
    pub fn sentence(status: u16, sentence: &str) -> Self {
        Self { status, lines: String::new(), body: format!("{sentence}\n").into_bytes() }
            .with("Content-Type", "text/plain; charset=utf-8")
            .with("Cache-Control", "no-store")
            .with("X-Content-Type-Options", "nosniff")
    }

    /// To another address, from now on as well as today.
    pub fn redirect(location: &str) -> Self {
        Self { status: 308, lines: format!("Location: {location}\r\n"), body: Vec::new() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let _ = write!(self.lines, "{name}: {value}\r\n");
        self
    }

    /// Adds header lines, each with its `\r\n`.
    #[must_use]
    pub fn with_lines(mut self, lines: &str) -> Self {
        self.lines.push_str(lines);
        self
    }

    /// The response to a request.
    pub fn response(&self, asked: Asked) -> Response {
        let mut head_and_body = self.head(asked, self.body.len()).into_bytes();
        if self.has_content() && !asked.head_only {
            head_and_body.extend_from_slice(&self.body);
        }
        Response { status: self.status, head_and_body, file: None }
    }

    /// The head of a response to a request, with a body of so many bytes.
    pub fn head(&self, asked: Asked, body_bytes: usize) -> String {
        let mut head = response::begin(self.status, reason_phrase(self.status), asked.keep_alive);
        if self.has_content() {
            let _ = write!(head, "Content-Length: {body_bytes}\r\n");
        }
        head + &self.lines + "\r\n"
    }

    fn has_content(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &ShortAnswer, head_only: bool, keep_alive: bool) -> String {
        String::from_utf8(answer.response(Asked { head_only, keep_alive }).head_and_body).unwrap()
    }

    #[test]
    fn a_head_says_how_long_the_body_is_and_whether_the_connection_goes_on() {
        let answer = ShortAnswer::json(&serde_json::json!({"a": 1})).with("Foghorn-Seq", "abc:1");
        let whole = text(&answer, false, true);
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{whole}");
        assert!(
            whole.contains("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=12\r\nContent-Length: 8\r\n"),
            "{whole}"
        );
        assert!(whole.ends_with("\r\nFoghorn-Seq: abc:1\r\n\r\n{\"a\":1}\n"), "{whole}");
        let head = text(&answer, true, false);
        assert!(
            head.contains("\r\nConnection: close\r\nContent-Length: 8\r\n") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }

    #[test]
    fn what_has_no_content_has_no_length() {
        let answer = text(&ShortAnswer::empty(204), false, true);
        assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n") && !answer.contains("Content-Length"), "{answer}");
    }
}
