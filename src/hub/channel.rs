//! One channel: subscribers as cursors into its backlog, and publishers that wait for room in it.
//!
//! No sockets and no clock: time comes in as an argument. Leaves what is written next to whom to `delivery`. What must stay true:
//! no event costs more than those who are behind, a message that anybody has still to get is not overwritten, and within an epoch a
//! number names one message.
//!
//! The backlog numbers all frames that it ever had. A message's number counts from the beginning of its epoch, and is the one that
//! everybody else knows.

use std::collections::{BTreeMap, TryReserveError};
use std::time::Duration;

use slab::Slab;

use crate::hub::backlog::Backlog;
use crate::hub::blocked_messages::{BlockedMessages, OUTSIDER};
use crate::hub::directory::Usage;
use crate::hub::epochs::{Beginning, Epochs};
use crate::hub::held_frame::HeldFrame;
use crate::hub::laggards::Laggards;
use crate::hub::position::Position;
use crate::hub::stream_encoding::Encoding;
use crate::hub::way::Way;

/// Where a newcomer's cursor starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With up to this many of the last messages.
    History(u64),
    /// With the message after this number, or the oldest that is held.
    After(u64),
}

/// What a newcomer was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Where the subscriber is kept, for all later calls.
    pub slot: usize,
    /// The epoch of these numbers.
    pub epoch: String,
    /// The number before the first message that it gets.
    pub seq: u64,
    /// The messages between the wanted start and the first that is held.
    pub lost: u64,
    /// The number of the newest message.
    pub head: u64,
}

/// In which form a subscriber gets messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All frames.
    Frames,
    /// All frames but its own.
    FramesOfOthers,
    /// A stream over HTTP, which is outside of the rounds that the others share.
    Stream,
}

/// What is kept of a stream beside what is kept of every subscriber.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    pub(super) encoding: Encoding,
    /// The number in the backlog of the last frame that it gets.
    pub(super) last: u64,
    /// The epoch that it was told last.
    pub(super) epoch: u64,
}

#[derive(Debug)]
pub(super) struct Subscriber<T> {
    pub(super) transport: T,
    /// Identifies the sender in the backlog. Unlike a slot it is not reused, until 2^32 subscribers have joined; never [`OUTSIDER`].
    pub(super) number: u32,
    pub(super) form: Form,
    /// Whether it is in `laggards`, and under which cursor. The rest of a laggard's state is kept there, because every message
    /// goes through all subscribers and this struct has to stay small.
    pub(super) is_behind: bool,
    behind_at: u64,
    pub(super) cursor: u64,
    /// The number of the frame at the cursor, for counting deliveries.
    pub(super) seq: u64,
}

/// A channel. `T` is what its owner needs to reach a subscriber, such as a socket; the channel only keeps it.
#[derive(Debug)]
pub struct Channel<T> {
    pub(super) backlog: Backlog,
    /// Where messages go before they are in the backlog.
    pub(super) way: Way,
    /// How long the frame is that has come from the log of all boards, and for which there is no room; 0 if there is none.
    pub(super) arriving_bytes: usize,
    /// How many frames the backlog had before this process.
    pub(super) restored: u64,
    pub(super) subscribers: Slab<Subscriber<T>>,
    /// What is kept of those that are streams, by their slots.
    pub(super) streams: BTreeMap<usize, Stream>,
    next_number: u32,
    pub(super) epochs: Epochs,
    /// Whoever is not behind has everything below this position.
    pub(super) flushed: u64,
    /// The number of the frame at that position: to look it up would cost a search of the index in each round.
    pub(super) flushed_seq: u64,
    pub(super) laggards: Laggards,
    pub(super) blocked: BlockedMessages,
    /// Messages that were written in full, one for each subscriber that got it.
    pub(super) deliveries: u64,
}

