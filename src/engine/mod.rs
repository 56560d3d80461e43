//! Channels that several boards share, in the streams of a Redis or Valkey server.

pub mod entry;
pub mod order;
