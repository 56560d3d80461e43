//! Where something is in a channel's story: an epoch, which is a number here, and the number of a message in it.
//!
//! What must stay true: of two positions the later one is greater, whoever told them.

use std::fmt::{self, Display, Formatter};

/// An epoch and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The epoch: by its size it says when it began.
    pub epoch: u64,
    /// 0 is before its first message.
    pub seq: u64,
}

impl Position {
    /// From what a server says.
    ///
    /// # Errors
    /// If the epoch is not a decimal number as boards write it.
    pub fn of(epoch: &str, seq: u64) -> Result<Self, String> {
        let number = epoch.parse::<u64>().ok().filter(|number| number.to_string() == epoch);
        let epoch = number.ok_or_else(|| format!("the epoch {epoch:?} is no decimal number"))?;
        Ok(Self { epoch, seq })
    }
}

impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}
