//! A message as a stream over HTTP shows it: as an event, as a line, or as JSON. Encoded in pieces, so that nobody has to hold a
//! large message a second time.
//!
//! Leaves to others which message, when, and to whom. What must stay true: pieces of any size, one behind the other, are the same
//! bytes; and whatever a message contains, it cannot look like more than one, or like a field of one.

use data_encoding::BASE64;

/// How much longer than its `bytes_max` a piece can be, in bytes: what stands before a payload, one step of it, and what stands behind.
pub const SLACK_BYTES: usize = 128;

/// In this many bytes at once is looked for one that needs an escape.
const LOOK_BYTES: usize = 32;
/// How many bytes of a payload become one group of base64, and how many that has (RFC 4648 section 4).
const BASE64_GROUP: [usize; 2] = [3, 4];

/// How a stream shows messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// Server-Sent Events (HTML standard, section 9.2).
    Events,
    /// The bytes of each message, and a line feed.
    Lines,
    /// A JSON object and a line feed for each message.
    Json,
}

/// A message, with all that a stream may say of it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its number.
    pub seq: u64,
    /// What its number belongs to: letters and digits.
    pub epoch: &'a str,
    /// When it was published, in seconds since 1970.
    pub at_unix_secs: u64,
    /// Whether it is text; else it is binary.
    pub is_text: bool,
    /// Its bytes, as they lie in a ring; of a text they are UTF-8.
    pub payload: [&'a [u8]; 2],
}

/// How far a message is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// With what stands before its payload, and so many bytes of that. There is more.
    Until(usize),
    /// To its end.
    Whole,
}

/// How the bytes of a payload are written.
#[derive(Debug, Clone, Copy)]
enum Body {
    Raw,
    EventLines,
    JsonString,
    Base64,
}

impl Encoding {
    /// Appends a piece of `message` to `into`: from its beginning, or from the payload byte `from` that an earlier piece has
    /// [gone until](Encoded::Until). Stops when `into` has `bytes_max` bytes, give or take [`SLACK_BYTES`], but goes on by at least one
    /// step; the last piece has the end with it.
    pub fn encode(self, message: &Message<'_>, from: Option<usize>, bytes_max: usize, into: &mut Vec<u8>) -> Encoded {
        let mut at = from.unwrap_or_else(|| {
            self.begin(message, into);
            0
        });
        let body = self.body(message);
        let len = message.len();
        while at < len {
            at += body.step(message, at, bytes_max.saturating_sub(into.len()).max(1), into);
            if at < len && into.len() >= bytes_max {
                return Encoded::Until(at);
            }
        }
        into.extend_from_slice(self.end());
        Encoded::Whole
    }

    /// What tells a reader that the stream is alive and says nothing else; empty where there is no such thing. It has its place between
    /// messages.
    pub fn heartbeat(self) -> &'static [u8] {
        match self {
            // A comment, and the end of no event.
            Self::Events => b":\n\n",
            Self::Lines => b"",
            Self::Json => b"\n",
        }
    }

    fn begin(self, message: &Message<'_>, into: &mut Vec<u8>) {
        let Message { seq, epoch, at_unix_secs, is_text, .. } = message;
        let beginning = match self {
            Self::Events if *is_text => format!("id: {epoch}:{seq}\ndata: "),
            Self::Events => format!("id: {epoch}:{seq}\nevent: binary\ndata: "),
            Self::Lines => return,
            Self::Json => {
                let kind = if *is_text { "text" } else { "base64" };
                format!(r#"{{"seq":{seq},"at":{at_unix_secs},"{kind}":""#)
            }
        };
        into.extend_from_slice(beginning.as_bytes());
    }

    fn end(self) -> &'static [u8] {
        match self {
            Self::Events => b"\n\n",
            Self::Lines => b"\n",
            Self::Json => b"\"}\n",
        }
    }

    fn body(self, message: &Message<'_>) -> Body {
        match self {
            Self::Lines => Body::Raw,
            _ if !message.is_text => Body::Base64,
            Self::Events => Body::EventLines,
            Self::Json => Body::JsonString,
        }
    }
}

impl Message<'_> {
    /// The length of the payload.
    fn len(&self) -> usize {
        self.payload[0].len() + self.payload[1].len()
    }

    /// The payload from `at` on, as far as it lies in one slice.
    fn run_from(&self, at: usize) -> &[u8] {
        let [first, second] = self.payload;
        if at < first.len() { &first[at..] } else { &second[at - first.len()..] }
    }

    fn byte(&self, at: usize) -> u8 {
        self.run_from(at)[0]
    }
}

impl Body {
    /// Writes what comes at `at`, some `room` bytes of it, and returns how many bytes of the payload that were: at least one.
    fn step(self, message: &Message<'_>, at: usize, room: usize, into: &mut Vec<u8>) -> usize {
        let run = message.run_from(at);
        let run = &run[..run.len().min(room)];
        let plain = match self {
            Self::Raw => run.len(),
            Self::EventLines => plain_prefix(run, |byte| byte == b'\n' || byte == b'\r'),
            Self::JsonString => plain_prefix(run, |byte| byte < b' ' || byte == b'"' || byte == b'\\'),
            Self::Base64 => return step_base64(message, at, room, into),
        };
        into.extend_from_slice(&run[..plain]);
        let Some(&special) = run.get(plain) else { return plain };
        match self {
            // The line feed of a CRLF: the line has ended with the CR, perhaps in the piece before.
            Self::EventLines if special == b'\n' && at + plain > 0 && message.byte(at + plain - 1) == b'\r' => {}
            Self::EventLines => into.extend_from_slice(b"\ndata: "),
            _ => escape_json(special, into),
        }
        plain + 1
    }
}

/// How many bytes there are before the first that is `special`.
fn plain_prefix(bytes: &[u8], special: impl Fn(u8) -> bool) -> usize {
    // Whole chunks without a way out in between are what the compiler makes vector instructions of.
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, &byte| found | special(byte));
    let skipped = bytes.chunks_exact(LOOK_BYTES).take_while(is_plain).count() * LOOK_BYTES;
    let rest = &bytes[skipped..];
    skipped + rest.iter().position(|&byte| special(byte)).unwrap_or(rest.len())
}

/// RFC 8259 section 7.
fn escape_json(byte: u8, into: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => return into.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    };
    into.extend_from_slice(&[b'\\', short]);
}

/// Whole groups only: all pieces but the last end with one.
fn step_base64(message: &Message<'_>, at: usize, room: usize, into: &mut Vec<u8>) -> usize {
    let [group_bytes, group_chars] = BASE64_GROUP;
    let run = message.run_from(at);
    let bytes = (room / group_chars).max(1) * group_bytes;
    let is_last = at + run.len() == message.len();
    let whole = if is_last { run.len() } else { run.len() - run.len() % group_bytes };
    if whole > 0 {
        let taken = whole.min(bytes);
        append_base64(&run[..taken], into);
        return taken;
    }
    // A group in which the ring begins again.
    let end = (at + group_bytes).min(message.len());
    let mut group = [0; BASE64_GROUP[0]];
    for (nth, byte) in (at..end).enumerate() {
        group[nth] = message.byte(byte);
    }
    append_base64(&group[..end - at], into);
    end - at
}

fn append_base64(bytes: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    into.resize(start + BASE64.encode_len(bytes.len()), 0);
    BASE64.encode_mut(bytes, &mut into[start..]);
}

#[cfg(test)]
mod tests;
