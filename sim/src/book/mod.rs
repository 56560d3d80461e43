//! What the world knows: the model against which all that clients are told is held.

use std::time::Duration;

use crate::scenario::Scenario;

/// What the world knows.
#[derive(Debug)]
pub struct Book {
    /// Contradictions: first what kind, then a colon and the rest. The run ends with the first.
    pub found: Vec<String>,
    /// Messages that clients were given.
    pub deliveries: u64,
}

/// One life of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// 0 is the first.
    pub number: u64,
    /// When it began, in simulated time.
    pub began: Duration,
    /// The number of the machine's start that it is in.
    pub boot: u64,
}

/// How a life has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At once, wherever it was.
    Killed,
    /// It was told to stop, and has drained.
    Stopped,
    /// The machine was started anew, the files being what they were; behind a stop in order, or with a kill.
    Reboot {
        /// Whether the server was stopped in order.
        was_in_order: bool,
    },
    /// The machine was started anew, and the files are gone.
    DiskLost,
}

impl Book {
    /// A book in which nothing stands yet.
    pub fn new(_scenario: &Scenario) -> Self {
        Self { found: Vec::new(), deliveries: 0 }
    }

    /// A life begins.
    pub fn life_begins(&mut self, _life: &Life) {}

    /// A life has ended.
    pub fn life_ends(&mut self, _end: End) {}

    /// The server is told to stop in order from now on: clients may be closed with 1001 or refused.
    pub fn stop_begins(&mut self) {}

    /// The disk of `--state` fails from now on, or does no more. Channels may lose what is kept, and begin a new epoch.
    pub fn disk_fails(&mut self, _fails: bool) {}

    /// Everybody has left, all that was under way has arrived, and the server has come to rest.
    pub fn at_rest(&mut self, _now: Duration) {}

    /// The last checks, at the end.
    pub fn close(&mut self) {}

    /// Something was seen that cannot be: first what kind, then a colon and the rest.
    pub fn contradiction(&mut self, what: String) {
        self.found.push(what);
    }
}
