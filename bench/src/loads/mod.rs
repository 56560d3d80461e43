//! What is done to a server: one [`Load`] is one line of the suite, and gives one [`Outcome`].
//!
//! Each kind has a file of its own. What must stay true: a load that saw a message lost, doubled or reordered returns
//! an error, and its figures are never shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use duel::Contender;

use crate::fleet::{Fleet, Waiting};
use crate::peers::Server;
use crate::process::{self, CpuTime};
use crate::wire::PUBLISHERS_MAX;

mod arrivals;
mod duel;
mod idle;
mod lockstep;
mod paced;
mod pages;
mod pipelined;

/// What kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One publisher; the next message when all clients have the last one.
    Lockstep,
    /// Several publishers, each with a window of messages in flight.
    Pipelined,
    /// One publisher at a fixed rate, whatever the server makes of it.
    Paced,
    /// Clients that are there and do nothing: memory.
    Idle,
    /// Lock-step with large messages: throughput and peak memory.
    Big,
    /// Clients that come as fast as they are let in.
    Connect,
    /// Many phones that reconnect at once while a lock-step broadcast goes on.
    Storm,
    /// Page visits: a new connection, the page and its assets.
    Pages,
}

impl Kind {
    /// Its name in tables, files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lockstep => "lockstep",
            Self::Pipelined => "pipelined",
            Self::Paced => "paced",
            Self::Idle => "idle",
            Self::Big => "big",
            Self::Connect => "connect",
            Self::Storm => "storm",
            Self::Pages => "pages",
        }
    }
}

/// A load with all its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct Load {
    /// What kind of load
    pub kind: Kind,
    /// Clients; publishers are among them
    #[arg(long, default_value_t = 100)]
    pub clients: usize,
    /// How long to measure, in seconds, after a short warm-up
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Size of a message; 1 MiB where the load is about big ones
    #[arg(long, default_value = "64", default_value_if("kind", "big", Some("1048576")))]
    pub payload_bytes: usize,
    /// Publishers (pipelined)
    #[arg(long, default_value_t = 4, value_parser = publishers)]
    pub publishers: usize,
    /// Messages that each publisher may have in flight (pipelined)
    #[arg(long, default_value_t = 256)]
    pub window: u64,
    /// Messages that a publisher sends in one go (pipelined)
    #[arg(long, default_value_t = 16)]
    pub burst: u64,
    /// Messages per second (paced)
    #[arg(long, default_value_t = 100.0)]
    pub rate_hz: f64,
    /// Phones that reconnect at once (storm)
    #[arg(long, default_value_t = 2000)]
    pub phones: usize,
}

impl Load {
    /// A load of this kind with so many clients, and the usual sizes.
    pub fn new(kind: Kind, clients: usize, seconds: f64) -> Self {
        let payload_bytes = if kind == Kind::Big { 1 << 20 } else { 64 };
        Self {
            kind,
            clients,
            seconds,
            payload_bytes,
            publishers: 4,
            window: 256,
            burst: 16,
            rate_hz: 100.0,
            phones: 2000,
        }
    }

    /// What tells it from other loads of a suite, in few words.
    pub fn label(&self) -> String {
        let what = match self.kind {
            Kind::Pages => "visitors",
            _ => "clients",
        };
        let extra = match self.kind {
            Kind::Paced => format!(", {} messages/s", self.rate_hz),
            Kind::Storm => format!(", {} phones", self.phones),
            Kind::Pipelined => format!(", {} publishers", self.publishers),
            Kind::Big => format!(", {} KiB messages", self.payload_bytes / 1024),
            _ => String::new(),
        };
        format!("{}, {} {what}{extra}", self.kind.name(), self.clients)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// A tenth of the measured time, and enough for a JIT to see the loop.
    fn warm_up(&self) -> Duration {
        self.duration().mul_f64(0.1).max(Duration::from_millis(100))
    }

    /// Does this to the server.
    pub fn run(&self, server: &Server, waiting: Waiting) -> Result<Figures> {
        let fleet = Fleet::new(server.target.clone(), waiting)?;
        match self.kind {
            Kind::Lockstep => lockstep::run(self, server, fleet),
            Kind::Big => lockstep::run_big(self, server, fleet),
            Kind::Pipelined => pipelined::run(self, server, fleet),
            Kind::Paced => paced::run(self, server, fleet),
            Kind::Idle => idle::run(self, server, fleet),
            Kind::Connect => arrivals::connect(self, server, fleet),
            Kind::Storm => arrivals::storm(self, server, fleet),
            Kind::Pages => pages::run(self, server),
        }
    }
}

fn publishers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|n| (1..=PUBLISHERS_MAX).contains(n));
    count.ok_or_else(|| format!("between 1 and {PUBLISHERS_MAX} publishers can be told apart"))
}

/// What was measured, by a name that ends in its unit.
pub type Figures = BTreeMap<String, f64>;

/// One run of one load against one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The server's name in the table of peers.
    pub server: String,
    /// What was done to it.
    pub load: Load,
    /// In which round.
    pub round: usize,
    /// What was measured; empty for a void run.
    pub figures: Figures,
    /// Why the run is void, or the server could not be measured.
    pub void: Option<String>,
}

/// A stretch of time with what the server did in it.
#[derive(Debug)]
struct Window<'a> {
    server: &'a Server,
    began: Instant,
    cpu: CpuTime,
    delivered: u64,
}

impl<'a> Window<'a> {
    fn begin(server: &'a Server, fleet: &mut Fleet) -> Result<Self> {
        fleet.meter().forget_latencies();
        Ok(Self { server, delivered: fleet.meter().delivered(), cpu: CpuTime::of(server.pid)?, began: Instant::now() })
    }

    fn is_over(&self, load: &Load) -> bool {
        self.began.elapsed() >= load.duration()
    }

    /// Deliveries, latencies and what they cost.
    fn end(self, fleet: &mut Fleet) -> Result<Figures> {
        let elapsed_s = self.began.elapsed().as_secs_f64();
        let cpu = CpuTime::of(self.server.pid)?.since(self.cpu);
        let meter = fleet.meter();
        let delivered = (meter.delivered() - self.delivered) as f64;
        let figures = [
            ("deliveries", delivered),
            ("deliveries_per_s", delivered / elapsed_s),
            ("user_us_per_delivery", cpu.user_us() / delivered),
            ("total_us_per_delivery", cpu.total_us() / delivered),
            ("server_cpu_percent", cpu.total_us() / elapsed_s / 1e4),
        ];
        let mut figures: Figures = figures.map(|(name, value)| (name.into(), value)).into();
        figures.extend(latencies(fleet));
        Ok(figures)
    }
}

/// Latencies since they were last forgotten.
fn latencies(fleet: &mut Fleet) -> [(String, f64); 3] {
    let meter = fleet.meter();
    [
        ("latency_p50_us".into(), meter.latency_us(0.5)),
        ("latency_p99_us".into(), meter.latency_us(0.99)),
        ("latency_max_us".into(), meter.latency_max_us()),
    ]
}

/// Memory of the server before and after, settled.
fn settled_kib(server: &Server, fleet: &mut Fleet) -> Result<u64> {
    let (mut last, mut same) = (0, 0);
    // Until three looks in a row agree, but not longer than two seconds: some runtimes never quite settle.
    for _ in 0..40 {
        fleet.wait(Duration::from_millis(50))?;
        let now = process::resident_kib(server.pid)?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 3 {
            break;
        }
    }
    Ok(last)
}
