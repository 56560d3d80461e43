//! A server under test: started on sockets that stay, killed, and started again.
//!
//! What must stay true: it has not ended by itself, and has said nothing that is wrong.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wire::TIMEOUT;

/// How many lines of its log are kept.
const LINES_MAX: usize = 30;
/// Puts the sockets that it inherits where `sd_listen_fds(3)` has them, and dies with this tool.
const SCRIPT: &str = "ulimit -c 0; exec 3<&0 4<&1 </dev/null >/dev/null; export LISTEN_PID=$$ LISTEN_FDS=2; \
                      exec setpriv --pdeathsig KILL -- \"$@\"";

/// A server, running or not. Dropped, it is killed.
pub struct ServerProcess {
    bin: PathBuf,
    flags: Vec<String>,
    is_wrong: fn(&str) -> bool,
    listeners: [TcpListener; 2],
    child: Option<Child>,
    log: Arc<Mutex<Heard>>,
}

/// What was heard on its standard error.
#[derive(Default)]
struct Heard {
    lines: VecDeque<String>,
    wrong: Option<String>,
    /// Where all of it goes.
    file: Option<File>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerProcess {
    /// One that was not started yet, with its sockets. `is_wrong` says which lines of its log it must not write.
    ///
    /// # Errors
    /// If there are no free ports.
    pub fn new(bin: &Path, flags: &[&str], is_wrong: fn(&str) -> bool) -> Result<Self, String> {
        let bind = || TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"));
        Ok(Self {
            bin: bin.to_owned(),
            flags: flags.iter().map(ToString::to_string).collect(),
            is_wrong,
            listeners: [bind()?, bind()?],
            child: None,
            log: Arc::default(),
        })
    }

    /// The same, with all of its log in a file.
    #[must_use]
    pub fn logging_to(self, file: File) -> Self {
        lock(&self.log).file = Some(file);
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the kernel does not say so.
    pub fn addresses(&self) -> Result<[SocketAddr; 2], String> {
        let address = |nth: usize| self.listeners[nth].local_addr().map_err(|error| error.to_string());
        Ok([address(0)?, address(1)?])
    }

    /// Starts it with these variables, and does not wait for anything.
    ///
    /// # Errors
    /// If there is no such program.
    ///
    /// # Panics
    /// Never.
    pub fn start(&mut self, variables: &[(&str, &str)]) -> Result<(), String> {
        let [first, second] = [0, 1].map(|nth: usize| self.listeners[nth].try_clone().map(OwnedFd::from));
        let sockets = first.and_then(|first| Ok((first, second?)));
        let (first, second) = sockets.map_err(|error| format!("too few descriptors: {error}"))?;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&self.bin).args(&self.flags).envs(variables.iter().copied());
        command.stdin(Stdio::from(first)).stdout(Stdio::from(second)).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", self.bin.display()))?;
        let stderr = child.stderr.take().expect("it is piped");
        let (log, is_wrong) = (Arc::clone(&self.log), self.is_wrong);
        thread::spawn(move || listen_to(stderr, &log, is_wrong));
        self.child = Some(child);
        Ok(())
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

    /// Whether it was started, and was not waited for since.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it runs if it was started, and has said nothing that is wrong.
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
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn listen_to(stderr: ChildStderr, heard: &Mutex<Heard>, is_wrong: fn(&str) -> bool) {
    let mut lines = BufReader::new(stderr);
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let mut heard = lock(heard);
        if is_wrong(&line) && heard.wrong.is_none() {
            heard.wrong = Some(line.clone());
        }
        if let Some(file) = &mut heard.file {
            let _ = writeln!(file, "{line}");
        }
        if heard.lines.len() == LINES_MAX {
            heard.lines.pop_front();
        }
        heard.lines.push_back(line);
        bytes.clear();
    }
}
