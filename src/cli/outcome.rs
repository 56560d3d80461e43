//! How a client has ended.
//!
//! Leaves the exit codes to `main`.

/// How a client has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it was asked to.
    Done,
    /// It failed, and has said why.
    Failed,
    /// A flag or an address is wrong, and it has said what.
    WrongUse,
    /// Something was not sent.
    Unsent,
    /// Nobody knows whether something got through.
    Unsure,
}
