//! How messages get into a channel: at once, or in their turn when there is room; and for how long they wait for whom.
//!
//! No clock: time comes in as an argument. Leaves the subscribers to `channel`, and the accounts of those who are waited for to
//! `laggards`. What must stay true: messages are published in the order in which they came, and none overwrites what somebody has still
//! to get.

use std::time::Instant;

use crate::hub::backlog::INDEX_ENTRY_BYTES;
use crate::hub::blocked_messages::{OUTSIDER, Publisher};
use crate::hub::channel::Channel;
use crate::hub::frame::Frame;
use crate::hub::position::Position;
use crate::hub::record::Origin;
use crate::hub::way::Way;

/// Whether a message went out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is in the backlog, or [staged](crate::hub::staging) for it.
    Now,
    /// The backlog is full of what others have still to get. The publisher has to wait until [`Channel::admit`] names it.
    Later,
}

/// What became of a message from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// It is in the backlog, here.
    Now(Position),
    /// It is [staged](crate::hub::staging), and goes by this number until [`Channel::commit`] names it.
    Staged(u64),
    /// It waits for room, and goes by this number until [`Channel::admit`] names it, or [`Channel::commit`] does.
    Later(u64),
}

/// Who waited for room, and waits no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// The subscriber in this slot.
    Subscriber(usize),
    /// A message from outside, by the number that it went by; it is in the backlog, here.
    Post(u64, Position),
}

impl<T> Channel<T> {
    /// Publishes a message of this subscriber, at once or when there is room for it. `now_secs` is the age that messages are
    /// compared by, `origin` what its record says of the connection.
    pub fn publish(&mut self, slot: usize, frame: Frame, now_secs: i32, origin: Option<Origin>) -> Published {
        let number = self.subscribers[slot].number;
        if self.blocked.is_empty() && self.has_room_for(&frame) {
            match &mut self.way {
                Way::Direct => self.backlog.append(&frame, number, now_secs),
                Way::Kept(staging) => staging.push(&frame, origin, number, None, now_secs),
                Way::Shared(outbox) => outbox.push(frame, origin, number, None),
            }
            return Published::Now;
        }
        self.blocked.push(Publisher::Subscriber { slot, number }, frame);
        Published::Later
    }

    /// Publishes a message of somebody who is no subscriber, in its turn among those of subscribers.
    pub fn post(&mut self, frame: Frame, now_secs: i32) -> Posted {
        if self.blocked.is_empty() && self.has_room_for(&frame) {
            let number = self.blocked.next_post();
            match &mut self.way {
                Way::Direct => {
                    self.backlog.append(&frame, OUTSIDER, now_secs);
                    return Posted::Now(self.head_position());
                }
                Way::Kept(staging) => staging.push(&frame, None, OUTSIDER, Some(number), now_secs),
                Way::Shared(outbox) => outbox.push(frame, None, OUTSIDER, Some(number)),
            }
            return Posted::Staged(number);
        }
        Posted::Later(self.blocked.push_post(frame))
    }

    /// Takes back a message that waits for room, as if it had never been sent.
    pub fn withdraw(&mut self, slot: usize) {
        let number = self.subscribers[slot].number;
        self.blocked.withdraw(&Publisher::Subscriber { slot, number });
    }

    /// The same for one from outside. Nothing happens if it waits no longer.
    pub fn withdraw_post(&mut self, number: u64) {
        self.blocked.withdraw(&Publisher::Outsider(number));
        if let Way::Shared(outbox) = &mut self.way {
            outbox.withdraw(number);
        }
    }

    /// Whether a message from outside can be taken back: it waits for room, or to be handed over to the log of all boards.
    pub fn can_withdraw_post(&self, number: u64) -> bool {
        let is_queued = matches!(&self.way, Way::Shared(outbox) if outbox.can_withdraw(number));
        is_queued || self.blocked.has(&Publisher::Outsider(number))
    }

