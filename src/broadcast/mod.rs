//! The connected clients, and the flush that writes to all of them.

pub mod broadcaster;
pub mod flush;
pub mod heartbeat;
pub mod transport;

#[cfg(test)]
mod tests;
