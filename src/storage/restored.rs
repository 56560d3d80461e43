//! What comes back from the files.

use crate::hub::backlog::Backlog;
use crate::hub::channel_name::ChannelName;
use crate::hub::record::Chain;

/// All of it.
#[derive(Debug, Default)]
pub struct Restored {
    /// The channels: the one that was not used for longest first.
    pub channels: Vec<RestoredChannel>,
    /// Connections of these channels: those that had ended first, in the order of their ends, then those that were there, in the order
    /// of their joining.
    pub connections: Vec<RestoredConnection>,
    /// What did not come back, a sentence for each.
    pub warnings: Vec<String>,
}

/// A channel.
#[derive(Debug)]
pub struct RestoredChannel {
    /// Its name.
    pub name: ChannelName,
    /// The name of its epoch.
    pub epoch: String,
    /// The newest of its messages, with their numbers in that epoch, dated by this boot's clock.
    pub backlog: Backlog,
    /// The chain behind its last record.
    pub chain: Chain,
    /// What the messages of its newest segment cost in a backlog: their frames and index entries, in bytes.
    pub segment_cost_bytes: usize,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredConnection {
    /// Its id.
    pub id: u64,
    /// The channel that it was in.
    pub channel: ChannelName,
    /// How many of its messages that channel's log has had.
    pub taken: u64,
}