    /// Publishes what waits, in the order in which it came, as far as there is room. Returns the publishers that wait no
    /// longer and are still here. `origin_of` is asked once for each message of one of these.
    pub fn admit(&mut self, now_secs: i32, origin_of: impl Fn(&T) -> Option<Origin>) -> Vec<Admitted> {
        let mut admitted = Vec::new();
        while self.blocked.front().is_some_and(|frame| self.has_room_for(frame)) {
            let (publisher, frame) = self.blocked.pop().expect("it was just looked at");
            let (present, post) = match publisher {
                Publisher::Subscriber { slot, number } => {
                    (self.subscribers.get(slot).filter(|subscriber| subscriber.number == number), None)
                }
                Publisher::Outsider(number) => (None, Some(number)),
            };
            if let (Publisher::Subscriber { slot, .. }, Some(_)) = (publisher, present) {
                admitted.push(Admitted::Subscriber(slot));
            }
            let origin = || present.and_then(|subscriber| origin_of(&subscriber.transport));
            match &mut self.way {
                Way::Direct => {
                    self.backlog.append(&frame, publisher.sender(), now_secs);
                    if let Some(number) = post {
                        admitted.push(Admitted::Post(number, self.head_position()));
                    }
                }
                Way::Kept(staging) => staging.push(&frame, origin(), publisher.sender(), post, now_secs),
                Way::Shared(outbox) => {
                    let origin = origin();
                    outbox.push(frame, origin, publisher.sender(), post);
                }
            }
        }
        admitted
    }

    /// Whether a message may take its way now.
    fn has_room_for(&self, frame: &Frame) -> bool {
        let before_bytes = match &self.way {
            Way::Direct => 0,
            Way::Kept(staging) if !staging.takes(frame, self.backlog.capacity_bytes()) => return false,
            Way::Kept(staging) => staging.cost_bytes(),
            // Room in the log is a question of when it comes back.
            Way::Shared(outbox) => return outbox.takes(frame, self.backlog.capacity_bytes()),
        };
        self.has_room_behind(before_bytes + frame.len() + INDEX_ENTRY_BYTES)
    }

    /// Whether everybody has all that so many bytes would overwrite.
    pub(super) fn has_room_behind(&self, bytes: usize) -> bool {
        let first_needed = match self.laggards.lowest_cursor() {
            Some(cursor) if cursor < self.flushed => self.backlog.seq_at(cursor),
            _ => self.flushed_seq,
        };
        self.backlog.has_room_behind(first_needed, bytes)
    }

    /// How long the frame is for which everybody who is behind has to make room, if there is one. A wait for a file, or for the log of
    /// all boards, is nobody's.
    fn bytes_waited_for(&self) -> Option<usize> {
        let front = self.blocked.front();
        match &self.way {
            Way::Direct => front.map(Frame::len),
            Way::Kept(staging) => {
                front.filter(|frame| staging.takes(frame, self.backlog.capacity_bytes())).map(Frame::len)
            }
            Way::Shared(_) => Some(self.arriving_bytes).filter(|bytes| *bytes > 0),
        }
    }

    /// Whether [`review`](Self::review) is due after [`admit`](Self::admit): a publisher is blocked, or was at the last review and its
    /// wait has to end in the accounts of those who have kept it waiting, however it ended.
    pub fn needs_review(&self) -> bool {
        !self.blocked.is_empty() || self.arriving_bytes > 0 || self.laggards.is_charging()
    }

    /// Finds subscribers that have blocked publishers for longer than the patience. Returns their slots, and when to check next:
    /// `None` if nobody is blocked.
    ///
    /// A wait counts against a subscriber that blocks the next message, and against each one more than half the backlog behind:
    /// otherwise several could stall in turn, each with a patience of its own. A wait for the channel's file, or for the log that all boards share, counts against nobody.
    pub fn review(&mut self, now: Instant) -> (Vec<usize>, Option<Instant>) {
        let charged_below = self.bytes_waited_for().map(|bytes| {
            let half_back = self.backlog.position_of(self.backlog.first_seq_of_newer_half());
            let half_back = half_back.expect("it is held, or the next to come");
            self.backlog.low_water_mark_for(bytes).max(half_back)
        });
        self.laggards.review(now, charged_below)
    }
    /// Begins the account of each of these anew: it was not for them that others have waited.
    pub fn excuse(&mut self, is_excused: impl Fn(&T) -> bool) {
        let subscribers = &self.subscribers;
        self.laggards.excuse(|slot| subscribers.get(slot).is_some_and(|subscriber| is_excused(&subscriber.transport)));
    }
}
