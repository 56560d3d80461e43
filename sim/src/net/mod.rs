//! The wire in memory: connections between actors and the server, by the rules of TCP.

mod client_side;
pub mod connection;
pub mod link;
pub mod network;
pub mod pipe;
pub mod server_end;
mod server_side;
mod state;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod wire;
