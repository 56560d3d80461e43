//! What a message says: who has sent it, its number, and bytes that follow from both.
//!
//! Leaves to `sources` which were sent. What must stay true: the same content is the same bytes for ever, so nobody has to keep them; and no two
//! messages but empty ones are alike.

use std::fmt;
use std::io::Write;

/// The longest name, in bytes: what stands before the bytes that only fill.
pub const NAME_BYTES_MAX: usize = 18;

/// What fills a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Words on one line.
    Words,
    /// All that a stream has to take care of: ends of lines, quotes, control characters.
    Lines,
    /// Characters of two bytes, so that a cut can lie within one.
    Wide,
    /// Bytes that are no text.
    Binary,
}

/// A message by its name. With no bytes it is an empty one, which has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Which connection has sent it.
    pub source: u32,
    /// Which of those that this has sent, from 1.
    pub nth: u32,
    /// Its length.
    pub bytes: u32,
    /// What fills it.
    pub style: Style,
}

impl Style {
    /// Whether it goes as text.
    pub fn is_text(self) -> bool {
        self != Self::Binary
    }

    /// A piece of 64 bytes.
    fn block(self) -> &'static [u8; 64] {
        match self {
            Self::Words => b"the quick brown fox jumps over the lazy dog and sleeps for a bit",
            Self::Lines => b"one\ntwo\r\nthree\rfour\n\nfive\"six\\seven\teight\x01nine: id: 7\ndata: x\r\n\r",
            Self::Wide => b"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
            Self::Binary => b"\x00\xff\x01\xfe\x0a\x0d\x80\xc0\xe2\x28\xa1\xf0\x7f\x00\x00\x0a\x00\xff\x01\xfe\x0a\x0d\x80\xc0\xe2\x28\xa1\xf0\x7f\x00\x00\x0b\x00\xff\x01\xfe\x0a\x0d\x80\xc0\xe2\x28\xa1\xf0\x7f\x00\x00\x0c\x00\xff\x01\xfe\x0a\x0d\x80\xc0\xe2\x28\xa1\xf0\x7f\x00\x00\x0e",
        }
    }
}

impl Content {
    /// One that is as long as its name at least, if it is to have any bytes.
    pub fn new(source: u32, nth: u32, bytes: usize, style: Style) -> Self {
        let named = Self { source, nth, bytes: 0, style };
        let least = if bytes == 0 { 0 } else { named.name_bytes() };
        let bytes = u32::try_from(bytes.max(least)).unwrap_or(u32::MAX);
        Self { bytes, ..named }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends the bytes.
    pub fn write(&self, into: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let end = into.len() + self.bytes as usize;
        put_hex(self.source, into);
        into.push(b'.');
        put_hex(self.nth, into);
        into.push(b' ');
        if self.style == Style::Wide && (end - into.len()) % 2 == 1 {
            into.push(b'x');
        }
        // Each begins at another place of the block, but for characters that must stay whole.
        let block = self.style.block();
        let turn = if self.style == Style::Wide { 0 } else { (self.source as usize * 7 + self.nth as usize) % 64 };
        let first = block.len() - turn;
        into.extend_from_slice(&block[turn..][..first.min(end - into.len())]);
        while into.len() + block.len() <= end {
            into.extend_from_slice(block);
        }
        let rest = end - into.len();
        into.extend_from_slice(&block[..rest]);
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes as usize);
        self.write(&mut bytes);
        bytes
    }

    fn name_bytes(&self) -> usize {
        hex_digits(self.source) + 1 + hex_digits(self.nth) + 1
    }
}

fn hex_digits(number: u32) -> usize {
    (number.max(1).ilog2() / 4 + 1) as usize
}

/// What `{:x}` writes, which is most of what a short message would cost.
fn put_hex(number: u32, into: &mut Vec<u8>) {
    for nth in (0..hex_digits(number)).rev() {
        into.push(b"0123456789abcdef"[(number >> (4 * nth)) as usize & 0xf]);
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, nth, bytes, style } = self;
        write!(f, "message {nth} of connection {source:x} ({bytes} bytes, {style:?})")
    }
}

/// Which connection a message is from, and which of its messages it is, by its first bytes.
pub fn name_of(payload: &[u8]) -> Option<(u32, u32)> {
    let end = payload.iter().take(NAME_BYTES_MAX).position(|&byte| byte == b' ')?;
    let (source, nth) = std::str::from_utf8(&payload[..end]).ok()?.split_once('.')?;
    Some((u32::from_str_radix(source, 16).ok()?, u32::from_str_radix(nth, 16).ok()?))
}

/// Appends a frame as the server sends it (RFC 6455 section 5.2): whole, not masked, its length in as few bytes as do.
pub fn put_frame(is_text: bool, payload_bytes: usize, into: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    into.push(if is_text { 0x81 } else { 0x82 });
    match payload_bytes {
        0..=125 => into.push(u8::try_from(payload_bytes).unwrap_or_default()),
        126..=0xffff => {
            into.push(126);
            let _ = into.write_all(&u16::try_from(payload_bytes).unwrap_or_default().to_be_bytes());
        }
        _ => {
            into.push(127);
            let _ = into.write_all(&(payload_bytes as u64).to_be_bytes());
        }
    }
    payload(into);
}

/// The length of such a frame.
pub fn frame_bytes(payload_bytes: usize) -> usize {
    payload_bytes
        + match payload_bytes {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLES: [Style; 4] = [Style::Words, Style::Lines, Style::Wide, Style::Binary];

    #[test]
    fn a_message_of_any_length_bears_its_name_and_is_text_or_not() {
        for style in STYLES {
            for bytes in [0, 1, 7, 30, 31, 64, 125, 126, 500, 65_536] {
                let content = Content::new(0xab, 0x1f, bytes, style);
                let written = content.bytes();
                assert_eq!(written.len(), content.bytes as usize, "{content}");
                if bytes > 0 {
                    assert_eq!(name_of(&written), Some((0xab, 0x1f)));
                    assert!(written.len() >= bytes);
                }
                assert!(std::str::from_utf8(&written).is_ok() || !style.is_text(), "{content}");
            }
        }
        assert!(std::str::from_utf8(&Content::new(1, 1, 100, Style::Binary).bytes()).is_err());
    }

    #[test]
    fn every_name_is_read_as_it_was_written() {
        for number in [0, 1, 9, 10, 15, 16, 0xff, 0x100, 0xabc_def0, u32::MAX] {
            let content = Content::new(number, number, 1, Style::Words);
            assert_eq!(content.bytes(), format!("{number:x}.{number:x} ").as_bytes());
            assert_eq!(name_of(&content.bytes()), Some((number, number)));
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        for bytes in [&b""[..], b"1.2", b"12 ", b"x.1 ", b"1.1.1 ", b"100000000.1 ", &[b'1'; 40]] {
            assert_eq!(name_of(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_frame_is_as_long_as_it_says() {
        for bytes in [0, 125, 126, 65_535, 65_536] {
            let mut frame = Vec::new();
            put_frame(true, bytes, &mut frame, |into| into.resize(into.len() + bytes, b'x'));
            assert_eq!(frame.len(), frame_bytes(bytes));
        }
    }
}
