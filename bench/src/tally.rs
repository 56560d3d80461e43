//! The judge: has this client got every message, once and in order?
//!
//! One [`Tally`] per client, a few words each. What must stay true: whatever is missing, doubled or out of order
//! becomes a [`Fault`], and a fault makes the run void; no load may look away.

use crate::wire::{PUBLISHERS_MAX, Stamp};

/// Why a run is void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A publisher's message came out of turn: one before it is lost, or it came twice.
    OutOfTurn {
        /// Whose message it was.
        publisher: usize,
        /// The number that was due.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The server closed a client that was to stay.
    Closed(String),
    /// The server's bytes are no frames that the load can count.
    Unreadable,
    /// Two clients have got the messages of several publishers in different orders.
    OrdersDiffer,
    /// Deliveries that did not come in time.
    Missing {
        /// How many there should have been.
        expected: u64,
        /// How many there were.
        got: u64,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfTurn { publisher, expected, got } => write!(
                f,
                "message {got} of publisher {publisher} came where {expected} was due: lost, doubled or reordered"
            ),
            Self::Closed(why) => write!(f, "the server ended a connection that was to stay: {why}"),
            Self::Unreadable => {
                write!(f, "the server sent bytes that are no whole WebSocket frame")
            }
            Self::OrdersDiffer => {
                write!(f, "two clients have seen the messages in different orders")
            }
            Self::Missing { expected, got } => {
                write!(f, "only {got} of {expected} deliveries came, and then nothing for a long time")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// What one client has received.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    next_seq: [u64; PUBLISHERS_MAX],
    messages: u64,
    order: u64,
    joins_late: bool,
}

impl Tally {
    /// For a client that joins while messages fly: the first number that it sees of a publisher is the right one.
    pub fn late() -> Self {
        Self { joins_late: true, ..Self::default() }
    }

    /// Counts a message that has come completely.
    #[inline]
    pub fn count(&mut self, stamp: Stamp) -> Result<(), Fault> {
        let next = &mut self.next_seq[stamp.publisher];
        if *next != stamp.seq {
            if !(self.joins_late && *next == 0) {
                return Err(Fault::OutOfTurn { publisher: stamp.publisher, expected: *next, got: stamp.seq });
            }
            *next = stamp.seq;
        }
        *next += 1;
        self.messages += 1;
        // A polynomial hash of who came when: equal for two clients only if they saw one order.
        self.order = self.order.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stamp.publisher as u64 + 1);
        Ok(())
    }

    /// How many messages of this publisher have come.
    pub fn of(&self, publisher: usize) -> u64 {
        self.next_seq[publisher]
    }

    /// How many messages have come in all.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// A fingerprint of the order in which they came.
    pub fn order(&self) -> u64 {
        self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(publisher: usize, seq: u64) -> Stamp {
        Stamp { publisher, seq, sent_ns: 0 }
    }

    #[test]
    fn a_gap_a_repeat_and_a_swap_are_faults() {
        for wrong in [[0, 2], [0, 0], [1, 0]] {
            let mut tally = Tally::default();
            let ok = wrong.into_iter().all(|seq| tally.count(stamp(0, seq)).is_ok());
            assert!(!ok, "{wrong:?} was let pass");
        }
    }

    #[test]
    fn a_late_joiner_may_start_anywhere_and_must_go_on_from_there() {
        let mut tally = Tally::late();
        assert!(tally.count(stamp(0, 41)).is_ok());
        assert!(tally.count(stamp(0, 42)).is_ok());
        assert!(tally.count(stamp(0, 44)).is_err());
    }

    #[test]
    fn another_interleaving_gives_another_order() {
        let (mut a, mut b) = (Tally::default(), Tally::default());
        a.count(stamp(0, 0)).and_then(|()| a.count(stamp(1, 0))).unwrap();
        b.count(stamp(1, 0)).and_then(|()| b.count(stamp(0, 0))).unwrap();
        assert_eq!(a.messages(), b.messages());
        assert_ne!(a.order(), b.order());
    }
}
