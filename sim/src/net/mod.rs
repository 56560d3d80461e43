//! The wire in memory: connections between actors and the server, by the rules of TCP.

pub mod link;
pub mod wire;
