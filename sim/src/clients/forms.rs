//! Messages as streams over HTTP show them: events, lines, JSON.
//!
//! Leaves what a message is to the book. What must stay true: it is put here anew from what docs/wire.md says, so that a fault of the server's
//! encoding is none of this one.

use data_encoding::BASE64;
use serde_json::Value;

use crate::book::content::{NAME_BYTES_MAX, name_of};

/// In which form a stream shows messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `?as=events`.
    Events,
    /// `?as=lines`.
    Lines,
    /// `?as=json`.
    Json,
}

/// What comes next in a stream, as far as its first bytes say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A message: where its payload begins, whether it is text if that is said, when it came, and its name, if it is not empty.
    Message {
        /// Where what is behind its head begins.
        payload_at: usize,
        /// Whether it is text; lines do not say it.
        is_text: Option<bool>,
        /// When it was published, if that is said.
        at: Option<u64>,
        /// Its name; an empty one has none.
        name: Option<(u32, u32)>,
    },
    /// Nothing but a sign of life, of so many bytes.
    Heartbeat(usize),
    /// Where numbers begin anew: the JSON of a hello, and the length of all.
    Hello(String, usize),
    /// When to come back, of so many bytes; then the stream ends.
    Retry(usize),
}

impl Form {
    /// What stands in the address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Lines => "lines",
            Self::Json => "json",
        }
    }

    /// What comes next; `None` if too little is there to say it.
    ///
    /// # Errors
    /// If it can be nothing, or another number than `seq` of this epoch.
    pub fn next(self, bytes: &[u8], epoch: &str, seq: u64) -> Result<Option<Next>, String> {
        if bytes.is_empty() {
            return Ok(None);
        }
        match self {
            Self::Lines => Ok(named(bytes, 0, None, None, b'\n')),
            Self::Events => next_event(bytes, epoch, seq),
            Self::Json => next_json(bytes, seq),
        }
    }

    /// Appends what stands behind the head of a message.
    pub fn put(self, payload: &[u8], is_text: bool, into: &mut Vec<u8>) {
        match self {
            Self::Lines => into.extend_from_slice(payload),
            _ if !is_text => into.extend_from_slice(BASE64.encode(payload).as_bytes()),
            Self::Events => put_event_lines(payload, into),
            Self::Json => put_json(payload, into),
        }
        into.extend_from_slice(match self {
            Self::Events => b"\n\n",
            Self::Lines => b"\n",
            Self::Json => b"\"}\n",
        });
    }
}

/// Each line of a message is a line of data, at CR, LF and CRLF.
fn put_event_lines(payload: &[u8], into: &mut Vec<u8>) {
    let mut before = 0;
    for &byte in payload {
        match byte {
            b'\n' if before == b'\r' => {}
            b'\n' | b'\r' => into.extend_from_slice(b"\ndata: "),
            _ => into.push(byte),
        }
        before = byte;
    }
}

/// RFC 8259 section 7, with the short forms where they are.
fn put_json(payload: &[u8], into: &mut Vec<u8>) {
    for &byte in payload {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            ..b' ' => into.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => into.push(byte),
        }
    }
}

/// A message by the first bytes of its payload.
fn named(bytes: &[u8], payload_at: usize, is_text: Option<bool>, at: Option<u64>, end: u8) -> Option<Next> {
    let rest = &bytes[payload_at..];
    if *rest.first()? == end {
        return Some(Next::Message { payload_at, is_text, at, name: None });
    }
    let name = if is_text == Some(false) {
        // Whole groups of base64, in which the longest name lies, or all.
        let groups = NAME_BYTES_MAX.div_ceil(3) * 4;
        let end = rest.iter().position(|&byte| byte == end);
        let length = end.unwrap_or(groups).min(groups);
        name_of(&BASE64.decode(rest.get(..length)?).ok()?)
    } else {
        if rest.len() < NAME_BYTES_MAX && !rest.contains(&b' ') {
            return None;
        }
        name_of(rest)
    };
    Some(Next::Message { payload_at, is_text, at, name: Some(name.unwrap_or((u32::MAX, 0))) })
}

fn next_event(bytes: &[u8], epoch: &str, seq: u64) -> Result<Option<Next>, String> {
    for (sign, next) in [(&b":\n\n"[..], Next::Heartbeat(3)), (b"retry: 5000\n\n", Next::Retry(13))] {
        if bytes.starts_with(sign) {
            return Ok(Some(next));
        }
        if sign.starts_with(bytes) {
            return Ok(None);
        }
    }
    if bytes.starts_with(b"event: hello\n") {
        let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") else { return Ok(None) };
        let data = bytes[..end].windows(7).position(|seven| seven == b"\ndata: ").map(|at| at + 7);
        let data = data.ok_or("stream: a hello without data")?;
        return Ok(Some(Next::Hello(String::from_utf8_lossy(&bytes[data..end]).into_owned(), end + 2)));
    }
    let id = format!("id: {epoch}:{seq}\n");
    for (kind, is_text) in [("data: ", true), ("event: binary\ndata: ", false)] {
        let head = [id.as_str(), kind].concat();
        if bytes.starts_with(head.as_bytes()) {
            return Ok(named(bytes, head.len(), Some(is_text), None, b'\n'));
        }
        if head.as_bytes().starts_with(bytes) {
            return Ok(None);
        }
    }
    if b"event: hello\n".starts_with(bytes) {
        return Ok(None);
    }
    Err(format!("number: in place of {epoch}:{seq} an event begins with \"{}\"", shown(bytes)))
}

