//! The core without I/O: the backlog, and each subscriber's cursor into it.

pub mod backlog;
pub mod blocked_messages;
pub mod channel;
pub mod channel_name;
pub mod close_reason;
pub mod committing;
pub mod delivery;
pub mod directory;
pub mod epochs;
pub mod frame;
pub mod held_frame;
pub mod laggards;
pub mod outbox;
pub mod position;
pub mod publishing;
pub mod record;
pub mod sharing;
pub mod staging;
pub mod stream_delivery;
pub mod stream_encoding;
pub(crate) mod way;
