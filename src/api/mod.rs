//! What a channel does for plain HTTP requests.

pub mod channel_request;
pub mod channel_status;
pub mod deletion;
