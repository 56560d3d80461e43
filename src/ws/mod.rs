//! One WebSocket connection, from its handshake to its close.

pub mod handshake;
pub mod join;
pub mod reader;
pub mod session;
