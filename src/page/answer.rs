//! An answer in memory, or a file, of which a response is made for each request: whole, a part, a head only, or 304.
//!
//! Leaves sending to `http::response`, and what a request wants of it to `conditions`. What must stay true: what depends on the request
//! (`Connection`, `Date`, the page's policy) is added here and is never part of what is kept.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use crate::config::limits::HEADERS_MAX;
use crate::http::conditions::{Conditions, Selected, Validators, date};
use crate::http::refusal::reason_phrase;
use crate::http::response::{self, FilePart, Response};
use crate::page::page_request::PageRequest;
use crate::page::representation::Representation;

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
    validators: Validators,
    /// The length of the body, which is not here if it was not asked for, or is a file.
    body_bytes: u64,
    body: Vec<u8>,
    /// In place of the body, a file to be streamed.
    file: Option<Arc<File>>,
    /// Whether it is the same for ever.
    pub is_unchanging: bool,
}

impl Answer {
    /// Reads what the page's server has sent to a request, to HEAD without a body. `take_file` gets the file of a number that it
    /// names.
    ///
    /// # Errors
    /// If that is no whole response.
    pub fn parse(bytes: &[u8], head_only: bool, take_file: impl FnOnce(u64) -> Option<File>) -> io::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = parsed.parse(bytes).map_err(io::Error::other)? else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let mut answer = Self {
            status: parsed.code.unwrap_or_default(),
            reason: parsed.reason.unwrap_or_default().to_owned(),
            lines: String::new(),
            validators: Validators::default(),
            body_bytes: 0,
            body: bytes[head_bytes..].to_vec(),
            file: None,
            is_unchanging: false,
        };
        for header in parsed.headers.iter() {
            answer.take_line(header.name, &String::from_utf8_lossy(header.value));
        }
        if !head_only && answer.body.len() as u64 != answer.body_bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let named = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(FILE_HEADER));
        let words = named.and_then(|header| std::str::from_utf8(header.value).ok()?.split_once(' '));
        if let Some((number, bytes)) = words {
            let file = number.parse().ok().and_then(take_file);
            // Without it, the length would be a promise that nobody keeps.
            answer.file = Some(Arc::new(file.ok_or(ErrorKind::NotFound)?));
            answer.body_bytes = bytes.parse().map_err(io::Error::other)?;
        }
        Ok(answer)
    }

    fn take_line(&mut self, name: &str, value: &str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("content-length") {
            self.body_bytes = value.parse().unwrap_or_default();
        } else if is(UNCHANGING_HEADER) {
            self.is_unchanging = true;
        } else if !["connection", "keep-alive", "server", "date", FILE_HEADER].into_iter().any(is) {
            if is("etag") {
                self.validators.etag = Some(value.to_owned());
            } else if is("last-modified") {
                self.validators.last_modified = date(value);
            }
            let _ = write!(self.lines, "{name}: {value}\r\n");
        }
    }

    /// The response to a request, with these lines more.
    pub fn response(&self, request: &PageRequest, more_lines: &str) -> Response {
        let bytes = self.body_bytes;
        let (status, part) = match self.select(&request.conditions) {
            Selected::Whole => (self.status, 0..bytes),
            Selected::Failed => return Self::from(Representation::replaced()).response(request, more_lines),
            Selected::NotModified => (304, 0..0),
            Selected::Part(part) => (206, part),
            Selected::Unsatisfiable => {
                return Self::from(Representation::unsatisfiable(bytes)).response(request, more_lines);
            }
        };
        let reason = if status == self.status { &self.reason } else { reason_phrase(status) };
        let body: &[u8] = if request.head_only || self.file.is_some() { &[] } else { &self.body[indices(&part)] };
        let mut head = response::begin(status, reason, request.keep_alive);
        head.reserve(self.lines.len() + more_lines.len() + body.len());
        // None beside 304: it could only repeat what is known (RFC 9110 section 15.4.5).
        if status != 304 {
            let _ = write!(head, "Content-Length: {}\r\n", part.end - part.start);
        }
        if status == 206 {
            let _ = write!(head, "Content-Range: bytes {}-{}/{bytes}\r\n", part.start, part.end - 1);
        }
        head.push_str(&self.lines);
        head.push_str(more_lines);
        head.push_str("\r\n");
        let mut head_and_body = head.into_bytes();
        head_and_body.extend_from_slice(body);
        let file = self.file.clone().filter(|_| !request.head_only);
        Response { status, head_and_body, file: file.map(|file| FilePart { file, range: part }) }
    }

    /// Only what is there, and has something to be known by, is sent in part or not at all.
    fn select(&self, conditions: &Conditions) -> Selected {
        let is_selectable = self.status == 200 && self.validators.etag.is_some();
        if is_selectable { conditions.select(&self.validators, self.body_bytes) } else { Selected::Whole }
    }
}

/// Where a part of a body in memory is.
fn indices(part: &Range<u64>) -> Range<usize> {
    let index = |position| usize::try_from(position).expect("it is in memory");
    index(part.start)..index(part.end)
}

impl From<Representation> for Answer {
    fn from(found: Representation) -> Self {
        let mut answer = Self {
            status: found.status,
            reason: reason_phrase(found.status).to_owned(),
            lines: String::new(),
            validators: Validators::default(),
            body_bytes: found.body.len() as u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_pages_server_is_whole_or_none() {
        let parse = |bytes: &str, head_only| Answer::parse(bytes.as_bytes(), head_only, |_| None);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(parse(&format!("{head}page"), false).unwrap().body, b"page");
        assert_eq!(parse(head, true).unwrap().body_bytes, 4);
        for cut in
            [&format!("{head}pag"), head, &head[..head.len() - 2], "HTTP/1.1 200 OK\r\nFoghorn-File: 1 70000\r\n\r\n"]
        {
            assert!(parse(cut, false).is_err(), "{cut:?}");
        }
    }
}
