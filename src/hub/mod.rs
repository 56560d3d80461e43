//! The core without I/O: the backlog, and each subscriber's cursor into it.

pub mod backlog;
pub mod channel;
pub mod close_reason;
pub mod delivery;
pub mod frame;
pub mod laggards;
