//! What lies at which address of the page: the status, the QR code, files.
//!
//! Leaves how it travels to the page's server. What must stay true: looking changes nothing.

use std::path::PathBuf;

use crate::page::qr_code::{address, qr_code};
use crate::page::representation::Representation;
use crate::page::static_files::{baked_in, decode_path, from_disk};
use crate::page::status::Status;

/// All that the page's server has.
#[derive(Debug)]
pub struct Resources {
    /// The folder to serve in place of the built-in page; without links in its path.
    pub www: Option<PathBuf>,
    /// The figures.
    pub status: Status,
}

impl Resources {
    /// What lies at `target`. `local_address` is the address of ours that the client has used.
    pub fn find(&self, target: &str, host: &str, local_address: Option<&str>) -> Representation {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/status" => return self.status.figures(local_address),
            "/qr.svg" => {
                let Some(address) = address(query, host) else {
                    return Representation::sentence(400, "A code takes ?scheme=http or https and &amp;path=/PREFIX/.");
                };
                return qr_code(&address);
            }
            _ => {}
        }
        let Some(parts) = decode_path(path) else { return Representation::not_found() };
        let is_folder = path.ends_with('/');
        match &self.www {
            Some(www) => from_disk(www, &parts, is_folder),
            None => baked_in(&parts, is_folder).with_page_policy(host),
        }
    }
}
