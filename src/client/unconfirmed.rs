//! Messages from being read to being in the server's log: in order, each once.
//!
//! No I/O. Leaves to others what goes over the wire. What must stay true: a message leaves the queue when the server has said that it is
//! in the log, or when nobody can say so any more, and then it is counted; what a broken connection did not bring into the
//! log goes first over the next.

use std::collections::VecDeque;

use async_tungstenite::tungstenite::Message;

use crate::config::client_limits::{UNCONFIRMED_BYTES_MAX, UNCONFIRMED_MESSAGES_MAX};

/// The queue.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    messages: VecDeque<Message>,
    bytes: usize,
    /// How many of them, from the first, are under way over this connection.
    under_way: usize,
    /// How many messages of this connection have left the queue.
    confirmed: u64,
}

impl Unconfirmed {
    /// Adds a message at the end.
    pub fn push(&mut self, message: Message) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    /// Whether nothing more should be read now.
    pub fn is_full(&self) -> bool {
        self.bytes >= UNCONFIRMED_BYTES_MAX || self.messages.len() >= UNCONFIRMED_MESSAGES_MAX
    }

    /// Whether all is in the log.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The next message to send, which is under way from now on.
    pub fn take_next(&mut self) -> Option<Message> {
        let message = self.messages.get(self.under_way).cloned()?;
        self.under_way += 1;
        Some(message)
    }

    /// How many messages have been sent over this connection.
    pub fn sent(&self) -> u64 {
        self.confirmed + self.under_way as u64
    }

    /// How many are under way, and how many wait to be sent.
    pub fn lens(&self) -> (usize, usize) {
        (self.under_way, self.messages.len() - self.under_way)
    }

    /// Notes that the first `count` messages of this connection are in the log.
    pub fn confirm(&mut self, count: u64) {
        while self.confirmed < count && self.under_way > 0 {
            self.pop();
            self.confirmed += 1;
        }
    }

    /// Begins a new connection. `taken`: how many messages of the last one are in the log; `None` if nobody knows. Returns of how
    /// many messages it cannot be said.
    pub fn begin_connection(&mut self, taken: Option<u64>) -> usize {
        let unsure = match taken {
            Some(taken) => {
                self.confirm(taken);
                0
            }
            None => self.under_way,
        };
        for _ in 0..unsure {
            self.pop();
        }
        (self.under_way, self.confirmed) = (0, 0);
        unsure
    }

    /// Takes out what is longer than the server takes, and returns how many these were. To be called before anything is under way.
    pub fn remove_longer_than(&mut self, bytes_max: usize) -> usize {
        let before = self.messages.len();
        self.messages.retain(|message| message.len() <= bytes_max);
        self.bytes = self.messages.iter().map(Message::len).sum();
        before - self.messages.len()
    }

    fn pop(&mut self) {
        self.bytes -= self.messages.pop_front().map_or(0, |message| message.len());
        self.under_way -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(nth: usize) -> Message {
        Message::text(nth.to_string())
    }

    #[test]
    fn it_is_full_by_bytes_or_by_messages() {
        let mut queue = Unconfirmed::default();
        for _ in 0..UNCONFIRMED_MESSAGES_MAX {
            assert!(!queue.is_full());
            queue.push(Message::text(""));
        }
        assert!(queue.is_full());
        let mut queue = Unconfirmed::default();
        queue.push(Message::binary(vec![0; UNCONFIRMED_BYTES_MAX]));
        assert!(queue.is_full(), "one message may be more than that");
        queue.take_next();
        queue.confirm(1);
        assert!(!queue.is_full() && queue.is_empty());
    }

    #[test]
    fn what_nobody_knows_is_counted_and_what_waited_goes_on() {
        let mut queue = Unconfirmed::default();
        (0..4).for_each(|nth| queue.push(message(nth)));
        for _ in 0..3 {
            queue.take_next();
        }
        queue.confirm(1);
        assert_eq!(queue.lens(), (2, 1));
        assert_eq!(queue.begin_connection(None), 2);
        assert_eq!(queue.take_next(), Some(message(3)));
        assert_eq!((queue.sent(), queue.begin_connection(Some(1)), queue.is_empty()), (1, 0, true));
    }

    #[test]
    fn a_server_that_takes_more_than_was_sent_is_not_believed() {
        let mut queue = Unconfirmed::default();
        (0..2).for_each(|nth| queue.push(message(nth)));
        queue.take_next();
        queue.confirm(u64::MAX);
        assert_eq!(queue.lens(), (0, 1));
        assert_eq!(queue.begin_connection(Some(u64::MAX)), 0);
        assert_eq!(queue.take_next(), Some(message(1)));
    }

    #[test]
    fn a_server_that_takes_less_than_before_gets_no_longer_messages() {
        let mut queue = Unconfirmed::default();
        for text in ["long", "s", "longer", "t"] {
            queue.push(Message::text(text));
        }
        assert_eq!(queue.remove_longer_than(1), 2);
        assert_eq!((queue.take_next(), queue.take_next()), (Some(Message::text("s")), Some(Message::text("t"))));
        assert_eq!(queue.bytes, 2);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push,
        Send,
        /// The server takes the next of those that were sent.
        Take,
        Confirm,
        /// The connection breaks: what was sent and not taken is gone.
        Break,
    }

    proptest! {
        /// A server that takes messages, and a wire that breaks: each message is in its log once and in order.
        #[test]
        fn each_message_is_taken_once_and_in_order(steps in prop::collection::vec(
            prop_oneof![Just(Step::Push), Just(Step::Send), Just(Step::Take), Just(Step::Confirm), Just(Step::Break)], 0..400,
        )) {
            let mut queue = Unconfirmed::default();
            let (mut pushed, mut log) = (0, Vec::new());
            let (mut wire, mut taken) = (VecDeque::new(), 0_u64);
            let end = [Step::Break].into_iter().chain(std::iter::repeat_n([Step::Send, Step::Take], 400).flatten());
            for step in steps.into_iter().chain(end).chain([Step::Confirm]) {
                match step {
                    Step::Push => {
                        queue.push(message(pushed));
                        pushed += 1;
                    }
                    Step::Send => wire.extend(queue.take_next()),
                    Step::Take => {
                        if let Some(message) = wire.pop_front() {
                            log.push(message);
                            taken += 1;
                        }
                    }
                    Step::Confirm => queue.confirm(taken),
                    Step::Break => {
                        wire.clear();
                        prop_assert_eq!(queue.begin_connection(Some(taken)), 0);
                        taken = 0;
                    }
                }
                prop_assert_eq!(queue.sent(), taken + wire.len() as u64);
            }
            prop_assert_eq!(log, (0..pushed).map(message).collect::<Vec<_>>());
            prop_assert!(queue.is_empty() && queue.bytes == 0);
        }
    }
}
