//! The formula of the memory.
//!
//! Leaves counting to `memory`. What must stay true: it is that of docs/reference.md, for a server whose clients all do the worst at a time.

use foghorn::config::settings::Limits;

use crate::scenario::State;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a server may have, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formula {
    whole: usize,
    each: usize,
}

impl Formula {
    /// That of these settings.
    pub fn new(limits: &Limits, state: State) -> Self {
        let logs = limits.backlog_bytes + limits.channels_max * limits.channel_backlog_bytes;
        let slow = (8 * MIB).max(2 * limits.message_bytes_max);
        let under_way = if state == State::Off { 0 } else { logs + (limits.channels_max + 1) * 2 * MIB };
        // Each client is a stream at worst, or in the middle of sending a message.
        Self { whole: 16 * MIB + 3 * logs + 2 * slow + under_way, each: 8 * KIB + 2 * limits.message_bytes_max }
    }

    /// The most that it may have with so many clients.
    pub fn bytes_max(self, clients: usize) -> usize {
        self.whole + self.each * clients
    }
}
