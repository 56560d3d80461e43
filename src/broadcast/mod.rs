//! Who is connected, and the one who writes to them all.

pub mod broadcaster;
pub mod flush;
pub mod heartbeat;
pub mod transport;

#[cfg(test)]
mod tests;
