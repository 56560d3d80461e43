//! Tables for people, made from the written results, so that they can be made anew without measuring anew.
//!
//! A figure of a table is the median of its rounds. A ratio is the median of the ratios within the rounds: the machine
//! is shared and its days differ, but in one round all servers have had the same weather.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::load::{Kind, Load};
use crate::outcome::{Figures, Outcome};
use crate::peers::PEERS;
use crate::plots;
use crate::results::{self, Results};
use crate::statistics::median;

/// A figure as a column.
struct Column {
    figure: &'static str,
    heading: &'static str,
    /// Divides the figure, for a larger unit.
    scale: f64,
    decimals: usize,
}

const fn column(figure: &'static str, heading: &'static str, scale: f64, decimals: usize) -> Column {
    Column { figure, heading, scale, decimals }
}

const USER: Column = column("user_us_per_delivery", "user µs/delivery", 1.0, 2);
const TOTAL: Column = column("total_us_per_delivery", "CPU µs/delivery", 1.0, 2);
const P50: Column = column("latency_p50_us", "p50 ms", 1e3, 2);
const P99: Column = column("latency_p99_us", "p99 ms", 1e3, 2);
const LONGEST: Column = column("latency_max_us", "longest ms", 1e3, 1);
const DELIVERIES: Column = column("deliveries_per_s", "deliveries/s (thousands)", 1e3, 0);
const CPU: Column = column("server_cpu_percent", "server's core %", 1.0, 0);
const HANDSHAKES: Column = column("handshakes_per_s", "handshakes/s", 1.0, 0);

const LOCKSTEP: &[Column] = &[TOTAL, USER, DELIVERIES, P50, P99];
const PIPELINED: &[Column] = &[DELIVERIES, TOTAL, USER, P50, P99, CPU];
const PACED: &[Column] = &[P99, P50, LONGEST, CPU];
const IDLE: &[Column] = &[
    column("kib_per_client", "KiB/client", 1.0, 2),
    column("empty_kib", "MiB without clients", 1024.0, 1),
    column("resident_kib", "MiB with all", 1024.0, 1),
    column("idle_cpu_us_per_s", "CPU µs per second", 1.0, 0),
    column("start_ms", "start to first connection ms", 1.0, 1),
];
const BIG: &[Column] =
    &[column("mib_per_s", "MiB/s", 1.0, 0), column("peak_growth_kib", "memory grows by MiB", 1024.0, 1), P99, TOTAL];
const CONNECT: &[Column] = &[
    HANDSHAKES,
    column("total_us_per_handshake", "CPU µs each", 1.0, 1),
    column("user_us_per_handshake", "user µs each", 1.0, 1),
];
const STORM: &[Column] = &[
    LONGEST,
    P99,
    column("calm_max_us", "longest ms before it", 1e3, 1),
    column("storm_ms", "all back after ms", 1.0, 0),
    HANDSHAKES,
];
const PAGES: &[Column] = &[
    column("visits_per_s", "visits/s", 1.0, 0),
    column("requests_per_s", "requests/s", 1.0, 0),
    column("total_us_per_visit", "CPU µs/visit", 1.0, 0),
    column("resident_kib", "resident MiB", 1024.0, 1),
];

const PAGE_REQUESTS: &[Column] = &[
    column("total_us_per_request", "CPU µs/request", 1.0, 1),
    column("total_us_per_page_request", "CPU µs for /", 1.0, 1),
    column("total_us_per_script_request", "CPU µs for /app.js", 1.0, 1),
    column("user_us_per_request", "user µs/request", 1.0, 1),
    column("requests_per_s", "requests/s", 1.0, 0),
];
const PAGE_STORM: &[Column] = &[
    column("slowest_phone_ms", "slowest phone ms", 1.0, 0),
    column("median_phone_ms", "median phone ms", 1.0, 0),
    column("server_cpu_ms", "CPU ms in all", 1.0, 0),
    column("peak_kib", "memory at its peak MiB", 1024.0, 1),
];

