//! Which file lies at which address of the page.
//!
//! Leaves how it travels to the page's server. What must stay true: looking changes nothing.

use std::path::PathBuf;

use crate::page::representation::Representation;
use crate::page::static_files::{baked_in, decode_path, from_disk};

/// All that the page's server has.
#[derive(Debug)]
pub struct Resources {
    /// The folder to serve in place of the built-in page; without links in its path.
    pub www: Option<PathBuf>,
}

impl Resources {
    /// What lies at `target`.
    pub fn find(&self, target: &str) -> Representation {
        let path = target.split('?').next().unwrap_or_default();
        let Some(parts) = decode_path(path) else { return Representation::not_found() };
        let is_folder = path.ends_with('/');
        match &self.www {
            Some(www) => from_disk(www, &parts, is_folder),
            None => baked_in(path, &parts, is_folder),
        }
    }
}
