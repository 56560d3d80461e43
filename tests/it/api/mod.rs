//! What a channel does for plain HTTP requests. In reading order:
//!
//! - [`publish`]: which messages `POST` and `PUT` publish, and which they do not
//! - [`bodies`]: bodies that are slow, many, or made to deceive
//! - [`stream`]: what is said as events, lines or JSON; [`stream_ends`]: how streams end
//! - [`last`]: the last message
//! - [`cors`]: who may use it from a page
//! - [`metrics`]: the figures for programs that watch

mod bodies;
mod cors;
mod last;
mod metrics;
mod publish;
mod stream;
mod stream_ends;
