//! An entry of a channel's stream: a message with its number, who has appended it and when; or the marker with which an epoch begins.
//!
//! Leaves to others how it comes out of Redis and into it. What must stay true: an id names one message for ever.

use std::fmt;

/// The id of an entry, in Redis `EPOCH-SEQ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct EntryId {
    /// The epoch: microseconds since 1970 by the clock of Redis when it began, or one more than the one before, if that is later.
    pub epoch: u64,
    /// The number within it; 0 is the marker of its beginning.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

/// Which message of which board it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// The board: a number that it draws when it starts.
    pub board: u64,
    /// The messages that this board has sent to the channel, with this one: the first has 1.
    pub counter: u64,
}

/// An entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// What it has.
    pub content: Content,
}

/// What an entry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The beginning of an epoch (number 0).
    Marker,
    /// A message.
    Message {
        /// Whose it is.
        author: Author,
        /// When it was appended, in seconds since 1970 by the clock of Redis.
        at_unix_secs: u64,
        /// The whole frame, as a WebSocket client gets it.
        frame: Vec<u8>,
    },
    /// Nothing that a board has written.
    Foreign,
}
