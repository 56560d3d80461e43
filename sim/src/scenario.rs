//! All that the seed has decided before anything runs.
//!
//! Leaves what an actor does to its own chance, which comes from the seed and its number. What must stay true: leaving an actor or a kind of
//! fault out changes no plan of another.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::settings::Config;

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it was made from.
    pub seed: u64,
    /// How long it goes on, in simulated time.
    pub lasts: Duration,
    /// The settings of the server, the same in each life.
    pub config: Config,
    /// What `--state` is.
    pub state: State,
    /// Who comes; the index is the actor's id.
    pub crowd: Vec<Role>,
    /// What goes wrong, and how often.
    pub faults: Faults,
}

/// What `--state` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none: each life begins with nothing.
    Off,
    /// A folder in memory.
    InMemory,
    /// A folder as on a disk: a worker writes, after a while.
    OnDisk,
}

/// What an actor is. What it does in detail its own chance decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A WebSocket with `foghorn.v1`, which resumes, replaces, sends and listens.
    Member,
    /// A WebSocket that only answers pings.
    Idle,
    /// A WebSocket that asks for nothing.
    Plain,
    /// A stream over HTTP.
    Reader,
    /// Posts messages.
    Poster,
    /// `?last`, `?status`, `OPTIONS`, `HEAD`, and now and then `DELETE`.
    Looker,
    /// Breaks the protocol.
    Vandal,
}

/// What goes wrong. Each mean is the simulated time between two of a kind; `None` is never.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The server is killed.
    pub kills: Option<Duration>,
    /// One of so many steps of `--state` is where a kill happens, an append being written in part.
    pub torn_steps: Option<u32>,
    /// The server is stopped in order, and started again.
    pub stops: Option<Duration>,
    /// The machine is started anew.
    pub reboots: Option<Duration>,
    /// The disk is full, or gives errors, for a while.
    pub disk_errors: Option<Duration>,
    /// A connection is reset by the network.
    pub resets: Option<Duration>,
    /// A connection's network goes away, and nobody is told.
    pub vanishings: Option<Duration>,
    /// Nothing passes a connection for a while.
    pub stalls: Option<Duration>,
    /// The clock of the day jumps.
    pub clock_jumps: Option<Duration>,
    /// The machine is suspended: one clock goes on, the other does not.
    pub suspends: Option<Duration>,
    /// `accept(2)` fails.
    pub accept_errors: Option<Duration>,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(_seed: u64) -> Self {
        todo!("filled in with the world")
    }

    /// The chance of one actor.
    pub fn chance_of_actor(&self, id: usize) -> Rng {
        Rng::with_seed(mixed(self.seed, 0x0a00_0000 + id as u64))
    }
}

/// A seed from two numbers: near ones give far ones (the finalizer of splitmix64).
pub fn mixed(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
