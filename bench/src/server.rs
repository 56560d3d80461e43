//! One server under measurement: started, waited for and ended.
//!
//! What it is and where its program lies is left to `peers`. What must stay true: a server that was started here ends
//! with its [`Server`], and the load is back on its own core before anything is measured.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Target;
use crate::cores::Cores;

/// A server that does not listen after this long will not.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How often a starting server is tried; it bounds the error of its start time.
const START_POLL: Duration = Duration::from_micros(200);

/// A running server; one that was started here ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub target: Target,
    /// From its start to the first connection that it let in, if it was started here.
    pub start: Option<Duration>,
    /// The server of the WebSockets, where it is another one.
    websockets: Option<Box<Server>>,
    /// The other board, where two share a Redis server.
    far: Option<Box<Server>>,
}

impl Server {
    /// Starts it with this command and waits until it listens there.
    pub fn start(name: &str, mut command: Command, target: Target, cores: &Cores) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("BENCH_SERVER_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        // A child inherits the cores of the thread that spawns it, threads of its runtime included.
        cores.pin_server()?;
        let spawned = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {name}"));
        cores.pin_load()?;
        let child = child?;
        let mut server = Self { pid: child.id(), child: Some(child), target, start: None, websockets: None, far: None };
        server.wait_until_listening(name, spawned)?;
        Ok(server)
    }

    /// A server that runs already, and goes on to.
    pub fn running(pid: u32, target: Target) -> Self {
        Self { child: None, pid, target, start: None, websockets: None, far: None }
    }

    /// The same with its WebSockets on another server, which is measured with it by loads that need both.
    #[must_use]
    pub fn with_websockets(mut self, websockets: Self) -> Self {
        self.websockets = Some(Box::new(websockets));
        self
    }

    /// The same with another board, which delivers what is sent to this one.
    #[must_use]
    pub fn with_far(mut self, far: Self) -> Self {
        self.far = Some(Box::new(far));
        self
    }

    /// Where the other board listens, if there is one.
    pub fn far(&self) -> Option<&Target> {
        self.far.as_ref().map(|server| &server.target)
    }

    /// Where the WebSockets are.
    pub fn websockets(&self) -> &Target {
        self.websockets.as_ref().map_or(&self.target, |server| &server.target)
    }

    /// Its process, and those of its WebSockets and of the other board where there are such.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        let others = [&self.websockets, &self.far].map(|server| server.as_ref().map(|server| server.pid));
        [Some(self.pid)].into_iter().chain(others).flatten()
    }

    fn wait_until_listening(&mut self, name: &str, spawned: Instant) -> Result<()> {
        while spawned.elapsed() < START_PATIENCE {
            match TcpStream::connect_timeout(&self.target.addr, Duration::from_secs(1)) {
                Ok(_) => {
                    self.start = Some(spawned.elapsed());
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(e) => return Err(e).with_context(|| format!("cannot connect to {name}")),
            }
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                bail!("{name} ended at once ({status}); BENCH_SERVER_LOG=1 shows what it says");
            }
            std::thread::sleep(START_POLL);
        }
        bail!("{name} does not listen {} s after its start", START_PATIENCE.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Killed, not asked: nothing of it is needed any more, and some drain for seconds.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
