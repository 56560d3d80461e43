//! An answer in memory, of which a response is made for each request: whole, as a head only, or as 304.
//!
//! Leaves sending to `http::response`. What must stay true: what depends on the request (`Connection`, `Date`, the page's policy)
//! is added here and is never part of what is kept.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::time::SystemTime;

use crate::config::limits::HEADERS_MAX;
use crate::http::refusal::reason_phrase;
use crate::http::response::Response;
use crate::page::page_request::PageRequest;
use crate::page::representation::{Representation, is_known};

/// The header in which the page's server says which file is to be streamed: its number, and its length in bytes.
pub const FILE_HEADER: &str = "Foghorn-File";
/// The header in which the page's server says that this answer is the same for ever.
pub const UNCHANGING_HEADER: &str = "Foghorn-Unchanging";

/// An answer in memory.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    reason: String,
    /// Header lines, each with its `\r\n`.
    lines: String,
    etag: Option<String>,
    /// The length of the body, which is not here if it was not asked for, or is a file.
    body_bytes: Option<u64>,
    body: Vec<u8>,
    /// In place of the body, a file to be streamed.
    file: Option<File>,
    /// Whether it is the same for ever.
    pub is_unchanging: bool,
}

impl Answer {
    /// Reads what the page's server has sent. `take_file` gets the file of a number that it names.
    ///
    /// # Errors
    /// If that is no whole response.
    pub fn parse(bytes: &[u8], take_file: impl FnOnce(u64) -> Option<File>) -> io::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = parsed.parse(bytes).map_err(io::Error::other)? else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let mut answer = Self {
            status: parsed.code.unwrap_or_default(),
            reason: parsed.reason.unwrap_or_default().to_owned(),
            lines: String::new(),
            etag: None,
            body_bytes: None,
            body: bytes[head_bytes..].to_vec(),
            file: None,
            is_unchanging: false,
        };
        for header in parsed.headers.iter() {
            answer.take_line(header.name, &String::from_utf8_lossy(header.value));
        }
        let named = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(FILE_HEADER));
        let words = named.and_then(|header| std::str::from_utf8(header.value).ok()?.split_once(' '));
        if let Some((number, bytes)) = words {
            let file = number.parse().ok().and_then(take_file);
            // Without it, the length would be a promise that nobody keeps.
            answer.file = Some(file.ok_or(ErrorKind::NotFound)?);
            answer.body_bytes = bytes.parse().ok();
        }
        Ok(answer)
    }

    fn take_line(&mut self, name: &str, value: &str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("content-length") {
            self.body_bytes = value.parse().ok();
        } else if is(UNCHANGING_HEADER) {
            self.is_unchanging = true;
        } else if !["connection", "server", "date", FILE_HEADER].into_iter().any(is) {
            if is("etag") {
                self.etag = Some(value.to_owned());
            }
            let _ = write!(self.lines, "{name}: {value}\r\n");
        }
    }

    /// The response to a request, with these lines more.
    pub fn response(&self, request: &PageRequest, more_lines: &str) -> Response {
        let if_none_match = request.if_none_match.as_deref();
        let is_known = self.status == 200 && is_known(self.etag.as_deref(), if_none_match);
        let (status, reason) = if is_known { (304, "Not Modified") } else { (self.status, self.reason.as_str()) };
        let body: &[u8] = if is_known || request.head_only { &[] } else { &self.body };
        let connection = if request.keep_alive { "keep-alive" } else { "close" };
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut head = String::with_capacity(256 + self.lines.len() + more_lines.len() + body.len());
        let _ = write!(head, "HTTP/1.1 {status} {reason}\r\nConnection: {connection}\r\nDate: {date}\r\n");
        // None beside 304: it could only repeat what is known (RFC 9110 section 15.4.5).
        if let Some(bytes) = self.body_bytes.filter(|_| status != 304) {
            let _ = write!(head, "Content-Length: {bytes}\r\n");
        }
        head.push_str(&self.lines);
        head.push_str(more_lines);
        head.push_str("\r\n");
        let mut head_and_body = head.into_bytes();
        head_and_body.extend_from_slice(body);
        Response { status, head_and_body, file: None }
    }

    /// The response to a request that nobody else asks for.
    pub fn into_response(mut self, request: &PageRequest) -> Response {
        let file = self.file.take().zip(self.body_bytes);
        Response { file, ..self.response(request, "") }
    }
}

impl From<Representation> for Answer {
    fn from(found: Representation) -> Self {
        let mut answer = Self {
            status: found.status,
            reason: reason_phrase(found.status).to_owned(),
            lines: String::new(),
            etag: None,
            body_bytes: Some(found.body.len() as u64),
            body: Vec::new(),
            file: None,
            is_unchanging: false,
        };
        for (name, value) in found.header_lines() {
            answer.take_line(name, value);
        }
        answer.body = found.body;
        answer
    }
}