const BOARDS: &[Column] = &[
    column("messages_per_s", "messages/s on the far board", 1.0, 0),
    column("total_us_per_message", "CPU µs/message of both boards", 1.0, 1),
    column("redis_us_per_message", "of Redis", 1.0, 1),
    P50,
    P99,
    column("one_board_latency_p50_us", "p50 ms on one board", 1e3, 2),
    column("one_board_latency_p99_us", "p99 ms on one board", 1e3, 2),
    column("added_us", "µs added for one receiver", 1.0, 0),
    column("round_trip_us", "µs of a PING", 1.0, 0),
    column("added_round_trips", "round trips added", 1.0, 2),
];

const RATIO: Column = column("cost_ratio", "ratio", 1.0, 3);
const RATIO_LOW: Column = column("cost_ratio_lower_quartile", "quartile below", 1.0, 3);
const RATIO_HIGH: Column = column("cost_ratio_upper_quartile", "quartile above", 1.0, 3);

const STREAMS: &[Column] = &[
    column("stream_total_us_per_delivery", "CPU µs/delivery by event stream", 1.0, 2),
    column("websocket_total_us_per_delivery", "by WebSocket", 1.0, 2),
    RATIO,
    RATIO_LOW,
    RATIO_HIGH,
    column("stream_latency_p99_us", "p99 ms by event stream", 1e3, 2),
];
const POSTS: &[Column] =
    &[column("posts_per_s", "posts/s", 1.0, 0), P50, P99, column("answer_p99_us", "p99 of answers ms", 1e3, 2), TOTAL];
const NEW_POSTS: &[Column] = &[
    column("total_us_per_post", "CPU µs/post", 1.0, 1),
    column("total_us_per_page", "CPU µs/page", 1.0, 1),
    RATIO,
    RATIO_LOW,
    RATIO_HIGH,
];
const CHANNELS: &[Column] = &[
    column("channels_total_us_per_delivery", "CPU µs/delivery in channels", 1.0, 2),
    column("one_total_us_per_delivery", "in one", 1.0, 2),
    RATIO,
    RATIO_LOW,
    RATIO_HIGH,
];
const FORGOTTEN: &[Column] = &[
    column("growth_kib", "memory grows by KiB", 1.0, 0),
    column("resident_kib", "resident MiB", 1024.0, 1),
    column("total_us_per_channel", "CPU µs/channel", 1.0, 0),
];

/// How a kind of load is shown: its columns, the first of which is the one that ratios are about, and the server that
/// they are taken to.
fn layout(kind: Kind) -> (&'static [Column], &'static str) {
    match kind {
        Kind::Lockstep => (LOCKSTEP, "floor"),
        Kind::Pipelined => (PIPELINED, "ws7"),
        Kind::Paced => (PACED, "floor"),
        Kind::Idle => (IDLE, "ws7"),
        Kind::Big => (BIG, "floor"),
        Kind::Connect => (CONNECT, "floor"),
        Kind::Storm => (STORM, "floor"),
        Kind::Pages => (PAGES, "http-server"),
        Kind::PageRequests => (PAGE_REQUESTS, "nginx"),
        Kind::PageStorm => (PAGE_STORM, "node-pair"),
        Kind::Streams => (STREAMS, "nchan"),
        Kind::IdleStreams => (IDLE, "nchan"),
        Kind::Posts => (POSTS, "nchan"),
        Kind::NewPosts => (NEW_POSTS, "foghorn"),
        Kind::Channels => (CHANNELS, "nchan"),
        Kind::Forgotten => (FORGOTTEN, "foghorn"),
        Kind::Boards => (BOARDS, "socketio"),
    }
}

/// The figures of one run in one line, for the terminal.
pub fn brief(kind: Kind, figures: &Figures) -> String {
    if figures.contains_key("saturated") {
        return "cannot keep this rate".into();
    }
    let (columns, _) = layout(kind);
    let shown = columns.iter().filter_map(|c| Some(format!("{} {}", c.show(*figures.get(c.figure)?), c.heading)));
    shown.collect::<Vec<_>>().join(", ")
}

