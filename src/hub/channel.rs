//! One channel: subscribers as cursors into its backlog, and publishers that wait for room in it.
//!
//! No sockets and no clock: bytes to write come out as slices, bytes written come in as a number, time comes in as an argument.
//! What must stay true: every subscriber is handed exactly the published frames from its cursor on, in order, whatever is written
//! in whatever pieces; and no event costs more than those who are behind, but for a round of writing, which by its nature is for
//! all.

use std::collections::VecDeque;
use std::io::IoSlice;
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
struct Subscriber<T> {
    transport: T,
    /// Unlike the slot it is never given to somebody else, so the backlog's entries name their senders by it.
    number: u32,
    echo: bool,
    /// Whether it is among the laggards, and with which cursor. What else is known of it while it is behind is kept there: those
    /// who keep up are gone through for each message, so little is kept here.
    is_behind: bool,
    behind_at: u64,
    cursor: u64,
    /// The number of the frame at the cursor, for counting deliveries.
    seq: u64,
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
    backlog: Backlog,
    subscribers: Slab<Subscriber<T>>,
    next_number: u32,
    /// Whoever is not behind has everything below this position.
    flushed: u64,
    laggards: Laggards,
    blocked: VecDeque<BlockedMessage>,
    deliveries: u64,
}

impl<T> Channel<T> {
    /// An empty channel with a backlog of this size, and with this much patience for a slow subscriber.
    pub fn new(backlog_bytes: usize, patience: Duration) -> Self {
        Self {
            backlog: Backlog::new(backlog_bytes),
            subscribers: Slab::new(),
            next_number: 1,
            flushed: 0,
            laggards: Laggards::new(patience),
            blocked: VecDeque::new(),
            deliveries: 0,
        }
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

    /// Whether something was published since the last round.
    pub fn has_news(&self) -> bool {
        self.flushed < self.backlog.end()
    }

    /// Begins a round: offers what was published since the last one to everybody who has all before it. That is the same for
    /// all of them, so each costs one call of `write`, which returns the bytes that it took, or `None` if it left this
    /// subscriber alone.
    ///
    /// Returns who has to be looked at one by one: those that `write` left alone, that are not where the others are or want
    /// something else (`None`), and those that took a part (how many bytes it was, to be noted with
    /// [`advance`](Self::advance)). More than `bytes_max` of news is nobody's share of a turn: then it is all of them.
    pub fn share_news(
        &mut self,
        bytes_max: usize,
        mut write: impl FnMut(&T, &[IoSlice<'_>]) -> Option<usize>,
    ) -> Vec<(usize, Option<usize>)> {
        let (end, seq) = (self.backlog.end(), self.backlog.next_seq());
        let frames = seq - self.backlog.seq_at(self.flushed);
        let slices = self.backlog.slices(self.flushed..end).map(IoSlice::new);
        let slices = if slices[1].is_empty() { &slices[..1] } else { &slices[..] };
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut others = Vec::new();
        for (slot, subscriber) in &mut self.subscribers {
            let has_all_before = !subscriber.is_behind && subscriber.cursor == self.flushed;
            let takes_news = subscriber.echo && has_all_before && bytes <= bytes_max;
            let written = if takes_news { write(&subscriber.transport, slices) } else { None };
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
        self.flushed = self.backlog.end();
    }

    /// Puts what the subscriber should be written next into `slices`, at most `bytes_max` bytes, and returns how many of the
    /// slices were filled. None: it has everything.
    pub fn pending<'a>(&'a self, slot: usize, slices: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        let subscriber = &self.subscribers[slot];
        let mut filled = 0;
        let mut left_bytes = bytes_max as u64;
        // A range may take two slices.
        let ranges_max = slices.len() / 2;
        let mut put = |range: std::ops::Range<u64>| {
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
        if subscriber.echo {
            put(subscriber.cursor..self.backlog.end());
        } else {
            self.backlog.ranges_without(subscriber.number, subscriber.cursor).take(ranges_max).all(put);
        }
        filled
    }

    /// Moves the subscriber's cursor by the bytes that were written of what [`pending`](Self::pending) gave.
    pub fn advance(&mut self, slot: usize, written: usize) {
        let subscriber = &self.subscribers[slot];
        let cursor = if subscriber.echo {
            subscriber.cursor + written as u64
        } else {
            self.position_without_own(slot, written as u64)
        };
        let seq = if cursor == self.backlog.end() { self.backlog.next_seq() } else { self.backlog.seq_at(cursor) };
        let own = if subscriber.echo { 0 } else { self.backlog.count_of(subscriber.number, subscriber.cursor..cursor) };
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

    /// Looks at who keeps publishers waiting. Returns those who have done so for longer than the patience, and when to
    /// look again: `None` if nobody waits.
    ///
    /// A subscriber is charged while somebody waits for it, or waits while it is behind by more than half the backlog: so
    /// those who stall one after the other do not each have a patience of their own.
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

    /// Whether a publisher waits for room in the backlog.
    pub fn has_blocked_publishers(&self) -> bool {
        !self.blocked.is_empty()
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
