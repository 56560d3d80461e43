//! A visit: all that somebody can want of a server, one after the other, each over a connection of its own.
//!
//! Leaves to `server_case` what has to succeed when. What must stay true: no step waits for longer than its patience.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::Message;

/// A file of the page that is too large for one answer.
pub const LARGE_FILE: &str = "large.bin";
pub const LARGE_FILE_BYTES: usize = 200 * 1024;
/// Who fails so often in a row will not do better.
const FAILURES_MAX: u32 = 3;

/// Somebody who comes.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    /// Where the server listens.
    pub addresses: [SocketAddr; 2],
    /// Whether its page comes from disk, and has a large file.
    pub has_www: bool,
    /// How long each step may take.
    pub patience: Duration,
}

type Step = fn(&Visitor) -> Result<(), String>;

/// All steps, each with its name.
const STEPS: [(&str, Step); 12] = [
    ("the page", |visitor| visitor.get("/", 200).map(drop)),
    ("an icon of the page", |visitor| {
        visitor.get(if visitor.has_www { "/more.txt" } else { "/icon.svg" }, 200).map(drop)
    }),
    ("what is not there", |visitor| visitor.get("/nothing", 404).map(drop)),
    ("a file", Visitor::get_large),
    ("a WebSocket", |visitor| visitor.speak(false)),
    ("foghorn.v1", |visitor| visitor.speak(true)),
    ("a post", |visitor| visitor.ask("POST", "/c/torture", b"posted", 200).map(drop)),
    ("the last message", Visitor::get_last),
    ("a stream", |visitor| visitor.get("/c/torture?as=lines&history=1&count=1", 200).map(drop)),
    ("/status", |visitor| visitor.get("/status", 200).map(drop)),
    ("/metrics", |visitor| visitor.get("/metrics", 200).map(drop)),
    ("a deletion", |visitor| visitor.ask("DELETE", "/c/torture", b"", 200).map(drop)),
];

impl Visitor {
    /// Wants all, and gets it.
    ///
    /// # Errors
    /// What it did not get.
    pub fn visit(&self) -> Result<(), String> {
        STEPS.iter().try_for_each(|(what, step)| step(self).map_err(|error| format!("{what}: {error}")))
    }

    /// Wants all, and takes what it gets.
    pub fn look_around(&self) {
        let mut failures = 0;
        for (_, step) in STEPS {
            failures = if step(self).is_ok() { 0 } else { failures + 1 };
            if failures == FAILURES_MAX {
                return;
            }
        }
    }

    /// Whether anybody answers.
    ///
    /// # Errors
    /// If not.
    pub fn knock(&self) -> Result<(), String> {
        self.get("/status", 200).map(drop)
    }

    /// The same, by somebody with another patience.
    ///
    /// # Errors
    /// If not.
    pub fn knock_soon(&self, patience: Duration) -> Result<(), String> {
        Self { patience, ..*self }.knock()
    }

    fn connect(&self, address: SocketAddr) -> Result<TcpStream, String> {
        let connect = || {
            let socket = TcpStream::connect_timeout(&address, self.patience)?;
            socket.set_read_timeout(Some(self.patience))?;
            socket.set_write_timeout(Some(self.patience))?;
            Ok(socket)
        };
        connect().map_err(|error: std::io::Error| format!("no connection: {error}"))
    }

    fn get(&self, path: &str, status: u16) -> Result<Vec<u8>, String> {
        self.ask("GET", path, b"", status)
    }

    fn ask(&self, method: &str, path: &str, body: &[u8], status: u16) -> Result<Vec<u8>, String> {
        let [_, address] = self.addresses;
        let mut socket = self.connect(address)?;
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{length}\r\n");
        socket.write_all(&[head.as_bytes(), body].concat()).map_err(|error| format!("it takes nothing: {error}"))?;
        let mut answer = Vec::new();
        let deadline = Instant::now() + self.patience;
        let mut piece = [0; 16 * 1024];
        loop {
            match socket.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) => return Err(format!("no whole answer: {error}")),
            }
            if Instant::now() > deadline {
                return Err("no whole answer in time".to_owned());
            }
        }
        let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head of an answer")?;
        let head = String::from_utf8_lossy(&answer[..head_end]).into_owned();
        let its = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0);
        if its == status { Ok(answer.split_off(head_end + 4)) } else { Err(format!("{its}, not {status}")) }
    }

    fn get_large(&self) -> Result<(), String> {
        if !self.has_www {
            return self.get("/app.js", 200).map(drop);
        }
        let bytes = self.get(&format!("/{LARGE_FILE}"), 200)?.len();
        if bytes == LARGE_FILE_BYTES { Ok(()) } else { Err(format!("{bytes} bytes of {LARGE_FILE_BYTES}")) }
    }

    fn get_last(&self) -> Result<(), String> {
        let last = self.get("/c/torture?last", 200)?;
        if last == b"posted" { Ok(()) } else { Err(format!("{last:?} was not said last")) }
    }

    /// Joins, sends, and gets it back.
    fn speak(&self, counts: bool) -> Result<(), String> {
        let [address, _] = self.addresses;
        let socket = self.connect(address)?;
        let mut request =
            format!("ws://{address}/c/torture").into_client_request().map_err(|error| error.to_string())?;
        if counts {
            request.headers_mut().insert("Sec-WebSocket-Protocol", "foghorn.v1".parse().expect("a name"));
        }
        let joined = tungstenite::client::client(request, socket).map_err(|error| error.to_string());
        let (mut socket, _) = joined?;
        next(&mut socket)?;
        socket.send(Message::text("said")).map_err(|error| format!("it cannot be sent: {error}"))?;
        let deadline = Instant::now() + self.patience;
        while next(&mut socket)?.to_text().ok() != Some("said") {
            if Instant::now() > deadline {
                return Err("it does not come back".to_owned());
            }
        }
        // The server answers, and ends the connection.
        let _ = socket.close(None);
        while socket.read().is_ok() && Instant::now() < deadline {}
        Ok(())
    }
}

fn next(socket: &mut WebSocket<TcpStream>) -> Result<Message, String> {
    socket.read().map_err(|error| format!("nothing comes: {error}"))
}
