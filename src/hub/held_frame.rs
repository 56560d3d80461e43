//! A frame where it lies: in a log, or by itself.
//!
//! Leaves logs to `backlog`. What must stay true: it borrows all bytes, and copies none.

use crate::hub::frame;

/// A frame that is held.
#[derive(Debug, Clone, Copy)]
pub struct HeldFrame<'a> {
    /// The position of its first byte.
    pub start: u64,
    /// The position of the first byte of its payload.
    pub payload_start: u64,
    /// The position behind its last byte.
    pub end: u64,
    /// When it was appended, in seconds of whatever clock its owner has; below 0, that was before the clock began.
    pub at_secs: i32,
    /// Whether it is a text message; else it is a binary one.
    pub is_text: bool,
    /// The payload; the second slice is empty unless it wraps around the ring.
    pub payload: [&'a [u8]; 2],
}

impl<'a> HeldFrame<'a> {
    /// A whole frame that lies elsewhere, as if it were the first of a log.
    pub fn of(frame: &'a [u8], at_secs: i32) -> Self {
        let header_bytes = frame::header_bytes(frame[1]);
        let payload = usize::try_from(header_bytes).map_or(&[][..], |header_bytes| &frame[header_bytes..]);
        Self {
            start: 0,
            payload_start: header_bytes,
            end: frame.len() as u64,
            at_secs,
            is_text: frame::is_text(frame[0]),
            payload: [payload, &[]],
        }
    }
}
