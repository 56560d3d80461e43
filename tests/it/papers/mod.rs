//! What the papers show is run as it stands there, and where they lead there is something. In reading order:
//!
//! - [`block`]: the papers, and the blocks of code in them
//! - [`claims`]: which test runs a block; there is none that nobody runs
//! - [`board`]: a machine as the papers have it
//! - [`shell`]: shell commands; [`elsewhere`]: those that only other scripts can run, or nobody
//! - [`python`], [`settings`]: programs in Python, and what goes into files
//! - [`links`]: where they lead

mod block;
mod board;
mod claims;
mod elsewhere;
mod links;
mod python;
mod settings;
mod shell;

pub use block::{blocks, papers};
