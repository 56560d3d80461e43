//! Messages that wait for room in a backlog, each with who has sent it.
//!
//! Leaves to `publishing` for how long. What must stay true: they leave in the order in which they came.

use std::collections::VecDeque;

use crate::hub::frame::Frame;

/// The sender of what comes from outside, which no subscriber has for its number.
pub const OUTSIDER: u32 = 0;

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher {
    /// A subscriber, by its slot, and by its number, since slots are reused.
    Subscriber {
        /// Its slot.
        slot: usize,
        /// Its number as a sender.
        number: u32,
    },
    /// Somebody who is no subscriber, by a number that each message has for itself.
    Outsider(u64),
}

impl Publisher {
    /// As what it stands in the backlog.
    pub fn sender(self) -> u32 {
        match self {
            Self::Subscriber { number, .. } => number,
            Self::Outsider(_) => OUTSIDER,
        }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub struct BlockedMessages {
    queue: VecDeque<(Publisher, Frame)>,
    next_post: u64,
}

impl BlockedMessages {
    /// Adds a message at the end.
    pub fn push(&mut self, publisher: Publisher, frame: Frame) {
        self.queue.push_back((publisher, frame));
    }

    /// Adds a message from outside, and returns the number that it goes by.
    pub fn push_post(&mut self, frame: Frame) -> u64 {
        let number = self.next_post();
        self.push(Publisher::Outsider(number), frame);
        number
    }

    /// A number for a message from outside that no other has had.
    pub fn next_post(&mut self) -> u64 {
        let number = self.next_post;
        self.next_post += 1;
        number
    }

    /// Whether a message of somebody waits.
    pub fn has(&self, publisher: &Publisher) -> bool {
        self.queue.iter().any(|(waiting, _)| waiting == publisher)
    }

    /// The message whose turn it is.
    pub fn front(&self) -> Option<&Frame> {
        self.queue.front().map(|(_, frame)| frame)
    }

    /// Takes it out.
    pub fn pop(&mut self) -> Option<(Publisher, Frame)> {
        self.queue.pop_front()
    }

    /// Takes back what somebody has sent.
    pub fn withdraw(&mut self, publisher: &Publisher) {
        self.queue.retain(|(waiting, _)| waiting != publisher);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
