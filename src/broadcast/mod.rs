//! Everybody who is connected, and the one who writes to them.

pub mod broadcaster;
pub mod transport;
