//! A server with `--state`, over its ends: the same socket, the same folder, one process after the other.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::launch::Launch;
use super::network::free_listener;
use super::server::Server;

/// Where a server keeps what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it writes in line.
    Memory,
    /// Where it leaves that to a thread.
    Disk,
}

impl Place {
    pub const ALL: [Self; 2] = [Self::Memory, Self::Disk];

    /// A folder there.
    pub fn folder(self) -> TempDir {
        let within = match self {
            Self::Memory => "/dev/shm",
            Self::Disk => env!("CARGO_TARGET_TMPDIR"),
        };
        tempfile::tempdir_in(within).expect("a temporary folder")
    }
}

/// A running server, which can end and go on.
pub struct Lasting {
    listener: TcpListener,
    folder: TempDir,
    args: Vec<String>,
    boot: String,
    server: Option<Server>,
}

impl Lasting {
    /// A server with these flags, and a folder of its own.
    pub fn start(place: Place, args: &[&str]) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        let mut lasting =
            Self { listener: free_listener(), folder: place.folder(), args, boot: "boot".to_owned(), server: None };
        lasting.go_on();
        lasting
    }

    /// The folder that it is given; it makes it itself.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A file in that folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// Ends it by a signal, such as `KILL`.
    pub fn end(&mut self, signal: &str) {
        let mut server = self.server.take().expect("it runs");
        server.signal(signal);
        let status = server.wait_for_exit();
        assert_eq!(status.success(), signal == "TERM", "{status}: {}", server.log());
    }

    /// Starts it after it was ended. Its socket was there all the time.
    pub fn go_on(&mut self) {
        assert!(self.server.is_none(), "it runs");
        self.server = Some(self.launch().expecting(1).start());
    }

    /// Ends it by a signal, and starts it again.
    pub fn restart(&mut self, signal: &str) {
        self.end(signal);
        self.go_on();
    }

    /// From now on it is another boot of the machine.
    pub fn boot_again(&mut self) {
        self.boot.push('+');
    }

    /// The same with other flags.
    pub fn with_flags(&mut self, args: &[&str]) {
        self.args = args.iter().map(ToString::to_string).collect();
    }

    /// Joins a channel as a client that counts, and returns the hello.
    pub fn resume(&self, path: &str) -> (Client, Value) {
        resume(self, path)
    }

    fn launch(&self) -> Launch {
        let listener = self.listener.try_clone().expect("a descriptor");
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        with_state(Launch::bare(&args), &self.state()).env("FOGHORN_BOOT_ID", &self.boot).hand_over(listener)
    }
}

impl Deref for Lasting {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }
}

/// A server that keeps what was said in this folder.
pub fn with_state(launch: Launch, folder: &Path) -> Launch {
    launch.arg("--state").arg(folder)
}

/// Joins a channel as a client that counts, and returns the hello.
pub fn resume(server: &Server, path: &str) -> (Client, Value) {
    let mut client = Client::connect(server.address());
    client.upgrade(server.address(), path, "Sec-WebSocket-Protocol: foghorn.v1\r\n");
    let hello = serde_json::from_str(&client.text()).expect("the hello is JSON");
    (client, hello)
}
