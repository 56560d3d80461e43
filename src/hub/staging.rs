//! Messages of a channel that is kept on disk, on their way into its log: they are in it when the file has them.
//!
//! No files: bytes to write come out. Leaves what a record is to `record`, and the log to `committing`. What must stay true: what is staged
//! fits into half of the log.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use crate::config::limits::STAGED_BYTES_MAX;
use crate::hub::backlog::INDEX_ENTRY_BYTES;
use crate::hub::frame::Frame;
use crate::hub::record::{self, Chain, Origin};

/// What is staged. See the head of this file.
#[derive(Debug)]
pub struct Staging {
    /// The records of those that were not [taken](Staging::take).
    records: Vec<u8>,
    taken: usize,
    /// All that are not committed.
    messages: VecDeque<Staged>,
    /// What these will take of the log.
    cost_bytes: usize,
    chain: Chain,
    /// What the clock of the records is ahead of that of the log.
    clock_offset_secs: i32,
    /// How many were committed, ever.
    committed: u64,
}

#[derive(Debug)]
pub(super) struct Staged {
    /// Its frame within the records that it was taken with.
    frame: Range<usize>,
    pub(super) sender: u32,
    pub(super) at_secs: i32,
    /// The number that it goes by, if it is from outside.
    pub(super) post: Option<u64>,
}

/// Records to write, of so many messages.
#[derive(Debug)]
pub struct Batch {
    /// One behind the other.
    pub records: Vec<u8>,
    /// The value behind the last one.
    pub chain: Chain,
    /// How many.
    pub messages: usize,
    /// What they take of the log, index included.
    pub cost_bytes: usize,
}

impl Staging {
    /// Nothing is staged. `chain` is the value behind the last record that is written.
    pub(super) fn new(chain: Chain, clock_offset_secs: i32) -> Self {
        let (records, messages) = (Vec::new(), VecDeque::new());
        Self { records, taken: 0, messages, cost_bytes: 0, chain, clock_offset_secs, committed: 0 }
    }

    /// What the log has to have room for before this frame.
    pub(super) fn cost_bytes(&self) -> usize {
        self.cost_bytes
    }

    /// Whether one more frame may be staged, in a log of this capacity.
    pub(super) fn takes(&self, frame: &Frame, capacity_bytes: usize) -> bool {
        let cost_bytes = self.cost_bytes + frame.len() + INDEX_ENTRY_BYTES;
        self.messages.is_empty() || cost_bytes <= STAGED_BYTES_MAX.min(capacity_bytes / 2)
    }

    pub(super) fn push(&mut self, frame: &Frame, origin: Option<Origin>, sender: u32, post: Option<u64>, at_secs: i32) {
        let frame_range = record::encode(
            &mut self.records,
            &mut self.chain,
            frame,
            at_secs.saturating_add(self.clock_offset_secs),
            origin,
        );
        self.cost_bytes += frame.len() + INDEX_ENTRY_BYTES;
        self.messages.push_back(Staged { frame: frame_range, sender, at_secs, post });
    }

    /// Whether everything is committed.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many were not [taken](Self::take).
    pub(super) fn untaken(&self) -> usize {
        self.messages.len() - self.taken
    }

    /// How many were taken, and are not committed.
    pub(super) fn taken(&self) -> u64 {
        self.taken as u64
    }

    /// The records that were not taken before, if there are any.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let messages = self.untaken();
        if messages == 0 {
            return None;
        }
        let cost_bytes = self.messages.range(self.taken..).map(|staged| staged.frame.len() + INDEX_ENTRY_BYTES).sum();
        self.taken += messages;
        Some(Batch { records: mem::take(&mut self.records), chain: self.chain, messages, cost_bytes })
    }

    /// Hands over the messages of a batch, the oldest that was taken, each with its frame. The memory of the batch is for the next one.
    pub(super) fn commit(&mut self, batch: Batch, mut append: impl FnMut(&Staged, &[u8])) {
        for staged in self.messages.drain(..batch.messages) {
            append(&staged, &batch.records[staged.frame.clone()]);
        }
        self.taken -= batch.messages;
        self.cost_bytes -= batch.cost_bytes;
        self.committed += batch.messages as u64;
        if self.records.is_empty() && batch.records.capacity() <= STAGED_BYTES_MAX {
            self.records = batch.records;
            self.records.clear();
        }
    }

    /// How many messages were staged, ever, and how many of these are committed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.committed + self.messages.len() as u64, self.committed)
    }

    /// The value behind the last record, taken or not.
    pub(super) fn chain(&self) -> Chain {
        self.chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload_bytes: usize) -> Frame {
        Frame::binary(vec![7; payload_bytes])
    }

    /// Stages frames while they may be, and returns how many.
    fn fill(staging: &mut Staging, payload_bytes: usize, capacity_bytes: usize) -> usize {
        let frame = frame(payload_bytes);
        let staged = std::iter::from_fn(|| {
            staging.takes(&frame, capacity_bytes).then(|| staging.push(&frame, None, 1, None, 0))
        });
        staged.take(100).count()
    }

    fn commit_all(staging: &mut Staging) -> Vec<Vec<u8>> {
        let batch = staging.take().expect("something is staged");
        let mut frames = Vec::new();
        staging.commit(batch, |_, frame| frames.push(frame.to_vec()));
        frames
    }

    #[test]
    fn half_of_the_log_is_staged_at_once_and_one_message_whatever_its_size() {
        let capacity_bytes = 8 * (frame(100).len() + INDEX_ENTRY_BYTES);
        let mut staging = Staging::new(Chain::new(7), 0);
        for _ in 0..3 {
            assert_eq!(fill(&mut staging, 100, capacity_bytes), 4);
            assert_eq!(staging.cost_bytes(), capacity_bytes / 2);
            assert_eq!(commit_all(&mut staging), vec![frame(100).to_vec(); 4]);
        }
        assert_eq!(fill(&mut staging, 100, 1), 1);
        commit_all(&mut staging);
        assert_eq!(fill(&mut staging, STAGED_BYTES_MAX / 4, usize::MAX), 3, "with their headers, four are too many");
    }

    #[test]
    fn what_is_staged_meanwhile_is_not_lost_when_a_batch_is_committed() {
        let mut staging = Staging::new(Chain::new(7), 0);
        staging.push(&Frame::text("one"), None, 1, None, 0);
        let batch = staging.take().expect("there is one");
        staging.push(&Frame::text("two"), None, 1, None, 0);
        staging.commit(batch, |_, frame| assert_eq!(frame, b"\x81\x03one"));
        assert_eq!(commit_all(&mut staging), [b"\x81\x03two"]);
    }

    #[test]
    fn the_memory_of_a_batch_is_for_the_next_one_but_not_that_of_a_large_message() {
        let mut staging = Staging::new(Chain::new(7), 0);
        staging.push(&frame(100), None, 1, None, 0);
        commit_all(&mut staging);
        assert!(staging.records.is_empty() && staging.records.capacity() > 100);
        staging.push(&frame(STAGED_BYTES_MAX), None, 1, None, 0);
        commit_all(&mut staging);
        assert_eq!(staging.records.capacity(), 0);
    }
}
