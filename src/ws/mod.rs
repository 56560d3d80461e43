//! WebSocket connections.

pub mod session;
