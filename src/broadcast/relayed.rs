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
    /// Whether with that what was seen has to be there.
    pub(super) has_to_be_same: bool,
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
            has_to_be_same: false,
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
    fn adopt(&mut self, newest: EntryId) {
        let marker = EntryId { seq: 0, ..newest };
        self.stage = if newest.seq == 0 { Stage::Ready } else { Stage::Filling(newest) };
        (self.seen, self.taken_in) = (Some(Seen { id: marker, author: None }), marker);
    }

    /// Adds what has come, which is all behind an entry. What begins behind others that have not come is passed over, as it was asked for before
    /// the reader was told to begin elsewhere; and so is an entry that has come before.
    pub(super) fn push(&mut self, behind: EntryId, entries: Vec<Entry>) {
        for entry in entries {
            if self.seen.is_none_or(|seen| seen.id < behind || seen.id >= entry.id) {
                continue;
            }
            self.seen = Some(Seen { id: entry.id, author: author_of(&entry) });
            self.inbox.push_back(entry);
        }
    }

    /// Notes where the channel is, by a look. Returns whether that was not known. A look that had to be strict, and was not, says nothing.
    pub(super) fn note_place(&mut self, newest: EntryId, was_strict: bool) -> bool {
        if self.has_to_be_same && !was_strict {
            return false;
        }
        (self.has_to_be_same, self.needs_look, self.problem, self.again_at) = (false, false, None, None);
        self.newest_epoch = newest.epoch;
        match self.stage {
            Stage::Unknown => {
                self.adopt(newest);
                return true;
            }
            // Redis may have less by now than it had.
            Stage::Filling(until) => self.stage = Stage::Filling(until.min(newest)),
            Stage::Ready => {}
        }
        false
    }

    /// Has it looked at before anything more is appended. `has_to_be_same`: what was seen has to be there then.
    pub(super) fn note_doubt(&mut self, has_to_be_same: bool) {
        self.needs_look = true;
        self.has_to_be_same |= has_to_be_same;
    }

    /// Notes that what is under way may have arrived or not: what was answered before may have to go again.
    pub(super) fn note_lost(&mut self) {
        (self.needs_look, self.look_under_way, self.parcel_under_way) = (true, false, false);
        self.answered.clear();
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

    /// Has a task woken when so many messages are settled.
    pub(super) fn wait_until(&mut self, target: u64, waker: &Waker) {
        if !self.waiting.iter().any(|(other, known)| *other == target && known.will_wake(waker)) {
            self.waiting.push((target, waker.clone()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: u64, seq: u64) -> EntryId {
        EntryId { epoch, seq }
    }

    fn entries(epoch: u64, numbers: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
        numbers.map(|seq| Entry { id: id(epoch, seq), content: Content::Foreign }).collect()
    }

    fn numbers(relayed: &Relayed) -> Vec<u64> {
        relayed.inbox.iter().map(|entry| entry.id.seq).collect()
    }

    #[test]
    fn what_begins_behind_others_that_have_not_come_is_passed_over_and_what_has_come_is_taken_once() {
        let mut relayed = Relayed::new();
        relayed.push(id(0, 0), entries(5, 1..=3));
        assert!(numbers(&relayed).is_empty(), "it is not known where it is");
        assert!(relayed.note_place(id(5, 9), true));
        relayed.push(id(5, 0), entries(5, 1..=3));
        relayed.push(id(5, 5), entries(5, 6..=8));
        relayed.push(id(5, 1), entries(5, 2..=4));
        assert_eq!(numbers(&relayed), [1, 2, 3, 4]);
        relayed.push(id(5, 4), entries(6, 0..=1));
        relayed.push(id(5, 4), entries(5, 5..=6));
        assert_eq!(numbers(&relayed), [1, 2, 3, 4, 0, 1], "there is no way back");
    }

    #[test]
    fn what_has_to_be_the_same_is_known_only_by_a_strict_look() {
        let mut relayed = Relayed::new();
        relayed.note_place(id(5, 0), false);
        assert!(relayed.stage == Stage::Ready && relayed.takes_parcels());
        relayed.note_doubt(true);
        relayed.note_doubt(false);
        relayed.note_place(id(5, 0), false);
        assert!(!relayed.takes_parcels() && relayed.has_to_be_same);
        relayed.note_place(id(5, 0), true);
        assert!(relayed.takes_parcels() && !relayed.has_to_be_same);
    }

    #[test]
    fn nothing_is_handed_over_before_a_later_epoch_has_come_unless_redis_has_lost_that() {
        let mut relayed = Relayed::new();
        relayed.note_place(id(5, 0), false);
        relayed.note_place(id(6, 0), false);
        assert!(!relayed.takes_parcels());
        relayed.note_place(id(5, 0), true);
        assert!(relayed.takes_parcels());
    }

    #[test]
    fn the_past_is_read_as_far_as_redis_still_has_it() {
        let mut relayed = Relayed::new();
        relayed.note_place(id(5, 100), false);
        relayed.note_place(id(5, 60), true);
        assert_eq!(relayed.stage, Stage::Filling(id(5, 60)));
        relayed.note_place(id(5, 80), true);
        assert_eq!(relayed.stage, Stage::Filling(id(5, 60)), "what is new comes as it comes");
    }

    #[test]
    fn what_was_answered_before_the_line_broke_settles_nothing_behind_it() {
        let mut relayed = Relayed::new();
        relayed.note_place(id(5, 0), false);
        relayed.answered.extend([(3, id(5, 7)), (4, id(5, 9))]);
        relayed.taken_in = id(5, 8);
        assert_eq!((relayed.settled_by_now(), relayed.settled_by_now()), (Some(3), None));
        relayed.note_lost();
        relayed.taken_in = id(6, 0);
        assert_eq!(relayed.settled_by_now(), None, "it may have to go again");
    }
}
