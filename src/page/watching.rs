//! The thread that watches the folder of `--www`, for `--reload`.
//!
//! Leaves to `watched_folders` what the kernel tells, to `settling` when that counts, and telling pages to `reload`. What must stay true: only
//! this thread, and the start, wait for the disk; whatever cannot be watched ends nothing.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smol::channel::{self, Receiver, Sender};

use crate::config::limits::PAGE_END_TIMEOUT;
use crate::config::reload_limits::{CHANGES_QUEUE_MAX, WATCHED_ROOT_LOOK_EVERY};
use crate::page::served_root::ServedRoot;
use crate::page::settling::{Changes, Settling};
use crate::page::watched_folders::WatchedFolders;
use crate::runtime::clock;

/// The thread, which ends with this.
#[derive(Debug)]
pub struct Watching {
    /// Closed to end it.
    stop: Option<UnixStream>,
    /// Disconnected when it has ended.
    ended: mpsc::Receiver<()>,
}

impl Watching {
    /// Watches the folder at this absolute path from now on, wherever links in it lead. What has changed comes from the receiver.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(www: PathBuf) -> io::Result<(Self, Receiver<Changes>)> {
        let (stop, stopped) = UnixStream::pair()?;
        let (ends_with_thread, ended) = mpsc::channel();
        let (tell, told) = channel::bounded(CHANGES_QUEUE_MAX);
        let mut watcher = Watcher::new(www);
        // Before anybody can have loaded a page.
        watcher.look(clock::now());
        if let Some(folders) = &watcher.folders {
            info!("watching --www for --reload (folders: {})", folders.count());
        }
        watcher.settling = Settling::default();
        thread::Builder::new().name("watch".into()).spawn(move || {
            watcher.run(&stopped, &tell);
            drop(ends_with_thread);
        })?;
        Ok((Self { stop: Some(stop), ended }, told))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop = None;
        // It may be waiting for a disk that gives no answer.
        let _ = self.ended.recv_timeout(PAGE_END_TIMEOUT);
    }
}

/// What the thread knows.
#[derive(Debug)]
struct Watcher {
    www: PathBuf,
    /// The folder that was there at the last look.
    served: Option<FolderId>,
    folders: Option<WatchedFolders>,
    settling: Settling,
    /// Whether the log has been told that something is not watched.
    is_warned: bool,
}

/// A folder, so that another one in its place is told from it: its path without links, its device and inode.
type FolderId = (PathBuf, u64, u64);

impl Watcher {
    fn new(www: PathBuf) -> Self {
        Self { www, served: None, folders: None, settling: Settling::default(), is_warned: false }
    }

    fn run(mut self, stopped: &UnixStream, tell: &Sender<Changes>) {
        let mut look_at = clock::now() + WATCHED_ROOT_LOOK_EVERY;
        loop {
            let now = clock::now();
            if now >= look_at {
                self.look(now);
                look_at = now + WATCHED_ROOT_LOOK_EVERY;
            }
            let next = self.settling.next_look(now).map_or(look_at, |at| at.min(look_at));
            if !self.wait(stopped, next) {
                return;
            }
            let now = clock::now();
            self.read(now);
            if let Some(changes) = self.settling.take(now) {
                if tell.send_blocking(changes).is_err() {
                    return;
                }
            }
        }
    }

    /// Waits for something to happen, or until a moment. False: it is to end.
    fn wait(&self, stopped: &UnixStream, until: Instant) -> bool {
        // Rounded up, or it is woken just before, again and again.
        let left = until.saturating_duration_since(clock::now()) + Duration::from_micros(100);
        let left = Timespec { tv_sec: 0, tv_nsec: left.as_nanos().min(999_999_999).try_into().unwrap_or(0) };
        let mut waited = vec![PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN)];
        if let Some(folders) = &self.folders {
            waited.push(PollFd::from_borrowed_fd(folders.as_fd(), PollFlags::IN));
        }
        // A signal, or too little memory: it is looked all the same.
        let _ = poll(&mut waited, Some(&left));
        waited[0].revents().is_empty()
    }

    /// Takes in what has happened in the folder.
    fn read(&mut self, now: Instant) {
        let Some(folders) = &mut self.folders else { return };
        let settling = &mut self.settling;
        if folders.read(&mut |path, event| settling.note(path, event, now)).is_err() {
            // The next look finds what is there.
            self.served = None;
            self.folders = None;
        } else if let Some(problem) = folders.take_problem() {
            self.warn(&problem);
        }
    }

    /// Looks which folder there is. Another one than before may have anything in it; one that has gone is not worth telling, since a page
    /// could load nothing in its place.
    fn look(&mut self, now: Instant) {
        let found = find(&self.www);
        if found == self.served && (found.is_none() || self.folders.is_some()) {
            return;
        }
        self.folders = None;
        self.served = found;
        let Some((root, ..)) = &self.served else { return };
        match WatchedFolders::at(root) {
            Ok(mut folders) => {
                let problem = folders.take_problem();
                self.folders = Some(folders);
                self.settling.note_everything(now);
                if let Some(problem) = problem {
                    self.warn(&problem);
                }
            }
            Err(error) => self.warn(&error),
        }
    }

    fn warn(&mut self, problem: &io::Error) {
        if !std::mem::replace(&mut self.is_warned, true) {
            warn!(
                "cannot watch all folders of --www for --reload ({problem}): changes in some reload no page; raise \
                 fs.inotify.max_user_watches and fs.inotify.max_user_instances (sysctl), or serve fewer folders"
            );
        }
    }
}

/// The folder that is served now, if there is one.
fn find(www: &Path) -> Option<FolderId> {
    let path = ServedRoot::at(www).ok()?.into_path();
    let found = path.metadata().ok()?;
    Some((path, found.dev(), found.ino()))
}
