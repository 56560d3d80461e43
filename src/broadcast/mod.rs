//! The channels with their clients, and the flush that writes to all of them.

pub mod broadcaster;
pub mod channel_figures;
pub mod channels;
pub mod confirming;
pub mod connection_id;
pub mod connection_log;
pub mod ended_connections;
pub mod flush;
#[cfg(feature = "redis")]
pub mod handing_over;
pub mod heartbeat;
pub mod hello;
pub mod keeper;
pub mod keeping;
pub mod kept;
pub mod kept_state;
pub mod leave_guard;
pub mod live_channel;
pub mod new_epoch;
#[cfg(feature = "redis")]
pub mod receiving;
#[cfg(feature = "redis")]
pub mod relay;
#[cfg(feature = "redis")]
pub mod relay_health;
#[cfg(feature = "redis")]
pub mod relayed;
#[cfg(feature = "redis")]
pub mod relaying;
pub mod replacing;
#[cfg(feature = "redis")]
pub mod requesting;
pub mod stream_writer;
pub mod transport;
mod waiter;
pub mod waiting_post;

#[cfg(test)]
mod tests;
