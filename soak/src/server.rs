//! The server under test: started on a port of its own, looked at from outside, and stopped.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::protocol::Message;

/// How long anything may take that should be quick, on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// `--patience` of the server under test: shorter than the default, so that it runs out more often.
pub const PATIENCE: &str = "1s";
/// `--backlog` of the server under test. Its newer half has to hold what is sent while a client that resumes is away.
pub const BACKLOG_BYTES: usize = 8 * 1024 * 1024;
/// How many lines of its log are kept.
const LINES_MAX: usize = 20;

/// A running server. Dropped, it is killed.
pub struct Server {
    child: Mutex<Child>,
    pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<Heard>>,
}

/// What was heard on the server's standard error.
#[derive(Default)]
struct Heard {
    lines: VecDeque<String>,
    panic: Option<String>,
}

/// What it holds at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Resident memory.
    pub memory_kib: u64,
    /// Open files.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
}

impl Server {
    /// Starts the binary on a free port of the loopback interface.
    ///
    /// # Errors
    /// A sentence for people, as everywhere here.
    pub fn start(bin: &Path) -> Result<Self, String> {
        let flags = ["--listen", "127.0.0.1:0", "--heartbeat", "2s", "--patience", PATIENCE, "--log-level", "info"];
        let backlog = BACKLOG_BYTES.to_string();
        let mut command = Command::new(bin);
        command.args(flags).args(["--backlog", &backlog, "--max-clients-per-ip", "0"]);
        command.args(["--max-channels", "4", "--channel-backlog", "64KiB"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| {
            format!(
                "{} cannot be started ({error}): build it with `cargo build --release`, or set FOGHORN_BIN",
                bin.display()
            )
        })?;
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let address = find_address(&mut lines);
        let log = Arc::new(Mutex::new(Heard::default()));
        let heard = Arc::clone(&log);
        thread::spawn(move || listen_to(lines, &heard));
        let pid = child.id();
        let child = Mutex::new(child);
        let address = address.ok_or_else(|| format!("{} does not say where it listens", bin.display()))?;
        Ok(Self { child, pid, address, log })
    }

    /// A WebSocket in which nothing takes longer than [`TIMEOUT`].
    ///
    /// # Errors
    /// If it is not let in.
    pub fn join(&self, path: &str, subprotocol: Option<&str>) -> Result<tungstenite::WebSocket<TcpStream>, String> {
        use tungstenite::client::IntoClientRequest;
        let socket = TcpStream::connect_timeout(&self.address, TIMEOUT).map_err(|error| format!("connect: {error}"))?;
        let with_timeouts = socket.set_read_timeout(Some(TIMEOUT)).and(socket.set_write_timeout(Some(TIMEOUT)));
        with_timeouts.and(socket.set_nodelay(true)).map_err(|error| error.to_string())?;
        let request = format!("ws://{}{path}", self.address).into_client_request();
        let mut request = request.map_err(|error| error.to_string())?;
        if let Some(name) = subprotocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", name.parse().expect("a name"));
        }
        let joined = tungstenite::client::client(request, socket);
        joined.map(|(client, _)| client).map_err(|error| format!("an honest client was not let in: {error}"))
    }

    /// Has every page of the backlog and its index touched once, with messages large and small: the memory of the
    /// backlog is not what this test is after.
    ///
    /// # Errors
    /// If they are not taken.
    pub fn fill_backlog(&self) -> Result<(), String> {
        let mut client = self.join("/?echo=0", None)?;
        let mut send = |message: Message, times: usize| {
            (0..times).try_for_each(|_| client.write(message.clone())).and_then(|()| client.flush())
        };
        let all = send(Message::binary(vec![0; 64 * 1024]), BACKLOG_BYTES / 65_536 * 2)
            .and_then(|()| send(Message::text(""), BACKLOG_BYTES / 16));
        all.map_err(|error| format!("the backlog cannot be filled: {error}"))?;
        let _ = client.close(None);
        // Behind the Close comes nothing more, so all was taken by then.
        while client.read().is_ok() {}
        Ok(())
    }

    /// Loads a page, and returns its body.
    ///
    /// # Errors
    /// If it does not come in time, or with another status than 200.
    pub fn get(&self, path: &str) -> Result<String, String> {
        let wrong = |what: String| format!("GET {path}: {what}");
        let get = || -> std::io::Result<String> {
            let mut socket = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = get().map_err(|error| wrong(error.to_string()))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| wrong("no answer".to_owned()))?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(wrong(head.lines().next().unwrap_or_default().to_owned()));
        }
        Ok(body.to_owned())
    }

    /// The server's own figures.
    ///
    /// # Errors
    /// If it does not give them.
    pub fn status(&self) -> Result<Value, String> {
        self.get("/status").and_then(|body| serde_json::from_str(&body).map_err(|error| format!("/status: {error}")))
    }

    /// What the kernel says that it holds.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn figures(&self) -> Result<Figures, String> {
        let folder = format!("/proc/{}", self.pid);
        let descriptors = fs::read_dir(format!("{folder}/fd")).map_err(|error| self.gone(&error))?.count();
        Ok(Figures { memory_kib: self.proc_number("VmRSS")?, descriptors, threads: self.proc_number("Threads")? })
    }

    /// The most memory that it has had resident.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn peak_kib(&self) -> Result<u64, String> {
        self.proc_number("VmHWM")
    }

    fn proc_number(&self, name: &str) -> Result<u64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).map_err(|error| self.gone(&error))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("/proc has no {name} of the server"))
    }

    fn gone(&self, error: &std::io::Error) -> String {
        format!("the server is gone ({error}); its last lines:\n{}", self.last_lines())
    }

    /// Whether it runs, and has not panicked in any thread.
    ///
    /// # Errors
    /// If not.
    pub fn check_alive(&self) -> Result<(), String> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the server has ended ({status}); its last lines:\n{}", self.last_lines()));
        }
        match &self.heard().panic {
            Some(line) => Err(format!("the server has panicked: {line}")),
            None => Ok(()),
        }
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        self.heard().lines.iter().flat_map(|line| ["  ", line, "\n"]).collect()
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to stop, and waits for it.
    ///
    /// # Errors
    /// If it does not, or not in order.
    pub fn stop(&self) -> Result<(), String> {
        self.check_alive()?;
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status();
        asked.map_err(|error| format!("kill: {error}"))?;
        let deadline = Instant::now() + TIMEOUT;
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("asked to stop, the server has ended with {status}")),
                None if Instant::now() > deadline => {
                    return Err(format!("asked to stop, the server goes on for {} s", TIMEOUT.as_secs()));
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn find_address(lines: &mut BufReader<ChildStderr>) -> Option<SocketAddr> {
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some((_, address)) = line.split_once("listening on ") {
            return address.trim().parse().ok();
        }
        line.clear();
    }
    None
}

/// Reads on for ever, since a log that nobody reads is another test.
fn listen_to(mut lines: BufReader<ChildStderr>, heard: &Mutex<Heard>) {
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if line.contains("panicked") && heard.panic.is_none() {
            heard.panic = Some(line.clone());
        }
        if heard.lines.len() == LINES_MAX {
            heard.lines.pop_front();
        }
        heard.lines.push_back(line);
        bytes.clear();
    }
}
