//! All that the seed has decided before anything runs.
//!
//! Leaves what an actor does to its own chance, which comes from the seed and its number. What must stay true: leaving an actor or a kind of
//! fault out changes no plan of another.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::settings::{CodeSettings, Config, Limits};
use log::LevelFilter;

use crate::book::CHANNELS;
use crate::codes::Codes;

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it was made from.
    pub seed: u64,
    /// Many talk at once, in few channels.
    pub is_busy: bool,
    /// How long it goes on, in simulated time.
    pub lasts: Duration,
    /// The settings of the server, the same in each life.
    pub config: Config,
    /// The codes that channels need.
    pub codes: Codes,
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
    /// Tries codes, where there are any.
    Guesser,
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

/// The longest scenario, but for its end.
const LONGEST: Duration = Duration::from_secs(1200);
/// One of so many is a busy one.
const BUSY_ONE_IN: u32 = 12;
/// In one of so many channels need codes.
const CODES_ONE_IN: u32 = 8;

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let is_busy = Rng::with_seed(mixed(seed, 0xb057)).u32(..BUSY_ONE_IN) == 0;
        let scenario = if is_busy { Self::busy(seed) } else { Self::usual(seed) };
        let mut random = Rng::with_seed(mixed(seed, 0xc0de));
        if random.u32(..CODES_ONE_IN) == 0 { scenario.with_codes(&mut random) } else { scenario }
    }

    /// The same with codes, and some who try them in place of those who break rules, whom they would keep out.
    fn with_codes(mut self, random: &mut Rng) -> Self {
        (self.codes, self.config.codes) = Codes::draw(random);
        if !self.codes.are_any() {
            return self;
        }
        self.crowd.iter_mut().filter(|role| **role == Role::Vandal).for_each(|role| *role = Role::Guesser);
        self.crowd.extend([Role::Guesser; 3]);
        // 429 and 503 have no other reason then.
        let limits = &mut self.config.limits;
        (limits.clients_max, limits.clients_per_ip_max) = (100_000, None);
        limits.channels_max = limits.channels_max.max(CHANNELS.len());
        self
    }

    /// One in which many talk at once, whatever the seed would have.
    pub fn busy(seed: u64) -> Self {
        let chance = |what: u64| Rng::with_seed(mixed(seed, what));
        let mut scenario = Self::usual(seed);
        let mut random = chance(0xb5e0);
        scenario.is_busy = true;
        scenario.lasts = Duration::from_millis(random.u64(3_000..20_000));
        scenario.crowd = busy_crowd(&mut random);
        scenario.faults = faults(&mut chance(0xfa17), scenario.state, scenario.lasts);
        let limits = &mut scenario.config.limits;
        limits.backlog_bytes = [16 << 10, 256 << 10, 1 << 20, 4 << 20][random.usize(..4)];
        limits.message_bytes_max = limits.message_bytes_max.min(limits.backlog_bytes / 2);
        limits.clients_max = 4096;
        scenario
    }

    fn usual(seed: u64) -> Self {
        let chance = |what: u64| Rng::with_seed(mixed(seed, what));
        let mut random = chance(0x5ce0);
        let state = match random.u32(..10) {
            0..2 => State::Off,
            2..7 => State::InMemory,
            _ => State::OnDisk,
        };
        // As many short ones as long ones.
        let lasts = Duration::from_millis(1000 << random.u32(..10)) + Duration::from_millis(random.u64(..1000));
        let lasts = lasts.min(LONGEST);
        Self {
            seed,
            is_busy: false,
            lasts,
            config: config(&mut chance(0xc0f1)),
            codes: Codes::default(),
            state,
            crowd: crowd(&mut chance(0xc20d), lasts),
            faults: faults(&mut chance(0xfa17), state, lasts),
        }
    }

    /// The chance of one actor.
    pub fn chance_of_actor(&self, id: usize) -> Rng {
        Rng::with_seed(mixed(self.seed, 0x0a00_0000 + id as u64))
    }
}

