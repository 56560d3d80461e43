//! The Redis server that the boards share: started, killed, stopped, and asked.
//!
//! What must stay true: a durable one has what it has answered, whenever it is killed; one that is not has what it had when it was last told to save.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use soak::wire::TIMEOUT;

/// The server.
pub struct Redis {
    folder: PathBuf,
    is_durable: bool,
    child: Option<Child>,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Number(i64),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

impl Redis {
    /// One with a folder of its own, which is made; it does not run yet.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(folder: &Path, is_durable: bool) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), is_durable, child: None })
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// Starts it with what it has in its folder, and does not wait for anything.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(&mut self) -> Result<(), String> {
        let path = self.folder.join("redis.log");
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut command = Command::new("setpriv");
        // Dies with this tool. Its files stay as they are, but for what it appends.
        command.args(["--pdeathsig", "KILL", "--", "redis-server", "--port", "0", "--save", "", "--unixsocket"]);
        command.arg(self.socket()).args(["--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]);
        command.args(["--appendonly", if self.is_durable { "yes" } else { "no" }]).arg("--dir").arg(&self.folder);
        command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        self.child = Some(command.spawn().map_err(|error| format!("redis-server cannot be started: {error}"))?);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_until_ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.ask(&["PING"]) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(format!("Redis does not answer: {error}")),
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it has ended by itself.
    pub fn signal(&mut self, signal: Signal) -> Result<(), String> {
        let child = self.child.as_mut().ok_or("Redis does not run")?;
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("Redis has ended by itself ({status})"));
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process has an id")?;
        kill_process(pid, signal).map_err(|error| format!("Redis cannot be killed: {error}"))
    }

    /// Kills it.
    ///
    /// # Errors
    /// If it has ended by itself.
    pub fn kill(&mut self) -> Result<(), String> {
        self.signal(Signal::KILL)?;
        let child = self.child.as_mut().ok_or("Redis does not run")?;
        child.wait().map_err(|error| error.to_string())?;
        self.child = None;
        Ok(())
    }

    /// Asks it, on a connection of its own.
    ///
    /// # Errors
    /// What it says, or why it says nothing.
    pub fn ask(&self, words: &[&str]) -> Result<Reply, String> {
        let ask = || {
            let mut socket = UnixStream::connect(self.socket())?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
            let words: Vec<_> = words.collect();
            socket.write_all(format!("*{}\r\n{}", words.len(), words.concat()).as_bytes())?;
            Ok(reply(&mut BufReader::new(socket)))
        };
        ask().unwrap_or_else(|error: std::io::Error| Err(error.to_string()))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Reply {
    /// The bytes, if it is such.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The text, if it is such.
    pub fn text(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The list; empty if it is none.
    pub fn list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }
}

/// Reads one reply (RESP2).
fn reply(socket: &mut impl BufRead) -> Result<Reply, String> {
    let mut line = String::new();
    socket.read_line(&mut line).map_err(|error| error.to_string())?;
    let rest = line.trim_end().get(1..).ok_or("Redis has ended the connection")?;
    let length = || rest.parse::<usize>().ok();
    match line.as_bytes()[0] {
        b'-' => Err(rest.to_owned()),
        b':' => rest.parse().map(Reply::Number).map_err(|_| format!("{rest:?} is no number")),
        b'+' => Ok(Reply::Bytes(rest.as_bytes().to_vec())),
        b'$' => {
            let Some(length) = length() else { return Ok(Reply::Nothing) };
            let mut bytes = vec![0; length + 2];
            socket.read_exact(&mut bytes).map_err(|error| error.to_string())?;
            bytes.truncate(length);
            Ok(Reply::Bytes(bytes))
        }
        b'*' => {
            let Some(length) = length() else { return Ok(Reply::Nothing) };
            (0..length).map(|_| reply(socket)).collect::<Result<_, _>>().map(Reply::List)
        }
        _ => Err(format!("{line:?} is no reply")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let bytes = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
        let mut text: &[u8] = b"*4\r\n$5\r\na\r\nbc\r\n:-7\r\n$-1\r\n*1\r\n+OK\r\n";
        let expected =
            Reply::List(vec![bytes("a\r\nbc"), Reply::Number(-7), Reply::Nothing, Reply::List(vec![bytes("OK")])]);
        assert_eq!(reply(&mut text), Ok(expected));
        assert_eq!(reply(&mut &b"-LOADING wait\r\n"[..]), Err("LOADING wait".to_owned()));
        assert!(reply(&mut &b""[..]).is_err());
    }
}
