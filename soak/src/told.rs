//! Who was told what, how and when.
//!
//! What must stay true: whoever reads a contradiction knows where to look for it.

use std::fmt::{self, Display, Formatter};

/// Who was told something, how and when.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Who was told it.
    pub who: Who,
    /// What told it, such as a frame.
    pub by: &'static str,
    /// How many faults there had been by then, such as kills.
    pub faults: u32,
    /// When, in milliseconds after the start.
    pub millis: u128,
}

/// A client of this round: its kind, and which of these it is.
#[derive(Debug, Clone, Copy)]
pub struct Who(pub &'static str, pub usize);

impl Display for Told {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { who: Who(kind, nth), by, faults, millis } = self;
        write!(f, "{kind} {nth} was told so by {by}, {millis} ms after the start and after fault {faults}")
    }
}
