//! A folder as it is for one request: from the parts of an address to a path in it that has no links.
//!
//! Leaves opening what is there to others. What must stay true: what lies outside of the folder, or is hidden, cannot be told from what
//! is not there, also where the server may not look.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use crate::config::limits::{LINKS_FOLLOWED_MAX, STEPS_PER_LOOK_MAX};
use crate::page::linkless_path::is_name_too_long;
use crate::page::url_path::is_hidden;

/// Why an address leads to no path.
#[derive(Debug)]
pub enum NoPath {
    /// Nothing is there that is served.
    NotThere,
    /// The server cannot look there.
    Unreadable(Unreadable),
}

/// A folder into which the server cannot look.
#[derive(Debug)]
pub struct Unreadable {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// A folder that is served.
#[derive(Debug)]
pub struct ServedRoot {
    /// Without links.
    path: PathBuf,
    steps_left: Cell<usize>,
}

impl ServedRoot {
    /// The folder at this absolute path.
    ///
    /// # Errors
    /// If there is none, or it cannot be found out.
    pub fn at(path: &Path) -> Result<Self, Unreadable> {
        let steps_left = Cell::new(STEPS_PER_LOOK_MAX);
        let path = follow(Path::new("/"), path, &steps_left)?;
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Ok(Self { path, steps_left }),
            Ok(_) => Err(Unreadable { path, error: ErrorKind::NotADirectory.into() }),
            Err(error) => Err(Unreadable { path, error }),
        }
    }

    /// Its path, without links.
    pub fn into_path(self) -> PathBuf {
        self.path
    }

    /// Whether the two are the same folder.
    pub fn is_same(&self, other: &Self) -> bool {
        self.path == other.path
    }

    /// Whether it has gone as many steps as one request may. All that it has not been asked for by then counts as not there.
    pub fn is_exhausted(&self) -> bool {
        self.steps_left.get() == 0
    }

    /// The path to which these parts lead, one below the other.
    ///
    /// # Errors
    /// If nothing that is served is there, or the server cannot look there.
    pub fn resolve<S: AsRef<OsStr>>(&self, parts: &[S]) -> Result<PathBuf, NoPath> {
        // Step by step, so that no way leads through what lies outside.
        parts.iter().try_fold(self.path.clone(), |folder, part| self.step(&folder, part.as_ref()))
    }

    /// The path to which a name leads in a folder that has been resolved.
    ///
    /// # Errors
    /// If nothing that is served is there, or the server cannot look there.
    pub fn step(&self, folder: &Path, name: &OsStr) -> Result<PathBuf, NoPath> {
        match follow(folder, Path::new(name), &self.steps_left) {
            Ok(path) if self.serves(&path) => Ok(path),
            Err(unreadable) if !is_absence(&unreadable.error) && self.serves(&unreadable.path) => {
                Err(NoPath::Unreadable(unreadable))
            }
            _ => Err(NoPath::NotThere),
        }
    }

    /// Whether a path without links lies inside and is not hidden.
    fn serves(&self, path: &Path) -> bool {
        let is_shown = |(nth, name): (usize, &OsStr)| !is_hidden(name.as_encoded_bytes(), nth == 0);
        path.strip_prefix(&self.path).is_ok_and(|inside| inside.iter().enumerate().all(is_shown))
    }
}

/// Whether this says that nothing is there.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput)
        || is_name_too_long(error)
}

