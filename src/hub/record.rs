//! A message as it lies in a file: a checked header, and its frame.
//!
//! Leaves files to `storage`. What must stay true: no length is believed before its checksum, which goes on from record to record
//! ([`Chain`]), so that each depends on all before it and the last one is that of its file; and what ends within a record is told from
//! what is wrong.

use std::ops::Range;

use crc32fast::Hasher;

use crate::hub::frame::Frame;

/// The longest header in bytes: that of a message which has an [`Origin`].
pub const HEADER_BYTES_MAX: usize = 32;
/// The header of one that has none. A seal has as many.
pub const HEADER_BYTES_MIN: usize = 16;

/// In the first four bytes: whether there is an origin. The rest of them is the frame's length.
const HAS_ORIGIN: u32 = 1 << 31;
/// The smallest frame.
const FRAME_BYTES_MIN: usize = 2;

/// Which message of which connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The connection's id.
    pub connection: u64,
    /// How many messages of it the log has with this one: the first has 1.
    pub taken: u64,
}

/// A CRC-32 that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain(u32);

impl Chain {
    /// The one with this value.
    pub fn new(value: u32) -> Self {
        Self(value)
    }

    /// Its value.
    pub fn value(self) -> u32 {
        self.0
    }

    /// Goes on over these bytes. From [`default`](Self::default) on, the value is their plain CRC-32.
    #[must_use]
    pub fn over(self, bytes: &[u8]) -> Self {
        self.over_all(&[bytes])
    }

    /// Goes on over these, one behind the other.
    #[must_use]
    fn over_all(self, parts: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new_with_initial(self.0);
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize())
    }
}

/// Appends the record of a frame to `into`, and returns where in it the frame is.
///
/// # Panics
/// If the frame has 2^31 bytes or more: the limit of a message is below that.
pub fn encode(
    into: &mut Vec<u8>,
    chain: &mut Chain,
    frame: &Frame,
    at_secs: i32,
    origin: Option<Origin>,
) -> Range<usize> {
    let length = u32::try_from(frame.len()).ok().filter(|length| length & HAS_ORIGIN == 0);
    let length = length.expect("a message is shorter");
    let parts = frame.parts();
    // Put together here and appended at once: this is done for every message.
    let mut header = [0; HEADER_BYTES_MAX];
    header[..4].copy_from_slice(&(length | if origin.is_some() { HAS_ORIGIN } else { 0 }).to_le_bytes());
    header[4..8].copy_from_slice(&at_secs.to_le_bytes());
    let mut end = 8;
    if let Some(Origin { connection, taken }) = origin {
        header[8..16].copy_from_slice(&connection.to_le_bytes());
        header[16..24].copy_from_slice(&taken.to_le_bytes());
        end = 24;
    }
    header[end..end + 4].copy_from_slice(&Chain::default().over_all(&parts).value().to_le_bytes());
    *chain = chain.over(&header[..end + 4]);
    header[end + 4..end + 8].copy_from_slice(&chain.value().to_le_bytes());
    into.extend_from_slice(&header[..end + 8]);
    let begin = into.len();
    for part in parts {
        into.extend_from_slice(part);
    }
    begin..into.len()
}

/// What stands behind the last record of a file that another follows: all zero, but the checksum. The chain does not go on over it.
pub fn seal(chain: Chain) -> [u8; HEADER_BYTES_MIN] {
    let mut seal = [0; HEADER_BYTES_MIN];
    let (zero, checksum) = seal.split_at_mut(HEADER_BYTES_MIN - 4);
    checksum.copy_from_slice(&chain.over(zero).value().to_le_bytes());
    seal
}

/// The checked header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it has itself.
    pub bytes: usize,
    /// How many bytes its frame has, which follows it.
    pub frame_bytes: usize,
    /// When the message came.
    pub at_secs: i32,
    /// Who sent it, if that is known.
    pub origin: Option<Origin>,
    /// The plain checksum of its frame.
    pub frame_crc: Chain,
}

/// What bytes of a file begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The header of a record; the chain has gone on over it.
    Header(Header),
    /// The seal of a file that another follows.
    Seal,
    /// The beginning of a header, of which the end is missing.
    Torn,
    /// Anything else.
    Wrong,
}

/// Reads the header that is the beginning of `rest`: of all that is left of a file, or at least its first [`HEADER_BYTES_MAX`] bytes.
pub fn read(rest: &[u8], chain: &mut Chain) -> Found {
    let Some(first) = rest.first_chunk().filter(|_| rest.len() >= HEADER_BYTES_MIN) else { return Found::Torn };
    let kind = u32::from_le_bytes(*first);
    let has_origin = kind & HAS_ORIGIN != 0;
    let bytes = if has_origin { HEADER_BYTES_MAX } else { HEADER_BYTES_MIN };
    if rest.len() < bytes {
        // One bit makes a header longer than its whole record may be: that must not pass for a torn one.
        let mut shorter = [0; HEADER_BYTES_MIN - 4];
        shorter.copy_from_slice(&rest[..HEADER_BYTES_MIN - 4]);
        shorter[..4].copy_from_slice(&(kind & !HAS_ORIGIN).to_le_bytes());
        let is_whole = u32_at(rest, shorter.len()) == chain.over(&shorter).value();
        return if is_whole { Found::Wrong } else { Found::Torn };
    }
    let after = chain.over(&rest[..bytes - 4]);
    if u32_at(rest, bytes - 4) != after.value() {
        return Found::Wrong;
    }
    if kind == 0 && rest[..HEADER_BYTES_MIN - 4].iter().all(|&byte| byte == 0) {
        return Found::Seal;
    }
    let frame_bytes = usize::try_from(kind & !HAS_ORIGIN).unwrap_or(usize::MAX);
    if frame_bytes < FRAME_BYTES_MIN {
        return Found::Wrong;
    }
    *chain = after;
    let origin = has_origin.then(|| Origin { connection: u64_at(rest, 8), taken: u64_at(rest, 16) });
    let at_secs = i32::from_le_bytes(u32_at(rest, 4).to_le_bytes());
    Found::Header(Header { bytes, frame_bytes, at_secs, origin, frame_crc: Chain(u32_at(rest, bytes - 8)) })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("whoever asks has looked"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("whoever asks has looked"))
}

#[cfg(test)]
mod tests;
