//! Listening sockets, and the end of connections.

pub mod lingering_close;
pub mod listener;
