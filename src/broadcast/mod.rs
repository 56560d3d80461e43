//! The channels with their clients, and the flush that writes to all of them.

pub mod broadcaster;
pub mod channel_figures;
pub mod channels;
pub mod confirming;
pub mod connection_id;
pub mod connection_log;
pub mod ended_connections;
pub mod flush;
pub mod heartbeat;
pub mod hello;
pub mod keeper;
pub mod keeping;
pub mod kept;
pub mod kept_state;
pub mod leave_guard;
pub mod live_channel;
pub mod new_epoch;
pub mod replacing;
pub mod stream_writer;
pub mod transport;
pub mod waiting_post;

#[cfg(test)]
mod tests;