impl<T> Channel<T> {
    /// An empty channel with a backlog of this capacity, and with this much patience for a slow subscriber. `epoch` is a name that no
    /// other channel has had.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn new(capacity_bytes: usize, patience: Duration, epoch: String) -> Result<Self, TryReserveError> {
        Ok(Self::restored(Backlog::new(capacity_bytes)?, patience, epoch))
    }

    /// A channel with what an earlier process has left of this epoch, in a backlog whose numbers are those of the epoch.
    pub fn restored(backlog: Backlog, patience: Duration, epoch: String) -> Self {
        let (flushed, flushed_seq) = (backlog.end(), backlog.next_seq());
        Self {
            backlog,
            way: Way::Direct,
            arriving_bytes: 0,
            restored: flushed_seq - 1,
            subscribers: Slab::new(),
            streams: BTreeMap::new(),
            next_number: OUTSIDER + 1,
            epochs: Epochs::new(epoch),
            flushed,
            flushed_seq,
            laggards: Laggards::new(patience),
            blocked: BlockedMessages::default(),
            deliveries: 0,
        }
    }

    /// Lets a subscriber in that gets frames. With `echo` it gets its own messages too.
    pub fn join(&mut self, transport: T, echo: bool, start: Start) -> Joined {
        self.join_as(transport, if echo { Form::Frames } else { Form::FramesOfOthers }, start)
    }

    /// Lets a subscriber in.
    ///
    /// It starts in the newer half of the backlog at the earliest: one that started at the oldest frame of a full backlog
    /// would keep the next publisher waiting at once, and a row of such subscribers would do so for ever.
    pub(super) fn join_as(&mut self, transport: T, form: Form, start: Start) -> Joined {
        let head = self.head();
        let first_held = self.backlog.first_seq_of_newer_half().max(self.epochs.frames_before() + 1);
        let first_held = self.epochs.number_of(first_held);
        let (first_number, lost) = match start {
            Start::History(count) => (first_held.max((head + 1).saturating_sub(count)), 0),
            Start::After(seq) => {
                let wanted = seq.min(head) + 1;
                (wanted.max(first_held), first_held.saturating_sub(wanted))
            }
        };
        let first = self.epochs.frame_of(first_number);
        let cursor = self.backlog.position_of(first).expect("the first frame to get is held, or the next to come");
        let number = self.next_number;
        self.next_number = self.next_number.checked_add(1).unwrap_or(OUTSIDER + 1);
        let (is_behind, behind_at) = (false, 0);
        let subscriber = Subscriber { transport, number, form, is_behind, behind_at, cursor, seq: first };
        let slot = self.subscribers.insert(subscriber);
        self.reindex(slot);
        Joined { slot, epoch: self.epoch().to_owned(), seq: first_number - 1, lost, head }
    }

    /// Lets a subscriber go. Returns what it lacks of a frame that it has in part: that has to be written before anything else
    /// is, and the backlog need not keep it any longer. Of a stream that is nothing: its end is where it is cut.
    pub fn leave(&mut self, slot: usize) -> (T, Vec<u8>) {
        let is_stream = self.streams.remove(&slot).is_some();
        let frame_tail = if is_stream { Vec::new() } else { self.frame_tail(slot).concat() };
        let subscriber = self.subscribers.remove(slot);
        if subscriber.is_behind {
            self.laggards.remove(slot, subscriber.behind_at);
        }
        (subscriber.transport, frame_tail)
    }

    /// What the subscriber lacks of a frame that it has in part; two empty slices if it is between two frames.
    pub fn frame_tail(&self, slot: usize) -> [&[u8]; 2] {
        let cursor = self.subscribers[slot].cursor;
        self.backlog.slices(cursor..self.backlog.boundary_from(cursor))
    }

    /// Keeps the order of those behind in step with the subscriber's cursor. To be called for whoever is passed over in a
    /// round, too.
    pub fn reindex(&mut self, slot: usize) {
        let end = self.backlog.end();
        let subscriber = &mut self.subscribers[slot];
        let (before, now) = (subscriber.behind_at, subscriber.cursor);
        match (subscriber.is_behind, now < end) {
            (false, false) => {}
            (false, true) => self.laggards.insert(slot, now),
            (true, false) => self.laggards.remove(slot, before),
            (true, true) if before == now => {}
            (true, true) => self.laggards.advance(slot, before, now),
        }
        (subscriber.is_behind, subscriber.behind_at) = (now < end, now);
    }

    /// Begins a new epoch: what was published is there no longer for those who come, nor for who asks for the last message. Whoever is
    /// here gets what is still on its way to it. Returns the slots of streams that are too many epochs behind, and have to go.
    pub fn clear(&mut self, epoch: impl Into<Beginning>) -> Vec<usize> {
        let streams = self.streams.keys().map(|&slot| (slot, self.subscribers[slot].seq));
        let first_needed = streams.clone().map(|(_, seq)| seq).min().unwrap_or(self.backlog.next_seq());
        let first_kept = self.epochs.begin(epoch, self.backlog.next_seq() - 1, first_needed);
        streams.filter(|(_, seq)| *seq < first_kept).map(|(slot, _)| slot).collect()
    }

    /// The number of the newest message; 0 before the first of the epoch.
    pub fn head(&self) -> u64 {
        self.epochs.head(self.backlog.next_seq() - 1)
    }

    /// The name of the epoch.
    pub fn epoch(&self) -> &str {
        self.epochs.present()
    }

    /// The epoch and the number of its newest message.
    pub fn head_position(&self) -> Position {
        Position { epoch: self.epoch().to_owned(), seq: self.head() }
    }

    /// The newest message and its number, if the epoch has one and it is still held.
    pub fn last(&self) -> Option<(u64, HeldFrame<'_>)> {
        let newest = self.backlog.next_seq() - 1;
        let frame = self.backlog.frame(newest).filter(|_| newest > self.epochs.frames_before())?;
        Some((self.epochs.number_of(newest), frame))
    }

    /// How many messages were published in this process, in all epochs.
    pub fn published(&self) -> u64 {
        self.backlog.next_seq() - 1 - self.restored
    }

    /// Whether another channel may have this one's place.
    pub fn usage(&self) -> Usage {
        match (self.subscribers.is_empty() && self.blocked.is_empty() && !self.is_staging(), self.head()) {
            (false, _) => Usage::InUse,
            (true, 0) => Usage::Empty,
            (true, _) => Usage::Unused,
        }
    }

    /// Whether a subscriber has everything that is published.
    pub fn is_up_to_date(&self, slot: usize) -> bool {
        self.subscribers[slot].cursor == self.backlog.end()
    }

    /// What the owner needs to reach a subscriber; `None` where nobody is.
    pub fn get(&self, slot: usize) -> Option<&T> {
        self.subscribers.get(slot).map(|subscriber| &subscriber.transport)
    }

    /// All subscribers, with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.subscribers.iter().map(|(slot, subscriber)| (slot, &subscriber.transport))
    }

    /// The number of subscribers.
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// How many subscribers have not got everything.
    pub fn laggards_len(&self) -> usize {
        self.laggards.len()
    }

    /// How many publishers wait.
    pub fn blocked_len(&self) -> usize {
        self.blocked.len()
    }

    /// Messages that were written in full, one for each subscriber that got it.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The shared log, for its figures.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }
}

#[cfg(test)]
mod tests;
