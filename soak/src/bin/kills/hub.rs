//! The server under test, with its folder.
//!
//! Leaves starting and killing to `server_process`. What must stay true: it knows its folder only by the variables of its unit.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::Signal;
use soak::server_process::ServerProcess;

/// The server, running or not.
pub struct Hub {
    process: ServerProcess,
    state: PathBuf,
    boot: u32,
}

impl Hub {
    /// One that was not started yet, with its sockets and its folder.
    ///
    /// # Errors
    /// If there are no free ports.
    pub fn new(bin: &Path, flags: &[&str], state: &Path) -> Result<Self, String> {
        // Nothing here gives a reason for a warning.
        let is_wrong = |line: &str| line.contains("panicked") || line.contains(" WARN ") || line.contains(" ERROR ");
        Ok(Self { process: ServerProcess::new(bin, flags, is_wrong)?, state: state.to_owned(), boot: 1 })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the kernel does not say so.
    pub fn addresses(&self) -> Result<[SocketAddr; 2], String> {
        self.process.addresses()
    }

    /// Starts it, and does not wait for anything.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(&mut self) -> Result<(), String> {
        // A variable and no flag: a server of before knows nothing of it, and has to be found out.
        let (state, boot) = (self.state.to_string_lossy(), format!("boot-{}", self.boot));
        self.process.start(&[("FOGHORN_STATE", &state), ("FOGHORN_BOOT_ID", &boot)])
    }

    /// From now on it is another boot of the machine.
    pub fn boot_again(&mut self) {
        self.boot += 1;
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it has ended by itself.
    pub fn signal(&mut self, signal: Signal) -> Result<(), String> {
        self.process.signal(signal)
    }

    /// Waits for the next change in its folder (a file made, renamed or removed; not one written to), so that it can be killed in the midst of more than
    /// one step; for no longer than a while. Whether there was one.
    pub fn wait_for_change(&self, longest: Duration) -> bool {
        let changes = WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE;
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let watching =
            inotify::init(flags).ok().filter(|watch| inotify::add_watch(watch, &self.state, changes).is_ok());
        let until = Instant::now() + longest;
        let Some(watch) = watching else { return false };
        let mut event = [0_u8; 4096];
        // Without sleeping, which would be longer than the steps.
        while Instant::now() < until {
            if rustix::io::read(&watch, &mut event).is_ok_and(|bytes| bytes > 0) {
                return true;
            }
        }
        false
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it goes on.
    pub fn wait(&mut self) -> Result<ExitStatus, String> {
        self.process.wait()
    }

    /// Whether it runs, and has said nothing that is wrong.
    ///
    /// # Errors
    /// If not.
    pub fn check_alive(&mut self) -> Result<(), String> {
        self.process.check_alive()
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }

    /// What lies in its folder, for people.
    pub fn files(&self) -> String {
        let entries = fs::read_dir(&self.state).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .map(|entry| {
                let length = entry.metadata().map_or(0, |file| file.len());
                format!("  {:>9} {}\n", length, entry.file_name().to_string_lossy())
            })
            .collect();
        files.sort();
        files.concat()
    }
}
