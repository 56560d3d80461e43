//! What each subscriber is handed next: a round that is the same for all who keep up, and what one of the others lacks.
//!
//! No sockets: bytes to write come out as slices, bytes written come in as a number. What must stay true: every subscriber is
//! handed exactly the published frames from its cursor on, in order, whatever is written in whatever pieces.

use std::io::IoSlice;
use std::ops::Range;

use crate::hub::channel::{Channel, Form};

impl<T> Channel<T> {
    /// Whether something was published since the last round.
    pub fn has_unflushed(&self) -> bool {
        self.flushed < self.backlog.end()
    }

    /// Begins a round: calls `write` once, with everything published since the last round, for each subscriber with echo that had
    /// everything before. `write` returns the bytes taken, or `None` if it did not write.
    ///
    /// Returns the remaining subscribers: `None` for those not written to, `Some(bytes)` for a partial write, which the caller
    /// passes to [`advance`](Self::advance). If there are more than `bytes_max` new bytes, all subscribers remain.
    pub fn share_unflushed(
        &mut self,
        bytes_max: usize,
        mut write: impl FnMut(&T, &[IoSlice<'_>]) -> Option<usize>,
    ) -> Vec<(usize, Option<usize>)> {
        let (end, seq) = (self.backlog.end(), self.backlog.next_seq());
        let frames = seq - self.flushed_seq;
        let slices = self.backlog.slices(self.flushed..end).map(IoSlice::new);
        let slices = if slices[1].is_empty() { &slices[..1] } else { &slices[..] };
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut others = Vec::new();
        for (slot, subscriber) in &mut self.subscribers {
            let has_all_before = !subscriber.is_behind && subscriber.cursor == self.flushed;
            let takes_unflushed = subscriber.form == Form::Frames && has_all_before && bytes <= bytes_max;
            let written = if takes_unflushed { write(&subscriber.transport, slices) } else { None };
            if written == Some(bytes) {
                (subscriber.cursor, subscriber.seq) = (end, seq);
                self.deliveries += frames;
            } else {
                others.push((slot, written));
            }
        }
        others
    }

    /// Ends a round: notes that everybody was handed what is published, or passed over and [reindexed](Self::reindex).
    pub fn end_round(&mut self) {
        (self.flushed, self.flushed_seq) = (self.backlog.end(), self.backlog.next_seq());
    }

    /// Puts what the subscriber should be written next into `slices`, at most `bytes_max` bytes, and returns how many of the
    /// slices were filled. None: it has everything.
    pub fn pending<'a>(&'a self, slot: usize, slices: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        let subscriber = &self.subscribers[slot];
        let mut filled = 0;
        let mut left_bytes = bytes_max as u64;
        // A range may take two slices.
        let ranges_max = slices.len() / 2;
        let mut put = |range: Range<u64>| {
            let end = range.end.min(range.start.saturating_add(left_bytes));
            left_bytes -= end - range.start;
            for slice in self.backlog.slices(range.start..end) {
                if !slice.is_empty() && filled < slices.len() {
                    slices[filled] = IoSlice::new(slice);
                    filled += 1;
                }
            }
            left_bytes > 0
        };
        if subscriber.form == Form::Frames {
            put(subscriber.cursor..self.backlog.end());
        } else {
            self.backlog.ranges_without(subscriber.number, subscriber.cursor).take(ranges_max).all(put);
        }
        filled
    }

    /// Moves the subscriber's cursor by the bytes that were written of what [`pending`](Self::pending) gave.
    pub fn advance(&mut self, slot: usize, written: usize) {
        let subscriber = &self.subscribers[slot];
        let cursor = if subscriber.form == Form::Frames {
            subscriber.cursor + written as u64
        } else {
            self.position_without_own(slot, written as u64)
        };
        let seq = if cursor == self.backlog.end() { self.backlog.next_seq() } else { self.backlog.seq_at(cursor) };
        let own = if subscriber.form == Form::Frames {
            0
        } else {
            self.backlog.count_of(subscriber.number, subscriber.cursor..cursor)
        };
        self.deliveries += seq - subscriber.seq - own;
        let subscriber = &mut self.subscribers[slot];
        (subscriber.cursor, subscriber.seq) = (cursor, seq);
        self.reindex(slot);
    }

    /// Where a subscriber without echo is after `written` more bytes: behind its own frames, where all before them is out.
    fn position_without_own(&self, slot: usize, written: u64) -> u64 {
        let subscriber = &self.subscribers[slot];
        let mut left_bytes = written;
        for range in self.backlog.ranges_without(subscriber.number, subscriber.cursor) {
            if left_bytes < range.end - range.start {
                return if left_bytes == 0 { range.start } else { range.start + left_bytes };
            }
            left_bytes -= range.end - range.start;
        }
        self.backlog.end()
    }
}
