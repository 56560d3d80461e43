//! A folder with all that is in it, as the kernel tells of it: what happens to each file (`inotify(7)`).
//!
//! Leaves to `settling` what is made of that, and where the folder is to `watching`. What must stay true: what is not served is not
//! watched, hidden files and what lies behind links included; a folder is watched before it is read, so that nothing that comes is
//! missed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::config::reload_limits::{FOLDER_EVENTS_MAX, FOLDERS_WATCHED_MAX};
use crate::page::settling::Event;
use crate::page::url_path::is_hidden;

/// What is told of a folder. Of a file that is only read nothing is.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE);
const HOW: WatchFlags = WatchFlags::ONLYDIR.union(WatchFlags::DONT_FOLLOW).union(WatchFlags::EXCL_UNLINK);

/// What has happened is not known any more: the folder has gone, or more has happened than the kernel keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// A folder that is watched.
#[derive(Debug)]
pub struct WatchedFolders {
    inotify: OwnedFd,
    root: PathBuf,
    /// Their paths in the root by what the kernel calls them, each with a slash at its end; that of the root is empty.
    folders: HashMap<i32, String>,
    /// Why some are not watched.
    problem: Option<io::Error>,
}

impl WatchedFolders {
    /// Watches the folder at this path, which has no links in it, and all folders in it.
    ///
    /// # Errors
    /// If the kernel lets nobody watch anything.
    pub fn at(root: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watched = Self { inotify, root: root.to_owned(), folders: HashMap::new(), problem: None };
        watched.watch(String::new(), Event::Found, &mut |_, _| {});
        Ok(watched)
    }

    /// How many folders are watched.
    pub fn count(&self) -> usize {
        self.folders.len()
    }

    /// Why some folders have been left out since this was last asked.
    pub fn take_problem(&mut self) -> Option<io::Error> {
        self.problem.take()
    }

    /// Has `note` called for all that has happened, up to [`FOLDER_EVENTS_MAX`] events.
    ///
    /// # Errors
    /// If some of it is lost.
    pub fn read(&mut self, note: &mut impl FnMut(String, Event)) -> Result<(), Lost> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut happened = Vec::new();
        while happened.len() < FOLDER_EVENTS_MAX {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    happened.push((event.wd(), event.events(), name.map(str::to_owned)));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Lost),
            }
        }
        happened.into_iter().try_for_each(|(folder, events, name)| self.take_in(folder, events, name, note))
    }

    fn take_in(
        &mut self,
        folder: i32,
        events: ReadFlags,
        name: Option<String>,
        note: &mut impl FnMut(String, Event),
    ) -> Result<(), Lost> {
        let has = |flags: ReadFlags| events.intersects(flags);
        if has(ReadFlags::QUEUE_OVERFLOW) {
            return Err(Lost);
        }
        if has(ReadFlags::IGNORED) {
            let was_root = self.folders.remove(&folder).is_some_and(|path| path.is_empty());
            return if was_root { Err(Lost) } else { Ok(()) };
        }
        // A name that is not UTF-8 has no address.
        let (Some(folder), Some(name)) = (self.folders.get(&folder), name) else { return Ok(()) };
        if is_hidden(name.as_bytes(), folder.is_empty()) || is_editors(&name) {
            return Ok(());
        }
        let path = format!("{folder}{name}");
        if has(ReadFlags::ISDIR) {
            if has(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
                note(path.clone(), Event::Made);
                // What is moved was written before.
                let found = if has(ReadFlags::CREATE) { Event::Found } else { Event::Made };
                self.watch(path + "/", found, note);
            } else if has(ReadFlags::ATTRIB) {
                // One that nobody could read when it came may be readable now.
                let before = self.folders.len();
                self.watch(format!("{path}/"), Event::Found, note);
                if self.folders.len() > before {
                    note(path, Event::Made);
                }
            } else if has(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
                self.forget(&format!("{path}/"));
                note(path, Event::Gone);
            }
        } else if has(ReadFlags::CREATE) {
            let event = if self.is_complete_at_once(&path) { Event::Made } else { Event::Begun };
            note(path, event);
        } else if has(ReadFlags::MODIFY) {
            note(path, Event::Written);
        } else if has(ReadFlags::CLOSE_WRITE) {
            note(path, Event::Closed);
        } else if has(ReadFlags::MOVED_TO) {
            note(path, Event::Placed);
        } else if has(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
            note(path, Event::Gone);
        }
        Ok(())
    }

    /// Watches the folder at a path in the root, and all folders in it, and notes the files that are there already as `found`.
    fn watch(&mut self, path: String, found: Event, note: &mut impl FnMut(String, Event)) {
        let mut ahead = vec![path];
        while let Some(path) = ahead.pop() {
            let folder = self.root.join(&path);
            let watched = if self.folders.len() < FOLDERS_WATCHED_MAX {
                inotify::add_watch(&self.inotify, &folder, EVENTS | HOW)
            } else {
                Err(Errno::NOSPC)
            };
            match watched {
                // What is in it has been told.
                Ok(watch) if self.folders.get(&watch) == Some(&path) => continue,
                Ok(watch) => drop(self.folders.insert(watch, path.clone())),
                // It has gone, something else has come to lie there, or what is in it is not served either.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => continue,
                Err(error) => {
                    self.problem = Some(error.into());
                    return;
                }
            }
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                if is_hidden(name.as_bytes(), path.is_empty()) || is_editors(&name) {
                    continue;
                }
                let inner = format!("{path}{name}");
                let kind = entry.file_type().ok();
                if kind.is_some_and(|kind| kind.is_dir()) {
                    ahead.push(format!("{inner}/"));
                }
                note(inner, if kind.is_some_and(|kind| kind.is_file()) { found } else { Event::Made });
            }
        }
    }

    /// Watches a folder that has been moved, and those in it, no more.
    fn forget(&mut self, path: &str) {
        let inotify = &self.inotify;
        self.folders.retain(|watch, folder| {
            let stays = !folder.starts_with(path);
            if !stays {
                // If it has been deleted, the kernel has forgotten it already.
                let _ = inotify::remove_watch(inotify, *watch);
            }
            stays
        });
    }

    /// Whether what is new at a path has no writer who will close it: a link, symbolic or not.
    fn is_complete_at_once(&self, path: &str) -> bool {
        fs::symlink_metadata(self.root.join(path)).is_ok_and(|found| !found.is_file() || found.nlink() > 1)
    }
}

impl AsFd for WatchedFolders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Whether a name is one of those that editors give to copies for themselves: `page.html~`, `#page.html#`.
fn is_editors(name: &str) -> bool {
    name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'))
}
