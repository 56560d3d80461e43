//! What stands in two places says the same in both: README and code ([`readme_tables`]), the map of the house and its walls
//! ([`imports`], which reads paths by [`use_paths`]).

use std::fs;

use crate::harness::project;

mod imports;
mod readme_tables;
mod use_paths;

fn read(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