impl Column {
    fn show(&self, value: f64) -> String {
        format!("{:.*}", self.decimals, value / self.scale)
    }
}

/// Writes `TABLES.md` and the plots into the folder that holds the results.
pub fn write(folder: &Path) -> Result<()> {
    let results = results::read(folder)?;
    let outcomes: Vec<Outcome> = results.iter().flat_map(|r| r.outcomes.clone()).collect();
    let path = folder.join("TABLES.md");
    std::fs::write(&path, tables(&results, &outcomes)).with_context(|| format!("cannot write {}", path.display()))?;
    plots::draw_all(folder, &outcomes)
}

fn tables(results: &[Results], outcomes: &[Outcome]) -> String {
    let mut text = String::from("# Side by side\n\nMade by `foghorn-bench suite`; do not edit.\n");
    let mut machines: Vec<_> = results.iter().map(|r| r.machine.as_str()).collect();
    machines.dedup();
    let _ = writeln!(
        text,
        "Machine: {}. One core for the server, one for the load; figures are medians of the rounds, ratios are taken \
         within rounds. Every delivery was counted and its order checked; a void run has no figures.\n",
        machines.join("; ")
    );
    for peer in PEERS {
        let _ = writeln!(text, "- **{}**: {}", peer.name, peer.about);
    }
    let mut missing: Vec<_> = results.iter().flat_map(|r| &r.missing).collect();
    missing.sort();
    missing.dedup();
    for line in missing {
        let _ = writeln!(text, "- not measured: {line}");
    }
    for load in loads(outcomes) {
        table(&mut text, &load, outcomes);
    }
    text
}

/// The different loads, main ones and sweeps alike, in a readable order.
fn loads(outcomes: &[Outcome]) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    for outcome in outcomes {
        if !loads.contains(&outcome.load) {
            loads.push(outcome.load.clone());
        }
    }
    loads.sort_by(|a, b| {
        (a.kind, a.clients, a.channels).cmp(&(b.kind, b.clients, b.channels)).then(a.rate_hz.total_cmp(&b.rate_hz))
    });
    loads
}

fn table(text: &mut String, load: &Load, outcomes: &[Outcome]) {
    let (columns, reference) = layout(load.kind);
    let runs: Vec<&Outcome> = outcomes.iter().filter(|o| o.load == *load).collect();
    let mut headings: Vec<String> = columns.iter().map(|c| c.heading.to_owned()).collect();
    headings.push(format!("{} ÷ {reference}", headings[0]));
    let _ = writeln!(text, "\n## {}\n\n| server | {} |", load.label(), headings.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(headings.len()));
    let mut notes = Vec::new();
    for server in PEERS.iter().map(|peer| peer.name) {
        let own = || runs.iter().filter(|o| o.server == server);
        if own().count() == 0 {
            continue;
        }
        let figure = |c: &Column| median(own().filter_map(|o| o.figures.get(c.figure).copied())).map(|v| c.show(v));
        let mut cells: Vec<Option<String>> = columns.iter().map(figure).collect();
        cells.push(ratio(columns[0].figure, server, reference, &runs).map(|r| format!("{r:.2}")));
        let cells: Vec<String> = cells.into_iter().map(|c| c.unwrap_or("–".into())).collect();
        let _ = writeln!(text, "| {server} | {} |", cells.join(" | "));
        notes
            .extend(own().filter_map(|o| Some(format!("{server}, round {}: void, {}", o.round + 1, o.void.as_ref()?))));
        if own().any(|o| o.figures.contains_key("saturated")) {
            notes.push(format!("{server} cannot keep this rate."));
        }
    }
    for note in notes {
        let _ = writeln!(text, "\n{note}");
    }
}

fn ratio(figure: &str, server: &str, reference: &str, runs: &[&Outcome]) -> Option<f64> {
    let of = |name: &str, round: usize| {
        let run = runs.iter().find(|o| o.server == name && o.round == round)?;
        run.figures.get(figure).copied()
    };
    let rounds = runs.iter().map(|o| o.round).max()?;
    median((0..=rounds).filter_map(|round| Some(of(server, round)? / of(reference, round)?)))
}
