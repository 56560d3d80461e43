//! The shared log: encoded frames, one after the other, in a ring of bytes, with their sequence numbers.
//!
//! It knows nothing of sockets, time or subscribers: its owner knows the *low-water mark*, the lowest position that somebody has
//! yet to send. What must stay true: a byte at or above that mark is never overwritten, and bytes and index together stay within
//! the capacity. No frame costs more than half of it, so that the newer half always has the newest.
//!
//! Positions count every byte ever appended and never wrap (2^64 bytes are some 500 years at 1 GB/s), so a cursor is a
//! plain number, and everything between two positions is at most two slices, however many frames lie there.

use std::collections::{TryReserveError, VecDeque};
use std::iter;
use std::ops::Range;

use crate::hub::frame::{self, Frame, HEADER_BYTES_MAX};
use crate::hub::held_frame::HeldFrame;

/// What one frame costs on top of its bytes: its entry in the index, in bytes.
pub const INDEX_ENTRY_BYTES: usize = size_of::<Entry>();

/// The smallest frame: a header of two bytes with no payload.
const FRAME_BYTES_MIN: usize = 2;

/// Which frame lies where. Its start is the end of the one before it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    end: u64,
    sender: u32,
    at_secs: i32,
}

/// The log. See the head of this file.
#[derive(Debug)]
pub struct Backlog {
    capacity_bytes: usize,
    /// Grows to `capacity_bytes` with the first frames. Memory comes from the kernel page by page on first use, so a large ring that
    /// nobody fills costs nothing.
    ring: Vec<u8>,
    entries: VecDeque<Entry>,
    first_seq: u64,
    start: u64,
    end: u64,
}

