//! One WebSocket connection, from its handshake to its close.

pub mod frame_tracker;
pub mod handshake;
pub mod join;
pub mod reader;
pub mod session;
