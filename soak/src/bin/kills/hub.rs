//! The server under test: started on sockets that stay, killed, and started again.
//!
//! What must stay true: it has not ended by itself, and has never panicked.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::wire::TIMEOUT;

/// How many lines of its log are kept.
const LINES_MAX: usize = 30;
/// Puts the sockets that it inherits where `sd_listen_fds(3)` has them, and dies with this tool.
const SCRIPT: &str = "ulimit -c 0; exec 3<&0 4<&1 </dev/null >/dev/null; export LISTEN_PID=$$ LISTEN_FDS=2; \
                      exec setpriv --pdeathsig KILL -- \"$@\"";

/// The server, running or not.
pub struct Hub {
    bin: PathBuf,
    flags: Vec<String>,
    state: PathBuf,
    boot: u32,
    listeners: [TcpListener; 2],
    child: Option<Child>,
    log: Arc<Mutex<Heard>>,
}

/// What was heard on its standard error.
#[derive(Default)]
struct Heard {
    lines: VecDeque<String>,
    wrong: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// One that was not started yet, with its sockets and its folder.
    ///
    /// # Errors
    /// If there are no free ports.
    pub fn new(bin: &Path, flags: &[&str], state: &Path) -> Result<Self, String> {
        let bind = || TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"));
        Ok(Self {
            bin: bin.to_owned(),
            flags: flags.iter().map(ToString::to_string).collect(),
            state: state.to_owned(),
            boot: 1,
            listeners: [bind()?, bind()?],
            child: None,
            log: Arc::default(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the kernel does not say so.
    pub fn addresses(&self) -> Result<[SocketAddr; 2], String> {
        let address = |nth: usize| self.listeners[nth].local_addr().map_err(|error| error.to_string());
        Ok([address(0)?, address(1)?])
    }

    /// Starts it, and does not wait for anything.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(&mut self) -> Result<(), String> {
        let [first, second] = [0, 1].map(|nth: usize| self.listeners[nth].try_clone().map(OwnedFd::from));
        let sockets = first.and_then(|first| Ok((first, second?)));
        let (first, second) = sockets.map_err(|error| format!("too few descriptors: {error}"))?;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&self.bin).args(&self.flags);
        // A variable and no flag: a server of before knows nothing of it, and has to be found out.
        command.env("FOGHORN_STATE", &self.state).env("FOGHORN_BOOT_ID", format!("boot-{}", self.boot));
        command.stdin(Stdio::from(first)).stdout(Stdio::from(second)).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", self.bin.display()))?;
        let stderr = child.stderr.take().expect("it is piped");
        let log = Arc::clone(&self.log);
        thread::spawn(move || listen_to(stderr, &log));
        self.child = Some(child);
        Ok(())
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
        self.check_alive()?;
        let child = self.child.as_ref().ok_or("it does not run")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process has an id")?;
        kill_process(pid, signal).map_err(|error| format!("it cannot be killed: {error}"))
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
        let deadline = Instant::now() + TIMEOUT;
        let child = self.child.as_mut().ok_or("it does not run")?;
        loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => {
                    self.child = None;
                    return Ok(status);
                }
                None if Instant::now() > deadline => {
                    return Err(format!("told to end, the server goes on for {} s", TIMEOUT.as_secs()));
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Whether it runs, and has said nothing that is wrong.
    ///
    /// # Errors
    /// If not.
    pub fn check_alive(&mut self) -> Result<(), String> {
        if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
            return Err(format!("the server has ended by itself ({status})"));
        }
        lock(&self.log).wrong.clone().map_or(Ok(()), |line| Err(format!("the server says: {line}")))
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        lock(&self.log).lines.iter().flat_map(|line| ["  ", line, "\n"]).collect()
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

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn listen_to(stderr: ChildStderr, heard: &Mutex<Heard>) {
    let mut lines = BufReader::new(stderr);
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let mut heard = lock(heard);
        // Nothing here gives a reason for a warning.
        let is_wrong = line.contains("panicked") || line.contains(" WARN ") || line.contains(" ERROR ");
        if is_wrong && heard.wrong.is_none() {
            heard.wrong = Some(line.clone());
        }
        if heard.lines.len() == LINES_MAX {
            heard.lines.pop_front();
        }
        heard.lines.push_back(line);
        bytes.clear();
    }
}
