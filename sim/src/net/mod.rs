//! The wire in memory: connections between actors and the server, by the rules of TCP.

pub mod connection;
pub mod link;
pub mod network;
pub mod pipe;
pub mod server_end;
pub mod timeline;
pub mod wire;
