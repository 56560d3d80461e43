//! Which file lies at which address of the page.
//!
//! Leaves how it travels to the page's server. What must stay true: looking changes nothing.

use crate::page::provided_scripts::provided_script;
use crate::page::representation::Representation;
use crate::page::static_files::baked_in;
use crate::page::url_path::decode_path;
use crate::page::www_folder::WwwFolder;

/// All that the page's server has.
#[derive(Debug)]
pub struct Resources {
    /// The folder to serve in place of the built-in page.
    pub www: Option<WwwFolder>,
    /// Whether pages of that folder can have themselves reloaded.
    pub provides_reload: bool,
}

impl Resources {
    /// What lies at `target`; with status 404 and a folder to serve, [`not_found`](Self::not_found) has the words for it.
    pub fn find(&self, target: &str) -> Representation {
        let path = target.split('?').next().unwrap_or_default();
        if let Some(www) = &self.www {
            let found = www.find(target);
            let provided = if found.status == 404 { provided_script(path, self.provides_reload) } else { None };
            return provided.unwrap_or(found);
        }
        let Some(parts) = decode_path(path) else { return Representation::not_found() };
        baked_in(path, &parts, path.ends_with('/'))
    }

    /// What is said of what is not there.
    pub fn not_found(&self) -> Representation {
        self.www.as_ref().map_or_else(Representation::not_found, WwwFolder::not_found)
    }
}
