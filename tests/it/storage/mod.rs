//! `--state`: what was said outlives the process. In reading order:
//!
//! - [`kill`]: each way into a channel, over a kill and over a stop in order
//! - [`folder`]: other boots, and folders that cannot be used or are damaged

mod folder;
mod kill;
