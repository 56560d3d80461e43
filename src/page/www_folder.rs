//! The folder of `--www`: which of its files lies at which address, at this moment.
//!
//! Leaves reading a file to `disk_file`, and where links lead to `served_root`. What must stay true: each request sees one folder, also
//! while the link that leads to it is switched; what lies outside of it looks like what is not there; a path goes into the log in
//! quotes, since a name on the disk may have line breaks in it, or words for a terminal.

use std::io;
use std::path::{Path, PathBuf};

use log::error;

use crate::config::limits::WWW_LOOKS_MAX;
use crate::page::disk_file::read_file;
use crate::page::folder_listing::list;
use crate::page::representation::Representation;
use crate::page::served_root::{NoPath, ServedRoot, Unreadable, is_absence};
use crate::page::static_files::content_type;
use crate::page::url_path::{decode_path, folder_location, with_ending};

/// What is served for a folder.
const INDEX: &str = "index.html";
/// What is served, with its status, for what is not there.
pub const NOT_FOUND: &str = "404.html";

/// A folder that is served in place of the built-in page.
#[derive(Debug)]
pub struct WwwFolder {
    /// Absolute; a link in it is followed anew for each request, so that another folder can be put there at once (`mv -T`).
    pub path: PathBuf,
    /// Whether folders without an `index.html` are listed.
    pub is_listed: bool,
}

impl WwwFolder {
    /// What lies at `target`, a path and perhaps a query.
    pub fn find(&self, target: &str) -> Representation {
        self.in_one_folder(|root| self.find_in(root, target))
    }

    /// What the folder itself has to say of what is not there. Apart from finding that out, since it may lie there and hang.
    pub fn not_found(&self) -> Representation {
        self.in_one_folder(|root| own_not_found(root).unwrap_or_else(Representation::not_found))
    }

    fn in_one_folder(&self, find_in: impl Fn(&ServedRoot) -> Representation) -> Representation {
        let mut looks_left = WWW_LOOKS_MAX;
        loop {
            looks_left -= 1;
            match ServedRoot::at(&self.path) {
                Ok(root) => {
                    let found = find_in(&root);
                    // Else something may have been missing because it was removed, with the folder that another one has replaced.
                    if looks_left == 0 || ServedRoot::at(&self.path).is_ok_and(|now| now.is_same(&root)) {
                        return found;
                    }
                }
                Err(unreadable) if !is_absence(&unreadable.error) => return cannot_look(&unreadable),
                Err(Unreadable { error, .. }) if looks_left == 0 => return self.away(&error),
                Err(_) => {}
            }
        }
    }

    fn find_in(&self, root: &ServedRoot, target: &str) -> Representation {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        decode_path(path).map_or_else(Representation::not_found, |parts| {
            match self.look(root, &parts, path.ends_with('/')) {
                Ok(Found::File(path)) => read(&path),
                Ok(Found::Folder(path)) => {
                    list(root, &path, &parts, query).unwrap_or_else(|error| cannot_look(&Unreadable { path, error }))
                }
                Ok(Found::FolderWithoutSlash) => redirect_to_folder(target),
                Err(NoPath::NotThere) => Representation::not_found(),
                Err(NoPath::Unreadable(unreadable)) => cannot_look(&unreadable),
            }
        })
    }

    /// Says nothing before all links are followed: what lies outside has to look like what is not there.
    fn look(&self, root: &ServedRoot, parts: &[String], is_folder: bool) -> Result<Found, NoPath> {
        match root.resolve(parts) {
            Ok(folder) if folder.is_dir() && !is_folder => Ok(Found::FolderWithoutSlash),
            Ok(folder) if folder.is_dir() => match root.step(&folder, INDEX.as_ref()) {
                Err(NoPath::NotThere) if self.is_listed => Ok(Found::Folder(folder)),
                index => index.map(Found::File),
            },
            Ok(_) if is_folder => Err(NoPath::NotThere),
            Ok(file) => Ok(Found::File(file)),
            Err(NoPath::NotThere) if !is_folder => {
                let page = root.resolve(&with_ending(parts).ok_or(NoPath::NotThere)?)?;
                if page.is_dir() { Err(NoPath::NotThere) } else { Ok(Found::File(page)) }
            }
            Err(no_path) => Err(no_path),
        }
    }

    /// What is said while it is not there, which may be for a moment only.
    fn away(&self, error: &io::Error) -> Representation {
        error!(
            "cannot serve --www {} ({error}); put a folder there again, or start foghorn with another one",
            quoted(&self.path)
        );
        Representation::sentence(503, "The folder of this page is not there; the server's log says which.")
            .with("Retry-After", "2")
    }
}

/// What lies at an address.
enum Found {
    /// A file to be read.
    File(PathBuf),
    /// A folder to be listed.
    Folder(PathBuf),
    /// A folder whose address lacks its slash.
    FolderWithoutSlash,
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
            error!("cannot read {} ({error}); make it readable for the user that runs foghorn", quoted(path));
            Representation::sentence(500, "The server cannot read this file; its log says why.")
        }
    }
}

fn cannot_look(Unreadable { path, error }: &Unreadable) -> Representation {
    if is_absence(error) {
        return Representation::not_found();
    }
    error!(
        "cannot look into {} ({error}); let the user that runs foghorn read and enter it (chmod a+rx)",
        quoted(path)
    );
    Representation::sentence(500, "The server cannot read this folder; its log says why.")
}

/// A path for the log: in one line, whatever names are in it.
#[expect(clippy::unnecessary_debug_formatting, reason = "its escapes are what is wanted")]
fn quoted(path: &Path) -> String {
    format!("{path:?}")
}

fn redirect_to_folder(target: &str) -> Representation {
    let Some(location) = folder_location(target) else { return Representation::not_found() };
    Representation::sentence(308, "This is a folder.").with("Location", location)
}
