//! The folder of `--www`: which of its files lies at which address, at this moment.
//!
//! Leaves reading a file to `disk_file`. What must stay true: each request sees one folder, also while the link that leads to it is
//! switched, and no path, link or encoding leads out of that folder or to a hidden file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use log::error;

use crate::config::limits::WWW_LOOKS_MAX;
use crate::page::disk_file::read_file;
use crate::page::representation::Representation;
use crate::page::static_files::{content_type, decode_path};

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
            let looked = self.root().map(|root| {
                let found = Moment { root: &root }.find(parts.as_deref(), path.ends_with('/'));
                (root, found)
            });
            match looked {
                Ok((_, found)) if found.status != 404 => return found,
                Ok((root, found)) if looks_left == 0 || self.root().is_ok_and(|now| now == root) => return found,
                Err(error) if looks_left == 0 => return self.away(&error),
                // It may have been removed with the folder that another one has just replaced.
                _ => {}
            }
        }
    }

    /// Its path without links, as it is now.
    fn root(&self) -> io::Result<PathBuf> {
        let root = self.path.canonicalize()?;
        if fs::metadata(&root)?.is_dir() { Ok(root) } else { Err(io::ErrorKind::NotADirectory.into()) }
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

/// The folder as it is for one request.
struct Moment<'a> {
    /// Its path, without links.
    root: &'a Path,
}

impl Moment<'_> {
    fn find(&self, parts: Option<&[String]>, is_folder: bool) -> Representation {
        let Some(parts) = parts else { return Representation::not_found() };
        // Before anything is said of it, and step by step, so that no way leads through what lies outside: that has to look like what
        // is not there.
        let walked = parts.iter().try_fold(self.root.to_owned(), |path, part| self.contained(&path.join(part)));
        let Some(path) = walked else { return Representation::not_found() };
        let path = match (path.is_dir(), is_folder) {
            (false, false) => path,
            (true, true) => match self.contained(&path.join("index.html")) {
                Some(index) => index,
                None => return Representation::not_found(),
            },
            (true, false) => return redirect_to_folder(parts),
            (false, true) => return Representation::not_found(),
        };
        match read_file(&path, content_type(&path.to_string_lossy())) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Representation::not_found(),
            Err(error) => {
                error!("cannot read {} ({error}); make it readable for the user that runs foghorn", path.display());
                Representation::sentence(500, "The server cannot read this file; its log says why.")
            }
        }
    }

    /// The path without its links. `None` if nothing is there, or if a link leads out of the folder or to a hidden file.
    fn contained(&self, path: &Path) -> Option<PathBuf> {
        let path = path.canonicalize().ok()?;
        let is_hidden = |inside: &Path| inside.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
        let is_served = path.strip_prefix(self.root).is_ok_and(|inside| !is_hidden(inside));
        is_served.then_some(path)
    }
}

/// Relative links in a page resolve against its folder. The redirect is built from the decoded parts only, never from the raw path.
fn redirect_to_folder(parts: &[String]) -> Representation {
    let encoded: Vec<String> = parts
        .iter()
        .map(|part| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string())
        .collect();
    Representation::sentence(308, "This is a folder.").with("Location", format!("/{}/", encoded.join("/")))
}
