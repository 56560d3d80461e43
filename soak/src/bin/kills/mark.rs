//! What had been told by a moment: of a channel, and of a connection that has ended.
//!
//! What must stay true: only what was told before a request began counts against its answer.

use std::fmt::{self, Display, Formatter};

use soak::told::Told;

/// What had been told of a channel when a request began.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    pub epoch: usize,
    pub head: u64,
    pub told: Option<Told>,
}

impl Mark {
    /// One that binds nobody: what answers it may be from long before.
    pub fn unbound() -> Self {
        Self { epoch: 0, head: 0, told: None }
    }

    /// One behind which the next epoch has to be.
    pub fn in_next_epoch(self) -> Self {
        Self { epoch: self.epoch + usize::from(self.told.is_some()), head: 0, ..self }
    }

    /// Whether anybody was told of the channel at all.
    pub fn is_known(&self) -> bool {
        self.told.is_some()
    }

    /// Whether anybody was told of a message that has to be there, unless messages are deleted.
    pub fn has_messages(&self) -> bool {
        self.head > 0
    }
}

/// A connection that has ended, and what was told of it.
#[derive(Debug, Clone)]
pub struct Ended {
    pub channel: usize,
    pub id: String,
    pub taken: u64,
    pub told: Told,
    /// How many had come in by then.
    pub joins: u32,
}

impl Display for Ended {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { taken, told, .. } = self;
        write!(f, "{taken} of its messages were taken ({told})")
    }
}
