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
use crate::page::static_files::content_type;
use crate::page::url_path::{decode_path, folder_location, with_ending};

/// What is served for a folder.
const INDEX: &str = "index.html";
/// What is served, with its status, for what is not there.
const NOT_FOUND: &str = "404.html";

/// A folder that is served in place of the built-in page.
#[derive(Debug)]
pub struct WwwFolder {
    /// Absolute; a link in it is followed anew for each request, so that another folder can be put there at once (`mv -T`).
    pub path: PathBuf,
}

impl WwwFolder {
    /// What lies at `target`, a path and perhaps a query.
    pub fn find(&self, target: &str) -> Representation {
        let mut looks_left = WWW_LOOKS_MAX;
        loop {
            looks_left -= 1;
            match ServedRoot::at(&self.path) {
                Ok(root) => {
                    let found = find_in(&root, target);
                    let is_last = found.status != 404 || looks_left == 0;
                    // What was not there may have been removed with the folder that another one has just replaced.
                    if is_last || ServedRoot::at(&self.path).is_ok_and(|now| now == root) {
                        return if found.status == 404 { own_not_found(&root).unwrap_or(found) } else { found };
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

fn find_in(root: &ServedRoot, target: &str) -> Representation {
    let path = target.split('?').next().unwrap_or_default();
    let Some(parts) = decode_path(path) else { return Representation::not_found() };
    match look(root, &parts, path.ends_with('/')) {
        Ok(Some(path)) => read(&path),
        Ok(None) => redirect_to_folder(target),
        Err(NoPath::NotThere) => Representation::not_found(),
        Err(NoPath::Unreadable(unreadable)) => cannot_look(&unreadable),
    }
}

/// The file to be read; `None` for a folder whose slash is missing. Nothing is said before all links are followed: what lies outside has
/// to look like what is not there.
fn look(root: &ServedRoot, parts: &[String], is_folder: bool) -> Result<Option<PathBuf>, NoPath> {
    match root.resolve(parts) {
        Ok(folder) if folder.is_dir() => {
            if is_folder {
                root.step(&folder, INDEX.as_ref()).map(Some)
            } else {
                Ok(None)
            }
        }
        Ok(_) if is_folder => Err(NoPath::NotThere),
        Ok(file) => Ok(Some(file)),
        Err(NoPath::NotThere) if !is_folder => {
            let page = root.resolve(&with_ending(parts).ok_or(NoPath::NotThere)?)?;
            if page.is_dir() { Err(NoPath::NotThere) } else { Ok(Some(page)) }
        }
        Err(no_path) => Err(no_path),
    }
}

/// What the folder itself has to say of what is not there.
fn own_not_found(root: &ServedRoot) -> Option<Representation> {
    let own = match root.resolve(&[NOT_FOUND]) {
        Ok(path) => read(&path),
        Err(NoPath::NotThere) => return None,
        Err(NoPath::Unreadable(unreadable)) => cannot_look(&unreadable),
    };
    // No tag and no date: that nothing is there cannot be known already.
    (own.status == 200).then(|| Representation { status: 404, etag: None, headers: Vec::new(), ..own })
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

fn redirect_to_folder(target: &str) -> Representation {
    let Some(location) = folder_location(target) else { return Representation::not_found() };
    Representation::sentence(308, "This is a folder.").with("Location", location)
}
