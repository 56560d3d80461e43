//! A running server: where it listens, its log, its figures, its process, its end.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::client::{Client, get};
use super::http::Response;
use super::launch::Launch;
use super::output::{Finished, Lines};
use super::wait::{eventually, patience};

/// A running server.
pub struct Server {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// Where it listens, in the order in which it says so.
    pub addresses: Vec<SocketAddr>,
    runtime: TempDir,
    /// For the rare test that shows what happens after a panic.
    pub may_panic: bool,
}

impl Server {
    /// A server on one free port, with these flags.
    pub fn start(args: &[&str]) -> Self {
        Launch::new(args).start()
    }

    /// A server on one free port, with this folder in place of the built-in page.
    pub fn serving(www: impl AsRef<Path>) -> Self {
        Launch::new(&["--www"]).arg(www.as_ref()).start()
    }

    /// A process that has just been started, and has its runtime folder in this one.
    pub(super) fn of(mut child: Child, runtime: TempDir) -> Self {
        let stdout = child.stdout.take().map_or_else(|| Lines::of(io::empty()), Lines::of);
        let stderr = Lines::of(child.stderr.take().expect("it is piped"));
        Self { child, stdout, stderr, addresses: Vec::new(), runtime, may_panic: false }
    }

    /// The first address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits until the log has this text.
    pub fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// The folder in which it makes its private socket. Beside it there is only `/tmp`.
    pub fn runtime_folder(&self) -> PathBuf {
        runtime_folder(&self.runtime)
    }

    /// The private sockets that it has now.
    pub fn private_sockets(&self) -> Vec<PathBuf> {
        let entries = |folder: &Path| fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()));
        let folders = entries(&self.runtime_folder()).expect("the runtime folder").collect::<Vec<_>>();
        folders.iter().filter_map(|folder| entries(folder).ok()).flatten().collect()
    }

    /// A client that has joined and has got the greeting.
    pub fn join(&self) -> Client {
        Client::join(self.address())
    }

    /// Asks for a page on a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        get(self.address(), path)
    }

    /// Asks until the tag stays the same, if there is one: that of a large file that has just been written does not.
    pub fn get_settled(&self, path: &str) -> Response {
        let mut last = self.get(path);
        eventually(&format!("the tag of {path} stays"), || {
            let before = std::mem::replace(&mut last, self.get(path));
            last.header("ETag") == before.header("ETag")
        });
        last
    }

    /// The figures.
    pub fn status(&self) -> Value {
        let response = self.get("/status");
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_slice(&response.body).expect("/status is JSON")
    }

    /// One figure, such as `/closed/tooSlow` (a JSON pointer).
    pub fn figure(&self, pointer: &str) -> u64 {
        let status = self.status();
        status.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number {pointer} in {status}"))
    }

    /// Waits until a figure has a value.
    pub fn wait_for_figure(&self, pointer: &str, expected: u64) {
        let mut last = None;
        let started = Instant::now();
        while last != Some(expected) {
            assert!(started.elapsed() < patience(), "{pointer} is {last:?} and not {expected}: {}", self.log());
            thread::sleep(Duration::from_millis(5));
            last = Some(self.figure(pointer));
        }
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").arg("-c").arg(&kill).status().expect("sh runs").success(), "{kill}");
    }

    /// A line of `/proc/PID/status`, such as `Threads` or `VmRSS` (in KiB).
    pub fn process_figure(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find(|line| line.split(':').next() == Some(name)).expect("a line of that name");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    /// How many descriptors it has open.
    pub fn open_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs").count()
    }

    /// Changes its limit of open files while it runs.
    pub fn limit_descriptors(&self, soft: usize) {
        let pid = format!("--pid={}", self.pid());
        let limited = Command::new("prlimit").arg(pid).arg(format!("--nofile={soft}:")).status();
        assert!(limited.expect("prlimit (package util-linux) is there").success());
    }

    /// Its exit status, if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits until it ends by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.try_exit() {
                return status;
            }
            assert!(started.elapsed() < patience(), "the server does not end: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks for addresses in the log.
    pub(super) fn find_addresses(&mut self) {
        let log = self.log();
        let addresses = log.lines().filter_map(|line| line.split_once("listening on ")?.1.trim().parse().ok());
        self.addresses = addresses.collect();
    }

    /// Waits for its end, and for all that it has written.
    pub fn finish(mut self) -> Finished {
        let code = self.wait_for_exit().code();
        self.join_readers();
        Finished { code, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    fn join_readers(&mut self) {
        self.stdout.join();
        self.stderr.join();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join_readers();
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- the server's log:\n{log}");
        } else {
            assert!(self.may_panic || !log.contains("panicked"), "the server has panicked: {log}");
        }
    }
}

/// The folder for private sockets within the temporary one of a server.
pub(super) fn runtime_folder(within: &TempDir) -> PathBuf {
    within.path().join("run")
}
