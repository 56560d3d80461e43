//! By which way messages come into the log of a channel.
//!
//! Leaves each to its file. What must stay true: a channel has one.

use crate::hub::outbox::Outbox;
use crate::hub::staging::Staging;

/// The way.
#[derive(Debug)]
pub(super) enum Way {
    /// At once.
    Direct,
    /// When they are in the channel's file.
    Kept(Staging),
    /// When they come back from the log that all boards share.
    Shared(Outbox),
}

impl Way {
    /// Whether no message is on it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Direct => true,
            Self::Kept(staging) => staging.is_empty(),
            Self::Shared(outbox) => outbox.is_empty(),
        }
    }

    /// How many messages have set out, ever, and how many of these have come through. Where they come into the log at once both are 0.
    pub(super) fn counts(&self) -> (u64, u64) {
        match self {
            Self::Direct => (0, 0),
            Self::Kept(staging) => staging.counts(),
            Self::Shared(outbox) => outbox.counts(),
        }
    }
}
