//! What a load is: its kind and all its sizes, as the command line takes them and the results keep them.
//!
//! How each kind is done to a server is left to `loads`. What must stay true: runs with equal loads can be compared, so
//! whatever size changes the figures is a field here.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::peers::Serves;
use crate::wire::PUBLISHERS_MAX;

/// What kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
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
    /// Warm requests of the page's files over kept connections: what one of them costs.
    PageRequests,
    /// Many phones that open the page at once and join.
    PageStorm,
    /// Receivers by event stream beside as many by WebSocket: what a delivery costs each way.
    Streams,
    /// Receivers by event stream that are there and do nothing: memory.
    IdleStreams,
    /// Posts over kept connections, received by WebSocket.
    Posts,
    /// Posts over a connection each, beside visits of the page.
    NewPosts,
    /// Many channels beside one with as many clients: what a delivery costs.
    Channels,
    /// Channels that come and go: memory.
    Forgotten,
    /// Two boards that share a Redis server; has a command of its own.
    #[value(skip)]
    Boards,
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
            Self::PageRequests => "page-requests",
            Self::PageStorm => "page-storm",
            Self::Streams => "streams",
            Self::IdleStreams => "idle-streams",
            Self::Posts => "posts",
            Self::NewPosts => "new-posts",
            Self::Channels => "channels",
            Self::Forgotten => "forgotten",
            Self::Boards => "boards",
        }
    }

    /// Whether a server of this sort can be asked for it.
    pub fn suits(self, serves: Serves) -> bool {
        match self {
            Self::Pages | Self::PageRequests => matches!(serves, Serves::Pages | Serves::Both),
            Self::PageStorm => matches!(serves, Serves::Both | Serves::Apart),
            Self::Streams | Self::IdleStreams | Self::Posts | Self::Channels => {
                matches!(serves, Serves::Hub | Serves::Both)
            }
            Self::Boards => matches!(serves, Serves::SocketIo | Serves::Both),
            Self::NewPosts | Self::Forgotten => serves == Serves::Both,
            _ => matches!(serves, Serves::Broadcasts | Serves::Hub | Serves::Both),
        }
    }
}

/// A load with all its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct Load {
    /// What kind of load
    pub kind: Kind,
    /// Clients; publishers are among them
    #[arg(long, default_value = "100", default_value_ifs([
        ("kind", "page-requests", Some("8")),
        ("kind", "page-storm", Some("500")),
        ("kind", "channels", Some("1024")),
    ]))]
    pub clients: usize,
    /// How long to measure, in seconds, after a short warm-up
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Size of a message; 1 MiB where the load is about big ones, 1 KiB where it is about what channels leave behind
    #[arg(long, default_value = "64", default_value_ifs([
        ("kind", "big", Some("1048576")),
        ("kind", "forgotten", Some("1024")),
    ]))]
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
    /// Channels that the clients share, or that come and go
    #[arg(long, default_value = "64", default_value_if("kind", "forgotten", Some("1000")))]
    #[serde(default)]
    pub channels: usize,
}

impl Load {
    /// A load of this kind with so many clients, and the usual sizes.
    pub fn new(kind: Kind, clients: usize, seconds: f64) -> Self {
        let payload_bytes = match kind {
            Kind::Big => 1 << 20,
            Kind::Forgotten => 1 << 10,
            _ => 64,
        };
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
            channels: if kind == Kind::Forgotten { 1000 } else { 64 },
        }
    }

    /// What tells it from other loads of a suite, in few words.
    pub fn label(&self) -> String {
        let what = match self.kind {
            Kind::Pages => "visitors",
            Kind::PageRequests => "connections",
            Kind::PageStorm => "phones",
            Kind::Streams => "receivers each way",
            Kind::Boards => "clients on each of two",
            Kind::NewPosts => return format!("{}, one after the other", self.kind.name()),
            Kind::Forgotten => return format!("{}, {} channels", self.kind.name(), self.channels),
            _ => "clients",
        };
        let extra = match self.kind {
            Kind::Paced => format!(", {} messages/s", self.rate_hz),
            Kind::Storm => format!(", {} phones", self.phones),
            Kind::Pipelined | Kind::Boards => format!(", {} publishers", self.publishers),
            Kind::Big => format!(", {} KiB messages", self.payload_bytes / 1024),
            Kind::Channels => format!(" in {} channels and in one", self.channels),
            _ => String::new(),
        };
        format!("{}, {} {what}{extra}", self.kind.name(), self.clients)
    }

    /// How long to measure.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// How long to warm up: a tenth of the measured time, and enough for a JIT to see the loop.
    pub fn warm_up(&self) -> Duration {
        self.duration().mul_f64(0.1).max(Duration::from_millis(100))
    }
}

fn publishers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|n| (1..=PUBLISHERS_MAX).contains(n));
    count.ok_or_else(|| format!("between 1 and {PUBLISHERS_MAX} publishers can be told apart"))
}
