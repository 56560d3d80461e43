//! One channel: subscribers as cursors into its backlog, and publishers that wait for room in it.
//!
//! No sockets and no clock: time comes in as an argument. Leaves what is written next to whom to `delivery`. What must stay true:
//! no event costs more than those who are behind, and a message that anybody has still to get is not overwritten.

use std::collections::{TryReserveError, VecDeque};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::hub::backlog::Backlog;
use crate::hub::frame::Frame;
use crate::hub::laggards::Laggards;

/// Where a newcomer's cursor starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With up to this many of the last messages.
    History(u64),
    /// With the message after this number, or the oldest that is held.
    After(u64),
}

/// What a newcomer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Where the subscriber is kept, for all later calls.
    pub slot: usize,
    /// The number before the first message that it gets.
    pub seq: u64,
    /// The messages between the wanted start and the first that is held.
    pub lost: u64,
    /// The number of the newest message.
    pub head: u64,
}

/// Whether a message went out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is in the backlog.
    Now,
    /// The backlog is full of what others have still to get. The publisher has to wait until [`Channel::admit`] names it.
    Later,
}

#[derive(Debug)]
pub(super) struct Subscriber<T> {
    pub(super) transport: T,
    /// Identifies the sender in the backlog. Unlike a slot it is not reused, until 2^32 subscribers have joined.
    pub(super) number: u32,
    pub(super) echo: bool,
    /// Whether it is in `laggards`, and under which cursor. The rest of a laggard's state is kept there, because every message
    /// goes through all subscribers and this struct has to stay small.
    pub(super) is_behind: bool,
    behind_at: u64,
    pub(super) cursor: u64,
    /// The number of the frame at the cursor, for counting deliveries.
    pub(super) seq: u64,
}

/// A message that waits for room in the backlog.
#[derive(Debug)]
struct BlockedMessage {
    slot: usize,
    number: u32,
    frame: Frame,
}

/// A channel. `T` is what its owner needs to reach a subscriber, such as a socket; the channel only keeps it.
#[derive(Debug)]
pub struct Channel<T> {
    pub(super) backlog: Backlog,
    pub(super) subscribers: Slab<Subscriber<T>>,
    next_number: u32,
    /// Whoever is not behind has everything below this position.
    pub(super) flushed: u64,
    laggards: Laggards,
    blocked: VecDeque<BlockedMessage>,
    /// Messages that were written in full, one for each subscriber that got it.
    pub(super) deliveries: u64,
}

impl<T> Channel<T> {
    /// An empty channel with a backlog of this capacity, and with this much patience for a slow subscriber.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn new(capacity_bytes: usize, patience: Duration) -> Result<Self, TryReserveError> {
        Ok(Self {
            backlog: Backlog::new(capacity_bytes)?,
            subscribers: Slab::new(),
            next_number: 1,
            flushed: 0,
            laggards: Laggards::new(patience),
            blocked: VecDeque::new(),
            deliveries: 0,
        })
    }

    /// Lets a subscriber in. With `echo` it gets its own messages too.
    ///
    /// It starts in the newer half of the backlog at the earliest: one that started at the oldest frame of a full backlog
    /// would keep the next publisher waiting at once, and a row of such subscribers would do so for ever.
    pub fn join(&mut self, transport: T, echo: bool, start: Start) -> Joined {
        let head = self.head();
        let wanted = match start {
            Start::History(count) => self.backlog.first_seq_of_newer_half().max((head + 1).saturating_sub(count)),
            Start::After(seq) => seq.min(head) + 1,
        };
        let first = wanted.max(self.backlog.first_seq_of_newer_half());
        let cursor = self.backlog.position_of(first).expect("the first frame to get is held, or the next to come");
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let (is_behind, behind_at) = (false, 0);
        let subscriber = Subscriber { transport, number, echo, is_behind, behind_at, cursor, seq: first };
        let slot = self.subscribers.insert(subscriber);
        self.reindex(slot);
        Joined { slot, seq: first - 1, lost: first - wanted, head }
    }

    /// Lets a subscriber go. Returns what it lacks of a frame that it has in part: that has to be written before anything else
    /// is, and the backlog need not keep it any longer.
    pub fn leave(&mut self, slot: usize) -> (T, Vec<u8>) {
        let frame_tail = self.frame_tail(slot).concat();
        let subscriber = self.subscribers.remove(slot);
        if subscriber.is_behind {
            self.laggards.remove(slot, subscriber.behind_at);
        }
        (subscriber.transport, frame_tail)
    }

    /// Publishes a message of this subscriber, at once or when there is room for it.
    pub fn publish(&mut self, slot: usize, frame: Frame) -> Published {
        let number = self.subscribers[slot].number;
        if self.blocked.is_empty() && self.has_room_for(&frame) {
            self.backlog.append(&frame, number);
            return Published::Now;
        }
        self.blocked.push_back(BlockedMessage { slot, number, frame });
        Published::Later
    }

    /// Takes back a message that waits for room, as if it had never been sent.
    pub fn withdraw(&mut self, slot: usize) {
        let number = self.subscribers[slot].number;
        self.blocked.retain(|blocked| blocked.number != number);
    }

    /// Publishes what waits, in the order in which it came, as far as there is room. Returns the publishers that wait no
    /// longer and are still here.
    pub fn admit(&mut self) -> Vec<usize> {
        let mut admitted = Vec::new();
        while let Some(next) = self.blocked.front() {
            if !self.has_room_for(&next.frame) {
                break;
            }
            let BlockedMessage { slot, number, frame } = self.blocked.pop_front().expect("it was just looked at");
            self.backlog.append(&frame, number);
            if self.subscribers.get(slot).is_some_and(|subscriber| subscriber.number == number) {
                admitted.push(slot);
            }
        }
        admitted
    }

    /// Whether everybody has all that would be overwritten.
    fn has_room_for(&self, frame: &Frame) -> bool {
        self.backlog.low_water_mark_for(frame.len()) <= self.low_water_mark()
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

    /// Whether [`review`](Self::review) is due after [`admit`](Self::admit): a publisher is blocked, or was at the last review and its
    /// wait has to end in the accounts of those who have kept it waiting, however it ended.
    pub fn needs_review(&self) -> bool {
        !self.blocked.is_empty() || self.laggards.is_charging()
    }

    /// Finds subscribers that have blocked publishers for longer than the patience. Returns their slots, and when to check next:
    /// `None` if nobody is blocked.
    ///
    /// A wait counts against a subscriber that blocks the next message, and against each one more than half the backlog behind:
    /// otherwise several could stall in turn, each with a patience of its own.
    pub fn review(&mut self, now: Instant) -> (Vec<usize>, Option<Instant>) {
        let charged_below = self.blocked.front().map(|next| {
            let half_back = self.backlog.position_of(self.backlog.first_seq_of_newer_half());
            let half_back = half_back.expect("it is held, or the next to come");
            self.backlog.low_water_mark_for(next.frame.len()).max(half_back)
        });
        self.laggards.review(now, charged_below)
    }

    /// The position that everybody has reached.
    fn low_water_mark(&self) -> u64 {
        self.laggards.lowest_cursor().map_or(self.flushed, |cursor| cursor.min(self.flushed))
    }

    /// The number of the newest message; 0 before the first.
    pub fn head(&self) -> u64 {
        self.backlog.next_seq() - 1
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
