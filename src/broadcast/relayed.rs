//! What is known of one channel in the log that all boards share: how far it was read here, and what is on its way.
//!
//! Leaves orders to `relaying`. What must stay true: entries are taken in the order of the stream, each once.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use crate::engine::entry::{Author, Content, Entry, EntryId};
use crate::engine::order::Seen;

/// How far a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is not known where it is.
    Unknown,
    /// What was said before is being read, up to this entry.
    Filling(EntryId),
    /// Here is what all others have, too.
    Ready,
}

/// What is known of a channel. See the head of this file.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each may hold or not beside all others")]
pub struct Relayed {
    pub(super) stage: Stage,
    /// The last entry that has come, taken in or not; `None` as long as the stage is unknown.
    pub(super) seen: Option<Seen>,
    /// The newest epoch that is known of, read or not.
    pub(super) newest_epoch: u64,
    /// The last entry that was taken in.
    pub(super) taken_in: EntryId,
    /// Entries that have come and are not taken in.
    pub(super) inbox: VecDeque<Entry>,
    /// Whether the reader has it on its list.
    pub(super) is_read: bool,
    /// Whether it has to be looked at before anything is appended.
    pub(super) needs_look: bool,
    pub(super) look_under_way: bool,
    pub(super) parcel_under_way: bool,
    /// Up to which counter messages of ours are settled when this entry is taken in, whether they come back or not.
    pub(super) answered: VecDeque<(u64, EntryId)>,
    /// Why it cannot go on, for people, and when that is tried again.
    pub(super) problem: Option<String>,
    /// Whether the messages that were handed over last were refused.
    pub(super) is_refused: bool,
    pub(super) again_at: Option<Instant>,
    /// Who waits for any of this to change.
    changed: Vec<Waker>,
    /// Who waits until so many messages are settled.
    pub(super) waiting: Vec<(u64, Waker)>,
}

impl Relayed {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Unknown,
            seen: None,
            newest_epoch: 0,
            taken_in: EntryId::default(),
            inbox: VecDeque::new(),
            is_read: false,
            needs_look: true,
            look_under_way: false,
            parcel_under_way: false,
            answered: VecDeque::new(),
            problem: None,
            is_refused: false,
            again_at: None,
            changed: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Notes where the channel is, which was not known: all of this epoch is to be read.
    pub(super) fn adopt(&mut self, newest: EntryId) {
        let marker = EntryId { seq: 0, ..newest };
        self.stage = if newest.seq == 0 { Stage::Ready } else { Stage::Filling(newest) };
        (self.seen, self.taken_in) = (Some(Seen { id: marker, author: None }), marker);
    }

    /// Adds what has come; an entry that has come before is passed over.
    pub(super) fn push(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if self.seen.is_none_or(|seen| seen.id >= entry.id) {
                continue;
            }
            self.seen = Some(Seen { id: entry.id, author: author_of(&entry) });
            self.inbox.push_back(entry);
        }
    }

    /// Whether something may be handed over now.
    pub(super) fn takes_parcels(&self) -> bool {
        let is_up_to_date = self.seen.is_some_and(|seen| seen.id.epoch >= self.newest_epoch);
        is_up_to_date
            && self.stage == Stage::Ready
            && !self.needs_look
            && !self.parcel_under_way
            && self.again_at.is_none()
    }

    /// The counter up to which messages of ours are settled by now, if that is news.
    pub(super) fn settled_by_now(&mut self) -> Option<u64> {
        let mut settled = None;
        while self.answered.front().is_some_and(|(_, newest)| *newest <= self.taken_in) {
            settled = self.answered.pop_front().map(|(counter, _)| counter);
        }
        settled
    }

    /// Has a task woken by the next [`wake`](Self::wake).
    pub(super) fn wake_with(&mut self, waker: &Waker) {
        if !self.changed.iter().any(|other| other.will_wake(waker)) {
            self.changed.push(waker.clone());
        }
    }

    /// Wakes those who wait for a change.
    pub(super) fn wake(&mut self) {
        self.changed.drain(..).for_each(Waker::wake);
    }
}

/// Whose message an entry is.
fn author_of(entry: &Entry) -> Option<Author> {
    match &entry.content {
        Content::Message { author, .. } => Some(*author),
        Content::Marker | Content::Foreign => None,
    }
}
