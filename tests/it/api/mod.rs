//! What a channel does for plain HTTP requests. In reading order:
//!
//! - [`cors`]: who may use it from a page

mod cors;
