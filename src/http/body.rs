//! The body of a request: where it ends (RFC 9112 section 6), and what is in it (section 7.1).
//!
//! Leaves reading to `api::body_reader`. What must stay true: a body has one end, which no
//! other server can see elsewhere; what could have two is refused.

use crate::config::limits::BODY_EXTRA_BYTES_MAX;
use crate::http::refusal::{AMBIGUOUS, BAD_CHUNKS, BAD_TRANSFER_ENCODING, BODY, MESSAGE_TOO_LARGE, NO_LENGTH, Refusal};

/// The most hexadecimal digits of a chunk's size, leading zeros included: what fits into 64 bits.
const SIZE_DIGITS_MAX: u32 = 16;
/// How much is read at a time, in bytes, where it is not known what follows.
const PIECE_BYTES: u64 = 1024;

/// How a request says where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has none.
    None,
    /// By its length in bytes.
    Length(u64),
    /// In chunks, of which the last one is empty.
    Chunked,
}

impl Framing {
    /// Reads the values of all `Content-Length` and all `Transfer-Encoding` lines of a request (RFC 9112 section 6.3).
    ///
    /// # Errors
    /// If another server could find another end (section 11.2): two lines or both kinds of them, another coding than `chunked`, or any
    /// coding in HTTP/1.0, which has none.
    pub fn of<'a>(
        minor_version: u8,
        mut lengths: impl Iterator<Item = &'a [u8]>,
        mut codings: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Refusal> {
        match (lengths.next(), lengths.next(), codings.next(), codings.next()) {
            (None, _, None, _) => Ok(Self::None),
            (Some(length), None, None, _) => parse_length(length).map(Self::Length).ok_or(AMBIGUOUS),
            (None, _, Some(coding), None) if minor_version == 1 && coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Self::Chunked)
            }
            (None, _, Some(_), _) => Err(BAD_TRANSFER_ENCODING),
            (Some(_), ..) => Err(AMBIGUOUS),
        }
    }

    /// Refuses a body, where nobody would read it.
    ///
    /// # Errors
    /// If there is one.
    pub fn check_no_body(self) -> Result<(), Refusal> {
        match self {
            Self::None | Self::Length(0) => Ok(()),
            Self::Length(_) => Err(BODY),
            Self::Chunked => Err(NO_LENGTH),
        }
    }
}

/// Digits and nothing else: no sign, no list, no blank. A number that does not fit is larger than all that is taken anyway.
fn parse_length(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    is_number.then(|| digits.iter().fold(0, add))
}

/// Finds a body in what comes, piece by piece.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    is_chunked: bool,
    /// What is left of the data of the whole body, or of this chunk.
    left_bytes: u64,
    /// What may still come of data behind that.
    room_bytes: u64,
    /// What has come of extensions and trailers.
    extra_bytes: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A digit of a chunk's size, or what ends it.
    Size { digits: u32 },
    /// A byte of a chunk's extension (section 7.1.1), or the CR behind it.
    Extension,
    /// A byte of a quoted string in it.
    Quoted,
    /// A byte behind a backslash in that.
    Escaped,
    /// The LF behind a chunk's size.
    SizeLf,
    /// Data.
    Data,
    /// The CR behind a chunk's data.
    DataCr,
    /// And its LF.
    DataLf,
    /// The first byte of a trailer (section 7.1.2), or the CR of the empty line that ends the body.
    Trailer,
    /// A byte of a trailer's name, or the colon behind it.
    TrailerName,
    /// A byte of its value, or the CR behind it.
    TrailerValue,
    /// And its LF.
    TrailerLf,
    /// The last LF.
    EndLf,
    /// Nothing: the body is complete.
    Complete,
}

impl BodyDecoder {
    /// A decoder for a body of at most so many bytes of data.
    ///
    /// # Errors
    /// If its length says already that it is larger.
    pub fn new(framing: Framing, body_bytes_max: usize) -> Result<Self, Refusal> {
        let bytes_max = body_bytes_max as u64;
        let (state, left_bytes) = match framing {
            Framing::None | Framing::Length(0) => (State::Complete, 0),
            Framing::Length(bytes) => (State::Data, bytes),
            Framing::Chunked => (State::Size { digits: 0 }, 0),
        };
        let room_bytes = bytes_max.checked_sub(left_bytes).ok_or(MESSAGE_TOO_LARGE)?;
        Ok(Self { state, is_chunked: framing == Framing::Chunked, left_bytes, room_bytes, extra_bytes: 0 })
    }

    /// Adds the data in `input` to `body`. Returns how much of `input` is the body's: all, unless it ends within. Not to be called again
    /// after an error.
    ///
    /// # Errors
    /// If the chunks are wrong, or the body is larger than it may be.
    pub fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut taken = 0;
        while taken < input.len() && self.state != State::Complete {
            if self.state == State::Data {
                let data = &input[taken..];
                let data = &data[..usize::try_from(self.left_bytes).map_or(data.len(), |left| left.min(data.len()))];
                body.extend_from_slice(data);
                taken += data.len();
                self.left_bytes -= data.len() as u64;
                if self.left_bytes == 0 {
                    self.state = if self.is_chunked { State::DataCr } else { State::Complete };
                }
            } else {
                self.state = self.step(input[taken])?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// What comes behind this byte, which is none of the data.
    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        let next = match (self.state, byte) {
            (State::Size { digits }, _) if digits < SIZE_DIGITS_MAX && byte.is_ascii_hexdigit() => {
                let value = char::from(byte).to_digit(16).expect("it is a digit");
                self.left_bytes = self.left_bytes << 4 | u64::from(value);
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 1.. }, b';') | (State::Extension, b';' | b'=') | (State::Quoted, b'"') => {
                State::Extension
            }
            (State::Size { digits: 1.. } | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'"') => State::Quoted,
            (State::Extension, _) if is_token_byte(byte) => State::Extension,
            (State::Quoted, b'\\') => State::Escaped,
            (State::Quoted | State::Escaped, _) if is_text_byte(byte) => State::Quoted,
            (State::SizeLf, b'\n') if self.left_bytes == 0 => State::Trailer,
            (State::SizeLf, b'\n') => {
                self.room_bytes = self.room_bytes.checked_sub(self.left_bytes).ok_or(MESSAGE_TOO_LARGE)?;
                State::Data
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::Trailer, b'\r') => State::EndLf,
            (State::Trailer | State::TrailerName, _) if is_token_byte(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text_byte(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::Trailer,
            (State::EndLf, b'\n') => State::Complete,
            _ => return Err(BAD_CHUNKS),
        };
        if let State::Extension | State::Quoted | State::Escaped | State::TrailerName | State::TrailerValue = next {
            self.extra_bytes += 1;
            if self.extra_bytes > BODY_EXTRA_BYTES_MAX {
                return Err(BAD_CHUNKS);
            }
        }
        Ok(next)
    }

    /// Whether the whole body has come.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// How many bytes may be read at once, such that next to nothing of what follows the body comes with them.
    pub fn readable_bytes(&self) -> u64 {
        match (self.state, self.is_chunked) {
            (State::Complete, _) => 0,
            (_, false) => self.left_bytes,
            (State::Data, true) => self.left_bytes.saturating_add(PIECE_BYTES),
            (_, true) => PIECE_BYTES,
        }
    }
}

/// Whether it may be in a token, such as a header's name (RFC 9110 section 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether it may be in the value of a header (RFC 9110 section 5.5): no control character but the tab.
fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

#[cfg(test)]
mod tests;