/// Goes from a folder whose path has no links, and through every link, as `realpath(3)` does, which does not say where it had to stop:
/// whether a visitor may be told depends on that. Each step is one of those that are left.
fn follow(from: &Path, way: &Path, steps_left: &Cell<usize>) -> Result<PathBuf, Unreadable> {
    let mut at = from.to_owned();
    let mut ahead = Vec::new();
    push_steps(&mut ahead, way);
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        let Some(left) = steps_left.get().checked_sub(1) else {
            return Err(Unreadable { path: at, error: ErrorKind::NotFound.into() });
        };
        steps_left.set(left);
        match step.to_str() {
            Some("/") => at = PathBuf::from("/"),
            Some("..") => drop(at.pop()),
            Some(".") => {}
            _ => {
                let next = at.join(&step);
                match target(&next) {
                    Ok(None) => at = next,
                    Ok(Some(_)) if links == LINKS_FOLLOWED_MAX => {
                        return Err(Unreadable { path: at, error: ErrorKind::NotFound.into() });
                    }
                    Ok(Some(way)) => {
                        links += 1;
                        push_steps(&mut ahead, &way);
                    }
                    Err(error) => return Err(Unreadable { path: at, error }),
                }
            }
        }
    }
    Ok(at)
}

/// Where a link leads; `None` for what is no link.
fn target(path: &Path) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(path)?.is_symlink() { fs::read_link(path).map(Some) } else { Ok(None) }
}

/// The first step comes last.
fn push_steps(ahead: &mut Vec<OsString>, way: &Path) {
    ahead.extend(way.components().rev().map(Component::as_os_str).map(OsStr::to_owned));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn plenty() -> Cell<usize> {
        Cell::new(STEPS_PER_LOOK_MAX)
    }

    #[test]
    fn links_are_followed_as_the_kernel_follows_them() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        fs::create_dir_all(at("www/sub/deep")).unwrap();
        fs::write(at("www/sub/x.txt"), "x").unwrap();
        for (to, name) in [
            ("sub/x.txt", "www/file"),
            ("./sub/.//deep/", "www/folder"),
            ("../x.txt", "www/sub/deep/up"),
            ("folder/up", "www/chain"),
            ("../www/sub", "www/around"),
            ("/", "www/slash"),
            ("loop", "www/loop"),
            ("nowhere", "www/dangling"),
            ("file/x", "www/through-a-file"),
        ] {
            symlink(to, at(name)).unwrap();
        }
        symlink(at("www/sub"), at("www/absolute")).unwrap();
        let from = at("www").canonicalize().unwrap();
        for way in [
            "sub",
            "sub/x.txt",
            "file",
            "folder",
            "folder/up",
            "chain",
            "around",
            "around/deep/up",
            "slash",
            "loop",
            "dangling",
            "through-a-file",
            "absolute",
            "absolute/deep/../x.txt",
            "nothing",
            "sub/x.txt/y",
            "slash/etc",
        ] {
            assert_eq!(follow(&from, Path::new(way), &plenty()).ok(), from.join(way).canonicalize().ok(), "{way}");
        }
    }

    #[test]
    fn so_many_links_are_followed_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().canonicalize().unwrap();
        fs::write(from.join("0"), "").unwrap();
        for nth in 1..=LINKS_FOLLOWED_MAX + 1 {
            symlink((nth - 1).to_string(), from.join(nth.to_string())).unwrap();
        }
        for (links, is_found) in [(LINKS_FOLLOWED_MAX, true), (LINKS_FOLLOWED_MAX + 1, false)] {
            let way = links.to_string();
            assert_eq!(follow(&from, Path::new(&way), &plenty()).is_ok(), is_found, "{links}");
            assert_eq!(from.join(way).canonicalize().is_ok(), is_found, "the kernel, {links}");
        }
    }
    #[test]
    fn so_many_steps_are_gone_for_one_request_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        fs::create_dir(path.join("d")).unwrap();
        fs::write(path.join("file"), "").unwrap();
        symlink("d/../".repeat(500) + "file", path.join("link")).unwrap();
        // The link itself, and what it says.
        let steps = 1 + 2 * 500 + 1;
        let root = ServedRoot { path: path.clone(), steps_left: Cell::new(2 * steps) };
        for _ in 0..2 {
            assert!(!root.is_exhausted());
            assert_eq!(root.resolve(&["link"]).unwrap(), path.join("file"));
        }
        assert!(root.is_exhausted());
        assert!(matches!(root.resolve(&["file"]), Err(NoPath::NotThere)));
    }
}