impl Backlog {
    /// An empty log that holds up to `capacity_bytes` of frames and index.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn new(capacity_bytes: usize) -> Result<Self, TryReserveError> {
        Self::restored_at(capacity_bytes, 1)
    }

    /// The same for a log that goes on: its next frame has this number.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn restored_at(capacity_bytes: usize, first_seq: u64) -> Result<Self, TryReserveError> {
        let mut ring = Vec::new();
        ring.try_reserve_exact(capacity_bytes)?;
        let mut entries = VecDeque::new();
        // As many entries as the smallest frames allow, so that it never grows: growing would hold old and new index at the same
        // time.
        entries.try_reserve_exact(capacity_bytes / (FRAME_BYTES_MIN + INDEX_ENTRY_BYTES))?;
        Ok(Self { capacity_bytes, ring, entries, first_seq, start: 0, end: 0 })
    }

    /// The capacity for a log of this size of which half holds any message of half the size, with what it costs beside its payload.
    pub fn capacity_bytes_for(backlog_bytes: usize) -> usize {
        backlog_bytes + 2 * (HEADER_BYTES_MAX + INDEX_ENTRY_BYTES)
    }

    /// The bytes that are held now, index included.
    pub fn held_bytes(&self) -> usize {
        self.frame_bytes() + self.entries.len() * INDEX_ENTRY_BYTES
    }

    /// How many frames are held now.
    pub fn held_frames(&self) -> usize {
        self.entries.len()
    }

    /// The bytes that are held when the log is full.
    pub fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    /// The position behind the last byte: where the next frame will start.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The number of the oldest frame that is still held; `next_seq` where none is.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The number of the oldest frame of the newer half: from it on, frames and index take at most half the capacity.
    /// `next_seq` where not even the newest frame does.
    pub fn first_seq_of_newer_half(&self) -> u64 {
        let len = self.entries.len();
        let bytes_from = |nth: usize| {
            let start = nth.checked_sub(1).map_or(self.start, |before| self.entries[before].end);
            span_bytes(&(start..self.end)) + (len - nth) * INDEX_ENTRY_BYTES
        };
        let (mut too_old, mut new_enough) = (0, len);
        while too_old < new_enough {
            let middle = usize::midpoint(too_old, new_enough);
            if bytes_from(middle) > self.capacity_bytes / 2 {
                too_old = middle + 1;
            } else {
                new_enough = middle;
            }
        }
        self.first_seq + new_enough as u64
    }

    /// The number that the next frame will get. The first is 1, but in a log that [goes on](Self::restored_at).
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.entries.len() as u64
    }

    /// Whether frames and index entries of so many bytes fit when all frames before this one are let go, which is held or the next to come.
    pub fn has_room_behind(&self, seq: u64, cost_bytes: usize) -> bool {
        let first_stays = self.position_of(seq).expect("it is held, or the next to come");
        let let_go = usize::try_from(seq - self.first_seq).expect("what is held fits into memory");
        let stays_bytes = span_bytes(&(first_stays..self.end)) + (self.entries.len() - let_go) * INDEX_ENTRY_BYTES;
        stays_bytes + cost_bytes <= self.capacity_bytes
    }

    /// The low-water mark that lets a frame of `frame_bytes` in: everybody has to have sent everything below this position.
    pub fn low_water_mark_for(&self, frame_bytes: usize) -> u64 {
        let mut excess = (self.held_bytes() + frame_bytes + INDEX_ENTRY_BYTES).saturating_sub(self.capacity_bytes);
        let mut position = self.start;
        for entry in &self.entries {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(span_bytes(&(position..entry.end)) + INDEX_ENTRY_BYTES);
            position = entry.end;
        }
        position
    }

    /// Appends a frame and forgets as many of the oldest as it takes. The caller has made sure that everybody has sent
    /// everything below [`low_water_mark_for`](Self::low_water_mark_for).
    ///
    /// # Panics
    /// If the frame costs more than the capacity: the limit of a message is below that.
    pub fn append(&mut self, frame: &Frame, sender: u32, at_secs: i32) {
        self.append_parts(frame.parts(), sender, at_secs);
    }

    /// The same for a whole frame's bytes, as [`Frame::to_vec`] has them.
    ///
    /// # Panics
    /// As [`append`](Self::append); and if that is less than the smallest frame.
    pub fn append_bytes(&mut self, frame: &[u8], sender: u32, at_secs: i32) {
        assert!(frame.len() >= FRAME_BYTES_MIN);
        self.append_parts([frame, &[]], sender, at_secs);
    }

    /// The bytes of a range of positions, in order; the second slice is empty unless the range wraps around the ring.
    ///
    /// # Panics
    /// If part of the range is not held: a cursor outside of the log is a fault of the caller.
    pub fn slices(&self, range: Range<u64>) -> [&[u8]; 2] {
        assert!(self.start <= range.start && range.start <= range.end && range.end <= self.end);
        let len = span_bytes(&range);
        let from = self.index_of(range.start);
        let until_wrap = len.min(self.capacity_bytes - from);
        [&self.ring[from..from + until_wrap], &self.ring[..len - until_wrap]]
    }

    /// The number of the frame that the byte at `position` belongs to; `next_seq` for the end of the log.
    pub fn seq_at(&self, position: u64) -> u64 {
        self.first_seq + self.entries.partition_point(|entry| entry.end <= position) as u64
    }

    /// Where the frame `seq` starts, or `None` where it is not held. The next frame to come starts at the end.
    pub fn position_of(&self, seq: u64) -> Option<u64> {
        let nth = usize::try_from(seq.checked_sub(self.first_seq)?).ok()?;
        match nth.checked_sub(1) {
            None => Some(self.start),
            Some(before) => self.entries.get(before).map(|entry| entry.end),
        }
    }

    /// The frame `seq`, or `None` where it is not held.
    pub fn frame(&self, seq: u64) -> Option<HeldFrame<'_>> {
        let start = self.position_of(seq)?;
        let nth = usize::try_from(seq - self.first_seq).ok()?;
        let Entry { end, at_secs, .. } = *self.entries.get(nth)?;
        let [opcode, length] = [start, start + 1].map(|position| self.ring[self.index_of(position)]);
        let payload_start = start + frame::header_bytes(length);
        let payload = self.slices(payload_start..end);
        Some(HeldFrame { start, payload_start, end, at_secs, is_text: frame::is_text(opcode), payload })
    }

    /// Where the frame that the byte at `position` belongs to ends; `position` itself if it lies between two frames,
    /// so that nothing of the next one has been sent.
    pub fn boundary_from(&self, position: u64) -> u64 {
        let nth = self.entries.partition_point(|entry| entry.end < position);
        if position == self.start { position } else { self.entries.get(nth).map_or(position, |entry| entry.end) }
    }

    /// The ranges from `from` on that were not sent by `sender`, each of them one or more whole frames (the first may
    /// start within a frame).
    pub fn ranges_without(&self, sender: u32, from: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut next = self.entries.partition_point(|entry| entry.end <= from);
        let mut position = from;
        iter::from_fn(move || {
            while let Some(own) = self.entries.get(next).filter(|entry| entry.sender == sender) {
                position = own.end;
                next += 1;
            }
            let start = position;
            while let Some(other) = self.entries.get(next).filter(|entry| entry.sender != sender) {
                position = other.end;
                next += 1;
            }
            (start < position).then_some(start..position)
        })
    }

    /// How many frames of `sender` start within a range of positions.
    pub fn count_of(&self, sender: u32, range: Range<u64>) -> u64 {
        let first = self.entries.partition_point(|entry| entry.end <= range.start);
        let until = self.entries.partition_point(|entry| entry.end <= range.end);
        self.entries.range(first..until).filter(|entry| entry.sender == sender).count() as u64
    }

    fn append_parts(&mut self, parts: [&[u8]; 2], sender: u32, at_secs: i32) {
        let cost_bytes = parts[0].len() + parts[1].len() + INDEX_ENTRY_BYTES;
        assert!(cost_bytes <= self.capacity_bytes);
        while self.held_bytes() + cost_bytes > self.capacity_bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.start = oldest.end;
            self.first_seq += 1;
        }
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            self.put(part);
        }
        self.entries.push_back(Entry { end: self.end, sender, at_secs });
    }

    fn frame_bytes(&self) -> usize {
        span_bytes(&(self.start..self.end))
    }

    fn index_of(&self, position: u64) -> usize {
        usize::try_from(position % self.capacity_bytes as u64).expect("the remainder is below a usize")
    }

    fn put(&mut self, bytes: &[u8]) {
        let at = self.index_of(self.end);
        let (before_wrap, after_wrap) = bytes.split_at(bytes.len().min(self.capacity_bytes - at));
        // Until it has its full length, the ring ends where the log does.
        if at == self.ring.len() {
            self.ring.extend_from_slice(before_wrap);
        } else {
            self.ring[at..at + before_wrap.len()].copy_from_slice(before_wrap);
        }
        if !after_wrap.is_empty() {
            self.ring[..after_wrap.len()].copy_from_slice(after_wrap);
        }
        self.end += bytes.len() as u64;
    }
}

/// The length of a range that is held, and so fits into memory.
fn span_bytes(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).expect("a range that is held fits into memory")
}

#[cfg(test)]
mod tests;
