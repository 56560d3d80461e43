//! What a channel does for plain HTTP requests. In reading order:
//!
//! - [`last`]: the last message
//! - [`cors`]: who may use it from a page
//! - [`metrics`]: the figures for programs that watch

mod cors;
mod last;
mod metrics;