fn next_json(bytes: &[u8], seq: u64) -> Result<Option<Next>, String> {
    if bytes[0] == b'\n' {
        return Ok(Some(Next::Heartbeat(1)));
    }
    if !bytes.starts_with(b"{\"seq\":") {
        if b"{\"seq\":".starts_with(bytes) {
            return Ok(None);
        }
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let hello = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let is_hello = serde_json::from_str(&hello).is_ok_and(|json: Value| json["foghorn"] == 1);
        return if is_hello {
            Ok(Some(Next::Hello(hello, end + 1)))
        } else {
            Err(format!("stream: a line of JSON begins with \"{}\"", shown(bytes)))
        };
    }
    let head = format!("{{\"seq\":{seq},\"at\":");
    if !bytes.starts_with(head.as_bytes()) {
        if head.as_bytes().starts_with(bytes) {
            return Ok(None);
        }
        return Err(format!("number: in place of {seq} a line begins with \"{}\"", shown(bytes)));
    }
    let digits = bytes[head.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let behind = head.len() + digits;
    for (kind, is_text) in [(&b",\"text\":\""[..], true), (b",\"base64\":\"", false)] {
        if bytes[behind..].starts_with(kind) {
            let at = std::str::from_utf8(&bytes[head.len()..behind]).ok().and_then(|digits| digits.parse().ok());
            return Ok(named(bytes, behind + kind.len(), Some(is_text), at, b'"'));
        }
        if kind.starts_with(&bytes[behind..]) {
            return Ok(None);
        }
    }
    Err(format!("stream: a line of JSON begins with \"{}\"", shown(bytes)))
}

/// The first bytes, for people.
pub fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(60)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use foghorn::hub::stream_encoding::{Encoding, Message};

    use super::*;
    use crate::book::content::{Content, Style};

    const FORMS: [(Form, Encoding); 3] =
        [(Form::Events, Encoding::Events), (Form::Lines, Encoding::Lines), (Form::Json, Encoding::Json)];

    fn encoded(encoding: Encoding, content: &Content) -> Vec<u8> {
        let (bytes, is_text) = (content.bytes(), content.style.is_text());
        let message =
            Message { seq: 7, epoch: "abc", at_unix_secs: 1_700_000_000, is_text, payload: [&bytes[..], &[]] };
        let mut whole = Vec::new();
        encoding.encode(&message, None, usize::MAX, &mut whole);
        whole
    }

    #[test]
    fn a_message_is_as_the_server_encodes_it_and_known_by_its_beginning() {
        for (form, encoding) in FORMS {
            for style in [Style::Words, Style::Lines, Style::Wide, Style::Binary] {
                for bytes in [0, 6, 20, 21, 22, 100, 10_000] {
                    let content = Content::new(0xabc, 3, bytes, style);
                    let whole = encoded(encoding, &content);
                    let next = form.next(&whole, "abc", 7).unwrap().expect("it is whole");
                    let Next::Message { payload_at, is_text, at, name } = next else { panic!("{next:?}") };
                    assert_eq!(name, (bytes > 0).then_some((0xabc, 3)), "{form:?} {content}");
                    assert_eq!(is_text, (form != Form::Lines).then_some(style.is_text()));
                    assert_eq!(at, (form == Form::Json).then_some(1_700_000_000));
                    let mut put = Vec::new();
                    form.put(&content.bytes(), style.is_text(), &mut put);
                    assert_eq!(whole[payload_at..], put, "{form:?} {content}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_awaited_or_known_already() {
        for (form, encoding) in FORMS {
            let whole = encoded(encoding, &Content::new(0xabc, 3, 100, Style::Binary));
            let next = form.next(&whole, "abc", 7).unwrap();
            for cut in 0..whole.len() {
                let early = form.next(&whole[..cut], "abc", 7).unwrap();
                assert!(early.is_none() || early == next, "{form:?} {cut} {early:?}");
            }
        }
    }

    #[test]
    fn another_number_is_told() {
        let content = Content::new(0xabc, 3, 100, Style::Words);
        for (form, encoding) in [FORMS[0], FORMS[2]] {
            form.next(&encoded(encoding, &content), "abc", 8).expect_err("it is 7");
        }
        Form::Events.next(&encoded(Encoding::Events, &content), "abd", 7).expect_err("another epoch");
    }

    #[test]
    fn signs_of_life_and_hellos_are_told_from_messages() {
        assert_eq!(Form::Events.next(b":\n\nid", "a", 1), Ok(Some(Next::Heartbeat(3))));
        assert_eq!(Form::Json.next(b"\n{", "a", 1), Ok(Some(Next::Heartbeat(1))));
        assert_eq!(Form::Events.next(b"retry: 5000\n\n", "a", 1), Ok(Some(Next::Retry(13))));
        let hello = "{\"foghorn\":1}".to_owned();
        let event = format!("event: hello\nid: b:0\ndata: {hello}\n\n");
        assert_eq!(Form::Events.next(event.as_bytes(), "a", 1), Ok(Some(Next::Hello(hello.clone(), event.len()))));
        assert_eq!(Form::Json.next(b"{\"foghorn\":1}\n", "a", 1), Ok(Some(Next::Hello(hello, 14))));
    }
}
