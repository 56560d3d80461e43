//! What the papers show is run as it stands there, and where they lead there is something. In reading order:
//!
//! - [`block`]: the papers, and the blocks of code in them
//! - [`links`]: where they lead
//! - [`readme`]: what the README shows of plain HTTP

mod block;
mod links;
mod readme;

pub use block::{blocks, papers};
