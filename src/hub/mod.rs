//! The heart, without I/O: what was said, and how far each has got with it.

pub mod backlog;
pub mod channel;
pub mod close_reason;
pub mod delivery;
pub mod frame;
pub mod laggards;
