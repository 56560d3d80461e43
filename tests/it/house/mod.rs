//! What stands in two places says the same in both, and the house is what its papers say. In reading order:
//!
//! - [`reference`]: flags, limits, statuses and close codes in the papers and in the code; [`wire`]: what a client is told, and what a server says;
//!   [`shell`]: what the clients of the shell are told
//! - [`modules`], [`use_paths`]: CONTRIBUTING's tables, and which files a file names
//! - [`imports`]: the walls between them
//! - [`habits`]: what every file keeps to
//! - [`scripts`]: what the scripts promise

use std::fs;

use crate::harness::project;

mod habits;
mod imports;
mod modules;
mod reference;
mod scripts;
mod shell;
mod use_paths;
mod wire;

fn read(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
