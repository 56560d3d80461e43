//! The domains in which names of this network are looked up, as the resolver has them.
//!
//! Routers hand them out (`fritz.box`), and phones then know this machine as `NAME.fritz.box`. What must stay true: they are read off the
//! one thread, and not more often than anybody has to wait for.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::channel;
use smol::future::FutureExt;
use smol::lock::Semaphore;

use crate::runtime::clock;
use crate::runtime::timer::Timer;
use crate::runtime::worker_threads;

/// Where the resolver has its settings (`resolv.conf(5)`).
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How much of it is read, in bytes.
const BYTES_MAX: u64 = 64 * 1024;
/// For so long what was read counts as new.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long a disk may take.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The search domains, read again when somebody asks for them.
#[derive(Debug)]
pub struct SearchDomains {
    path: PathBuf,
    known: RefCell<Vec<String>>,
    read_at: Cell<Option<Instant>>,
    reading: Arc<Semaphore>,
}

impl SearchDomains {
    /// Those of this file, which is not read yet.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            known: RefCell::default(),
            read_at: Cell::new(None),
            reading: Arc::new(Semaphore::new(1)),
        }
    }

    /// The domains as they are now, or were a second ago. DHCP may come long after the start, and another network may come later.
    /// Where there is no file, or none that can be read in time, it is those that were known.
    pub async fn now(&self) -> Vec<String> {
        let too_late = async {
            Timer::after(READ_TIMEOUT).await;
        };
        self.read_again().or(too_late).await;
        self.known.borrow().clone()
    }

    async fn read_again(&self) {
        // A world has none of its own, and what a thread reads comes at no moment of it.
        #[cfg(feature = "simulation")]
        if crate::simulation::entered::world().is_some() {
            return;
        }
        let reading = self.reading.acquire_arc().await;
        if self.read_at.get().is_some_and(|read_at| clock::since(read_at) < FRESH_FOR) {
            return;
        }
        let path = self.path.clone();
        let (told, tells) = channel::bounded(1);
        let work = move || {
            // Nobody takes it if it came too late.
            let _ = told.try_send(read(&path));
            // Not before: a disk that hangs holds this thread, and no other.
            drop(reading);
        };
        if worker_threads::hand_over(work).is_err() {
            return;
        }
        let Ok(read) = tells.recv().await else { return };
        self.read_at.set(Some(clock::now()));
        if let Ok(text) = read {
            self.known.replace(parse(&text));
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The words of the last `search` or `domain` line, as the resolver takes them.
fn parse(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::split_whitespace);
    let mut domains = lines.filter_map(|mut words| matches!(words.next()?, "search" | "domain").then_some(words));
    domains.next_back().map(|words| words.map(str::to_owned).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::runtime::reactor::block_on;

    #[test]
    fn the_last_line_that_names_domains_counts() {
        for (text, expected) in [
            ("", &[][..]),
            ("nameserver 192.168.178.1\nsearch fritz.box\n", &["fritz.box"]),
            ("search a.example b.example\nsearch c.example d.example", &["c.example", "d.example"]),
            ("search a.example\n\tdomain\tfritz.box  # the router's\n", &["fritz.box", "#", "the", "router's"]),
            ("# search a.example\n;search b.example\nsearched c.example\n", &[]),
            ("search a.example\r\n", &["a.example"]),
            ("search a.example\nsearch\n", &[]),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_comes_later_is_seen_and_one_that_goes_takes_nothing_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let domains = SearchDomains::of(&path);
        block_on(async {
            assert_eq!(domains.now().await, [""; 0]);
            fs::write(&path, "search fritz.box\n").unwrap();
            domains.read_at.set(None);
            assert_eq!(domains.now().await, ["fritz.box"]);
            fs::write(&path, "search example.net\n").unwrap();
            assert_eq!(domains.now().await, ["fritz.box"], "it was read a moment ago");
            fs::remove_file(&path).unwrap();
            domains.read_at.set(None);
            assert_eq!(domains.now().await, ["fritz.box"]);
        })
        .unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_read_in_time_holds_one_thread_and_nobody_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("resolv.conf");
        // To open one means to wait until somebody opens its other end.
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let domains = SearchDomains::of(&pipe);
        block_on(async {
            for _ in 0..2 {
                assert_eq!(domains.now().await, [""; 0]);
                assert!(domains.reading.try_acquire().is_none(), "its thread still waits, and no other may");
            }
            fs::write(&pipe, "search fritz.box\n").unwrap();
            let _read = domains.reading.acquire().await;
        })
        .unwrap();
    }
}