fn config(random: &mut Rng) -> Config {
    // Small logs are where it gets tight, the default is what people have.
    let backlog_bytes = [2 << 10, 8 << 10, 64 << 10, 256 << 10, 4 << 20][random.usize(..5)];
    let channel_backlog_bytes = [2 << 10, 16 << 10, 128 << 10, 1 << 20][random.usize(..4)];
    let message_bytes_max = (backlog_bytes / 2).min([250, 1000, 16 << 10, 1 << 20][random.usize(..4)]);
    let patience = Duration::from_millis([50, 300, 2000, 2000, 10_000][random.usize(..5)]);
    let heartbeat = match random.u32(..6) {
        0 => None,
        1 => Some(Duration::from_millis(random.u64(500..3000))),
        2..4 => Some(Duration::from_secs(random.u64(3..20))),
        _ => Some(Duration::from_secs(25)),
    };
    Config {
        listen: Vec::new(),
        greeting: if random.u32(..4) == 0 { String::new() } else { "connected to WebSocket server".into() },
        echo: random.u32(..4) > 0,
        history: if random.bool() { 0 } else { random.u64(1..20) },
        www: None,
        list_folders: false,
        reload: false,
        state: None,
        redis: None,
        notice: None,
        allow_hosts: Vec::new(),
        allow_origins: Vec::new(),
        codes: CodeSettings::default(),
        log_level: LevelFilter::Debug,
        limits: Limits {
            message_bytes_max,
            backlog_bytes,
            channels_max: [1, 2, 4, 32, 32][random.usize(..5)],
            channel_backlog_bytes,
            patience,
            clients_max: if random.u32(..6) == 0 { random.usize(2..12) } else { 4096 },
            clients_per_ip_max: if random.u32(..6) == 0 { Some(random.usize(1..4)) } else { Some(256) },
            heartbeat,
        },
    }
}

fn crowd(random: &mut Rng, lasts: Duration) -> Vec<Role> {
    // Long scenarios with few, short ones with many, so that each seed costs about the same.
    let most = match lasts.as_secs() {
        0..30 => 60,
        30..120 => 30,
        _ => 8,
    };
    let weights: Vec<(Role, u32)> =
        [Role::Member, Role::Idle, Role::Plain, Role::Reader, Role::Poster, Role::Looker, Role::Vandal]
            .into_iter()
            .map(|role| (role, random.u32(..5)))
            .collect();
    let all: u32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut crowd = vec![Role::Member, Role::Member];
    for _ in 0..random.usize(1..most) {
        let mut place = random.u32(..all.max(1));
        let role = weights.iter().find(|(_, weight)| {
            let is_it = place < *weight;
            place = place.saturating_sub(*weight);
            is_it
        });
        crowd.push(role.map_or(Role::Member, |(role, _)| *role));
    }
    crowd
}

/// Mostly those who count, and some of each other kind.
fn busy_crowd(random: &mut Rng) -> Vec<Role> {
    const OTHERS: [Role; 8] =
        [Role::Plain, Role::Plain, Role::Plain, Role::Idle, Role::Reader, Role::Poster, Role::Looker, Role::Vandal];
    let count = random.usize(20..=60);
    let draw = |random: &mut Rng| if random.u8(..3) == 0 { OTHERS[random.usize(..OTHERS.len())] } else { Role::Member };
    (0..count).map(|_| draw(random)).collect()
}

fn faults(random: &mut Rng, state: State, lasts: Duration) -> Faults {
    let mut every = |one_in: u32, shortest: Duration| {
        // All are drawn, whether or not they happen.
        let (is_on, times) = (random.u32(..one_in) == 0, random.u32(1..12));
        is_on.then(|| (lasts / times).max(shortest))
    };
    let second = Duration::from_secs(1);
    Faults {
        kills: every(2, second),
        stops: every(3, 5 * second),
        reboots: every(5, 5 * second),
        disk_errors: every(5, 5 * second).filter(|_| state != State::Off),
        resets: every(2, second / 4),
        vanishings: every(3, second / 4),
        stalls: every(3, second / 4),
        clock_jumps: every(5, second),
        suspends: every(5, second),
        accept_errors: every(6, second),
        torn_steps: [None, None, Some(50), Some(400)][random.usize(..4)],
    }
}

/// A seed from two numbers: near ones give far ones (the finalizer of splitmix64).
pub fn mixed(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
