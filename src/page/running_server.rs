//! A running tiny_http, on a Unix socket in a private folder.
//!
//! Leaves serving, and starting it anew, to `page_server`. What must stay true: nothing of it is left when this value is dropped; that there is no
//! thread for it is an error, and no panic.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tiny_http::Server;

use crate::page::private_folder::PrivateFolder;

/// A running server, in a folder of its own. Each restart uses a new folder, because the old one may be gone (`/run/user` after a
/// logout, a cleaned `/tmp`).
pub struct Running {
    // Dropped in this order: tiny_http ends its accepting thread by a connection to itself, for which the folder is needed.
    /// tiny_http.
    pub server: Arc<Server>,
    folder: PrivateFolder,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Running {
    /// Starts one, with its socket in a private folder below the first of these that takes it. By path and not by an abstract name: only this
    /// user can reach it, and tiny_http's own clean-up needs a path.
    ///
    /// # Errors
    /// If none of them does.
    pub fn start(runtime_folders: &[PathBuf]) -> io::Result<Self> {
        let mut refused = Vec::new();
        for runtime_folder in runtime_folders {
            match Self::start_in(runtime_folder) {
                Ok(running) => return Ok(running),
                Err(error) => refused.push(format!("{}: {}", runtime_folder.display(), without_path(&error))),
            }
        }
        Err(io::Error::other(refused.join("; ")))
    }

    fn start_in(runtime_folder: &Path) -> io::Result<Self> {
        let folder = PrivateFolder::make_in(runtime_folder)?;
        folder.sweep();
        // It panics if it gets no thread, which `try_threads` makes unlikely.
        let server = catch_unwind(|| Server::http_unix(&folder.socket_path()))
            .unwrap_or_else(|panic| Err(panic_words(&*panic).into()))
            .map_err(io::Error::other)?;
        Ok(Self { folder, server: Arc::new(server) })
    }

    /// Where it listens.
    pub fn socket_path(&self) -> PathBuf {
        self.folder.socket_path()
    }
}

/// What has happened, without the name that tempfile would have given to a folder.
fn without_path(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|error| error.source());
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Sees whether there are enough threads for tiny_http and for us. It panics where it gets none of its own, and does so in one
/// of them, where nobody is told.
///
/// # Errors
/// If there are not.
pub fn try_threads(threads: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let _all_at_once = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut threads = (0..threads).map(|_| {
            thread::Builder::new().spawn_scoped(scope, || drop(gate.lock().unwrap_or_else(PoisonError::into_inner)))
        });
        threads.try_for_each(|thread| thread.map(drop))
    })
}

/// What a panic has said.
pub fn panic_words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}
