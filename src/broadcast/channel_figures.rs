//! The figures of one channel, and what the server's have of them.
//!
//! Leaves counting to `hub`. What must stay true: what is added to the figures of the server is what they did not have yet.

use crate::hub::channel::Channel;
use crate::telemetry::counters::Counters;

/// What a channel has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Clients now.
    pub clients: u64,
    /// Clients that are behind now.
    pub clients_behind: u64,
    /// Publishers that wait for room now.
    pub publishers_waiting: u64,
    /// Bytes in the backlog now, index included.
    pub backlog_bytes: u64,
    /// Messages published, in all epochs.
    pub messages: u64,
    /// Messages handed to the kernel, one for each client that got it.
    pub deliveries: u64,
    /// Whether what is said there is kept in a file, which only who owns the channel knows.
    pub is_kept: bool,
}

impl Figures {
    /// Has the figures of the server, in which these are, have `now` in their place.
    pub(super) fn replace_by(&self, now: Self, counters: &Counters) {
        for (count, before, now) in [
            (&counters.clients, self.clients, now.clients),
            (&counters.clients_behind, self.clients_behind, now.clients_behind),
            (&counters.publishers_waiting, self.publishers_waiting, now.publishers_waiting),
            (&counters.backlog_bytes, self.backlog_bytes, now.backlog_bytes),
            (&counters.messages, self.messages, now.messages),
            (&counters.deliveries, self.deliveries, now.deliveries),
        ] {
            // It wraps, and so it can go down.
            count.add(now.wrapping_sub(before));
        }
    }

    /// Those of a channel; whether it is kept, only its owner knows.
    pub(super) fn of<T>(channel: &Channel<T>) -> Self {
        Self {
            clients: channel.len() as u64,
            clients_behind: channel.laggards_len() as u64,
            publishers_waiting: channel.blocked_len() as u64,
            backlog_bytes: channel.backlog().held_bytes() as u64,
            messages: channel.published(),
            deliveries: channel.deliveries(),
            is_kept: false,
        }
    }
}
