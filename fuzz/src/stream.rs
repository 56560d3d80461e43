//! Streams over HTTP: what goes in comes out of a decoder that is written from the standard's text, and from RFC 8259.
//!
//! The input is a byte of choices, one that says how large pieces are, one where the ring begins again, and messages, with a byte
//! `0x1f` between them.

use foghorn::hub::stream_encoding::{Encoded, Encoding, Message, SLACK_BYTES};

use crate::{Kind, kind};

const EPOCH: &str = "k3j9x2";
const AT_UNIX_SECS: u64 = 1_764_081_234;

/// A message as it was published, or as it was decoded: whether it is text, and its bytes.
type Said = (bool, Vec<u8>);

/// Any bytes as messages.
///
/// # Panics
/// If somebody is shown something else than what was published.
pub fn target(bytes: &[u8]) -> Kind {
    let [choices, piece, wrap, rest @ ..] = bytes else { return 0 };
    let encoding = [Encoding::Events, Encoding::Lines, Encoding::Json][usize::from(choices % 3)];
    let bytes_max = usize::from(*piece) * if choices & 8 == 0 { 1 } else { 16 } + 1;
    // What is not UTF-8 cannot have come in as text.
    let messages: Vec<Said> = rest
        .split(|&byte| byte == 0x1f)
        .map(|said| (choices & 4 == 0 && std::str::from_utf8(said).is_ok(), said.to_vec()))
        .collect();

    let mut stream = Vec::new();
    for ((is_text, said), seq) in messages.iter().zip(1..) {
        let payload = said.split_at(said.len() * usize::from(*wrap) / 255);
        let payload = [payload.0, payload.1];
        let message = Message { seq, epoch: EPOCH, at_unix_secs: AT_UNIX_SECS, is_text: *is_text, payload };
        let mut from = None;
        loop {
            let mut buffer = Vec::new();
            let encoded = encoding.encode(&message, from, bytes_max, &mut buffer);
            assert!(buffer.len() <= bytes_max + SLACK_BYTES, "a piece of {} bytes", buffer.len());
            stream.extend(buffer);
            let Encoded::Until(at) = encoded else { break };
            assert!(from < Some(at) && 0 < at && at < said.len(), "{from:?} to {at} of {}", said.len());
            from = Some(at);
        }
    }

    let decoded = match encoding {
        Encoding::Events => events(&stream),
        Encoding::Json => objects(&stream),
        Encoding::Lines => {
            assert_eq!(stream, messages.iter().flat_map(|(_, said)| [said, &b"\n"[..]].concat()).collect::<Vec<_>>());
            return kind((0, messages.len().min(5)));
        }
    };
    let shown = |(is_text, said): &Said| match encoding {
        Encoding::Events if *is_text => (true, with_line_feeds(said)),
        _ => (*is_text, said.clone()),
    };
    assert_eq!(decoded, messages.iter().map(shown).collect::<Vec<_>>());
    let texts = messages.iter().filter(|(is_text, _)| *is_text).count();
    kind((*choices % 3, texts.min(5), messages.len().min(5), stream.len().checked_ilog2()))
}

/// HTML standard, sections 9.2.5 and 9.2.6, as a machine that sees one byte after the other.
fn events(stream: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    let (mut data, mut event, mut id) = (Vec::new(), Vec::new(), Vec::new());
    let mut line = Vec::new();
    let mut after_cr = false;
    for &byte in stream {
        let is_second_half = after_cr && byte == b'\n';
        after_cr = byte == b'\r';
        if is_second_half {
            continue;
        }
        if byte != b'\n' && byte != b'\r' {
            line.push(byte);
            continue;
        }
        let ended = std::mem::take(&mut line);
        if ended.is_empty() {
            // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and return."
            if data.pop().is_some() {
                assert_eq!(id, format!("{EPOCH}:{}", said.len() + 1).into_bytes(), "an event has a forged id, or none");
                said.push(match &event[..] {
                    b"" => (true, std::mem::take(&mut data)),
                    b"binary" => (false, base64(&data)),
                    other => panic!("an event {}", other.escape_ascii()),
                });
            }
            data.clear();
            event.clear();
            continue;
        }
        let colon = ended.iter().position(|&byte| byte == b':').unwrap_or(ended.len());
        let (field, value) = ended.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => data.extend(value.iter().chain(b"\n")),
            b"event" => event = value.to_vec(),
            b"id" => id = value.to_vec(),
            other => panic!("a field {}", other.escape_ascii()),
        }
    }
    assert!(line.is_empty() && data.is_empty() && event.is_empty(), "the stream ends within an event");
    said
}

/// What a reader of events has of a text: it cannot tell one end of a line from another.
fn with_line_feeds(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for (nth, &byte) in text.iter().enumerate() {
        match byte {
            b'\n' if nth > 0 && text[nth - 1] == b'\r' => {}
            b'\r' => shown.push(b'\n'),
            _ => shown.push(byte),
        }
    }
    shown
}

/// RFC 8259, no more of it than is sent: `{"seq":1,"at":2,"text":"…"}` and a line feed.
fn objects(stream: &[u8]) -> Vec<Said> {
    let stream = std::str::from_utf8(stream).expect("JSON is UTF-8");
    let object = |(line, seq): (&str, u64)| {
        let rest = line.strip_prefix(&format!("{{\"seq\":{seq},\"at\":{AT_UNIX_SECS},\"")).expect("its beginning");
        let (key, rest) = rest.split_once("\":\"").expect("a value");
        let value = string(rest.strip_suffix("\"}").expect("its end"));
        match key {
            "text" => (true, value.into_bytes()),
            "base64" => (false, base64(value.as_bytes())),
            other => panic!("a key {other:?}"),
        }
    };
    let lines = stream.strip_suffix('\n').expect("a line has an end").split('\n');
    lines.zip(1..).map(object).collect()
}

/// RFC 8259 section 7, between the quotation marks.
fn string(escaped: &str) -> String {
    let mut chars = escaped.chars();
    let mut value = String::new();
    while let Some(char) = chars.next() {
        assert!(char >= ' ' && char != '"', "{char:?} is not escaped");
        let char = if char == '\\' {
            chars.next().expect("an escape has a second half")
        } else {
            value.push(char);
            continue;
        };
        value.push(match char {
            '"' | '\\' | '/' => char,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).expect("hexadecimal digits")).expect("no surrogate")
            }
            other => panic!("an escape {other:?}"),
        });
    }
    value
}

/// RFC 4648 section 4: four characters are three bytes.
fn base64(chars: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert!(chars.len() % 4 == 0, "{} ends within a group", chars.escape_ascii());
    let mut bytes = Vec::new();
    for (nth, group) in chars.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|&&char| char == b'=').count();
        assert!(padding <= 2 && (padding == 0 || (nth + 1) * 4 == chars.len()), "padding is at the end");
        let value = group[..4 - padding].iter().fold(0_u32, |value, char| {
            let bits = ALPHABET.iter().position(|known| known == char).expect("a character of base64");
            value << 6 | u32::try_from(bits).expect("below 64")
        }) << (6 * padding);
        bytes.extend(&value.to_be_bytes()[1..4 - padding]);
    }
    bytes
}
