//! What a channel does for plain HTTP requests, and the figures for programs that watch.

pub mod bodies;
pub mod body_reader;
pub mod channel_request;
pub mod channel_status;
pub mod deletion;
pub mod last;
pub mod metrics;
pub mod post;
pub mod publish;
pub mod shared_copies;
pub mod stream;
pub mod stream_request;
pub mod waiting_places;
