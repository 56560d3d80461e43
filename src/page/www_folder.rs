//! The folder of `--www`: which of its files lies at which address, at this moment.
//!
//! Leaves reading a file to `disk_file`, and where links lead to `served_root`. What must stay true: each request sees one folder, also
//! while the link that leads to it is switched, and what lies outside of it looks like what is not there.

use std::io;
use std::path::{Path, PathBuf};

use log::error;

use crate::config::limits::WWW_LOOKS_MAX;
use crate::page::disk_file::read_file;
use crate::page::representation::Representation;
use crate::page::served_root::{NoPath, ServedRoot, Unreadable, is_absence};
use crate::page::static_files::{content_type, decode_path};

/// What is served for a folder.
const INDEX: &str = "index.html";

/// A folder that is served in place of the built-in page.
#[derive(Debug)]
pub struct WwwFolder {
    /// Absolute; a link in it is followed anew for each request, so that another folder can be put there at once (`mv -T`).
    pub path: PathBuf,
}

impl WwwFolder {
    /// What lies at `target`, a path and perhaps a query.
    pub fn find(&self, target: &str) -> Representation {
        let path = target.split('?').next().unwrap_or_default();
        let parts = decode_path(path);
        let mut looks_left = WWW_LOOKS_MAX;
        loop {
            looks_left -= 1;
            match ServedRoot::at(&self.path) {
                Ok(root) => {
                    let found = find_in(&root, parts.as_deref(), path.ends_with('/'));
                    let is_last = found.status != 404 || looks_left == 0;
                    // What was not there may have been removed with the folder that another one has just replaced.
                    if is_last || ServedRoot::at(&self.path).is_ok_and(|now| now == root) {
                        return found;
                    }
                }
                Err(unreadable) if !is_absence(&unreadable.error) => return cannot_look(&unreadable),
                Err(Unreadable { error, .. }) if looks_left == 0 => return self.away(&error),
                Err(_) => {}
            }
        }
    }

    /// What is said while it is not there, which may be for a moment only.
    fn away(&self, error: &io::Error) -> Representation {
        error!(
            "cannot serve --www {} ({error}); put a folder there again, or start foghorn with another one",
            self.path.display()
        );
        Representation::sentence(503, "The folder of this page is not there; the server's log says which.")
            .with("Retry-After", "2")
    }
}

fn find_in(root: &ServedRoot, parts: Option<&[String]>, is_folder: bool) -> Representation {
    let Some(parts) = parts else { return Representation::not_found() };
    // Before anything is said of it: what lies outside has to look like what is not there.
    let resolved = root.resolve(parts).and_then(|path| match (path.is_dir(), is_folder) {
        (true, true) => root.step(&path, INDEX.as_ref()).map(Some),
        (true, false) => Ok(None),
        (false, false) => Ok(Some(path)),
        (false, true) => Err(NoPath::NotThere),
    });
    match resolved {
        Ok(Some(path)) => read(&path),
        Ok(None) => redirect_to_folder(parts),
        Err(NoPath::NotThere) => Representation::not_found(),
        Err(NoPath::Unreadable(unreadable)) => cannot_look(&unreadable),
    }
}

fn read(path: &Path) -> Representation {
    match read_file(path, content_type(&path.to_string_lossy())) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => Representation::not_found(),
        Err(error) => {
            error!("cannot read {} ({error}); make it readable for the user that runs foghorn", path.display());
            Representation::sentence(500, "The server cannot read this file; its log says why.")
        }
    }
}

fn cannot_look(Unreadable { path, error }: &Unreadable) -> Representation {
    error!(
        "cannot look into {} ({error}); let the user that runs foghorn read and enter it (chmod a+rx)",
        path.display()
    );
    Representation::sentence(500, "The server cannot read this folder; its log says why.")
}

/// Relative links in a page resolve against its folder. The redirect is built from the decoded parts only, never from the raw path.
fn redirect_to_folder(parts: &[String]) -> Representation {
    let encoded: Vec<String> = parts
        .iter()
        .map(|part| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string())
        .collect();
    Representation::sentence(308, "This is a folder.").with("Location", format!("/{}/", encoded.join("/")))
}
