//! Two boards on one Redis server, for several kinds of servers in turns: throughput, latency, and what Redis adds to it.
//!
//! Messages are sent to one board and measured on the other. How, is left to `loads::contender`. What must stay true: all
//! kinds have the same clients, Redis and cores, and a ratio is taken within a turn only.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::cores::Cores;
use crate::fleet::Waiting;
use crate::load::{Kind, Load};
use crate::loads::contender::Contender;
use crate::outcome::{Figures, Outcome};
use crate::peers;
use crate::redis::Redis;
use crate::server::Server;
use crate::statistics::median;
use crate::{report, results, turns};

/// Turns of each kind: enough for quartiles.
const TURNS: usize = 10;

/// What to measure, and how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Clients on each of the two boards
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// How long to measure each kind of server with each of five loads, in seconds
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Size of a message
    #[arg(long, default_value_t = 64)]
    payload_bytes: usize,
    /// The kinds of servers, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "foghorn,socketio")]
    servers: Vec<String>,
    /// Where results and tables go, by default results/
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    cores: Cores,
}

/// Servers of one kind.
struct Kindred {
    /// Two that share Redis.
    boards: Server,
    /// One alone, without Redis.
    single: Server,
}

/// What came out of one kind.
#[derive(Default)]
struct Record {
    turns: Vec<Figures>,
    void: Option<String>,
}

/// One load on all kinds.
struct Part {
    kind: Kind,
    clients: usize,
    /// Which servers of a kind.
    servers: fn(&Kindred) -> &Server,
    /// What is kept of a slice.
    keep: fn(&Slice) -> Vec<(&'static str, f64)>,
}

/// What was measured in a slice.
struct Slice {
    figures: Figures,
    clients: f64,
    redis_us: f64,
}

/// Lets the kinds take turns; false if one is void.
pub fn run(options: &Options) -> Result<bool> {
    options.cores.pin_load()?;
    let mut redis = Redis::start(&options.cores)?;
    let mut kinds = Vec::new();
    for name in &options.servers {
        let peer = peers::find(name)?;
        kinds.push(Kindred {
            boards: peer.start_boards(&redis.url(), &options.cores)?,
            single: peer.start(&options.cores)?,
        });
    }
    let load =
        Load { payload_bytes: options.payload_bytes, ..Load::new(Kind::Boards, options.clients, options.seconds) };
    let mut records: Vec<Record> = kinds.iter().map(|_| Record::new()).collect();
    for (i, parts) in stages(load.clients).iter().enumerate() {
        stage(i, parts, &load, &kinds, &mut redis, &mut records)?;
    }
    records.iter_mut().for_each(Record::sum_up);
    print(&load, &options.servers, &records);
    save(options, &load, &records)?;
    Ok(records.iter().all(|record| record.void.is_none()))
}

/// The parts that are measured one beside the other, since a figure is made from both.
fn stages(clients: usize) -> [Vec<Part>; 3] {
    let part = |kind, clients, servers, keep| Part { kind, clients, servers, keep };
    let boards: fn(&Kindred) -> &Server = |kind| &kind.boards;
    let single: fn(&Kindred) -> &Server = |kind| &kind.single;
    [
        vec![part(Kind::Pipelined, clients, boards, Slice::throughput)],
        vec![
            part(Kind::Lockstep, clients, boards, |slice| slice.latencies(["latency_p50_us", "latency_p99_us"])),
            part(Kind::Lockstep, clients, single, |slice| {
                slice.latencies(["one_board_latency_p50_us", "one_board_latency_p99_us"])
            }),
        ],
        // One receiver, so that the others' deliveries are not in what Redis adds.
        vec![
            part(Kind::Lockstep, 1, boards, |slice| slice.latencies(["alone_latency_p50_us", "alone_latency_p99_us"])),
            part(Kind::Lockstep, 1, single, |slice| {
                slice.latencies(["one_board_alone_latency_p50_us", "one_board_alone_latency_p99_us"])
            }),
        ],
    ]
}

impl Slice {
    fn throughput(&self) -> Vec<(&'static str, f64)> {
        let messages = self.figures["deliveries"] / self.clients;
        vec![
            ("messages_per_s", self.figures["deliveries_per_s"] / self.clients),
            ("total_us_per_message", self.figures["total_us_per_delivery"] * self.clients),
            ("redis_us_per_message", self.redis_us / messages),
        ]
    }

    fn latencies(&self, names: [&'static str; 2]) -> Vec<(&'static str, f64)> {
        vec![(names[0], self.figures["latency_p50_us"]), (names[1], self.figures["latency_p99_us"])]
    }
}

/// All turns of these parts. A fault makes its kind void, and the others go on.
fn stage(
    number: usize,
    parts: &[Part],
    load: &Load,
    kinds: &[Kindred],
    redis: &mut Redis,
    records: &mut [Record],
) -> Result<()> {
    let slice = Duration::from_secs_f64(load.seconds / TURNS as f64);
    let mut contenders: Vec<Vec<Contender>> = Vec::new();
    for (kind, record) in kinds.iter().zip(&mut *records) {
        let all = parts.iter().map(|part| {
            let load =
                Load { kind: part.kind, clients: part.clients, publishers: publishers(part, load), ..load.clone() };
            Contender::new(&load, (part.servers)(kind), Waiting::Spin)
        });
        contenders.push(if record.void.is_some() { Vec::new() } else { record.unless_void(all.collect()) });
    }
    for turn in 0..TURNS {
        eprint!("\rpart {}, turn {} of {TURNS} ", number + 1, turn + 1);
        let _ = std::io::stderr().flush();
        for i in 0..kinds.len() {
            // Another one begins in each turn, so that nobody always follows the same neighbour.
            let i = (i + turn) % kinds.len();
            let kept = take_turn(&mut contenders[i], parts, slice, redis);
            let kept = records[i].unless_void(kept);
            records[i].turns[turn].extend(kept);
            if records[i].void.is_some() {
                contenders[i].clear();
            }
        }
        let round_trip_us = median(redis.round_trips_us(slice)?.into_iter()).unwrap_or(f64::NAN);
        for record in &mut *records {
            record.turns[turn].insert("round_trip_us".into(), round_trip_us);
        }
    }
    eprintln!();
    for (contenders, record) in contenders.into_iter().zip(records) {
        record.unless_void(contenders.into_iter().try_for_each(|contender| contender.finish().map(drop)));
    }
    Ok(())
}

fn take_turn(contenders: &mut [Contender], parts: &[Part], duration: Duration, redis: &Redis) -> Result<Figures> {
    let mut kept = Figures::new();
    for (contender, part) in contenders.iter_mut().zip(parts) {
        let before = redis.cpu()?;
        let figures = contender.slice(duration)?;
        let redis_us = redis.cpu()?.since(before).total_us();
        let slice = Slice { figures, clients: part.clients as f64, redis_us };
        kept.extend((part.keep)(&slice).into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(kept)
}

/// Publishers are clients.
fn publishers(part: &Part, load: &Load) -> usize {
    load.publishers.min(part.clients)
}

impl Record {
    fn new() -> Self {
        Self { turns: vec![Figures::new(); TURNS], void: None }
    }

    /// What came out; nothing, and a void record, of an error.
    fn unless_void<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.void.get_or_insert(format!("{error:#}"));
            T::default()
        })
    }

    /// What Redis adds to the latency of one receiver, in round trips to it.
    fn sum_up(&mut self) {
        if self.void.is_some() {
            self.turns = vec![Figures::new()];
            return;
        }
        for figures in &mut self.turns {
            let added_us = figures["alone_latency_p50_us"] - figures["one_board_alone_latency_p50_us"];
            let round_trips = added_us / figures["round_trip_us"];
            figures.extend([("added_us".into(), added_us), ("added_round_trips".into(), round_trips)]);
        }
    }
}

fn print(load: &Load, names: &[String], records: &[Record]) {
    let (mut shown, mut turns_of) = (Vec::new(), Vec::new());
    for (name, record) in names.iter().zip(records) {
        if let Some(why) = &record.void {
            println!("{name} is void: {why}");
        } else {
            shown.push(name.clone());
            turns_of.push(record.turns.clone());
        }
    }
    if !shown.is_empty() {
        println!("{}: medians of {TURNS} turns of {:.3} s for each", load.label(), load.seconds / TURNS as f64);
        println!("{}", turns::table(&shown, &turns_of));
    }
}

fn save(options: &Options, load: &Load, records: &[Record]) -> Result<()> {
    let mut outcomes = Vec::new();
    for (name, record) in options.servers.iter().zip(records) {
        outcomes.extend(record.turns.iter().enumerate().map(|(round, figures)| Outcome {
            server: name.clone(),
            load: load.clone(),
            round,
            figures: figures.clone(),
            void: record.void.clone(),
        }));
    }
    let folder = options.out.clone().unwrap_or_else(|| peers::bench_dir().join("results"));
    results::save(&folder, &[], &outcomes)?;
    report::write(&folder)?;
    eprintln!("written to {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Record {
        let figures =
            [("alone_latency_p50_us", 130.0), ("one_board_alone_latency_p50_us", 40.0), ("round_trip_us", 30.0)];
        let mut record = Record::new();
        record.turns.fill(figures.map(|(name, value)| (name.to_owned(), value)).into());
        record
    }

    #[test]
    fn what_redis_adds_is_counted_in_round_trips_to_it() {
        let mut record = measured();
        record.sum_up();
        assert_eq!(record.turns.len(), TURNS);
        assert!(record.turns.iter().all(|figures| (figures["added_round_trips"] - 3.0).abs() < 1e-9));
    }

    #[test]
    fn a_fault_leaves_no_figures() {
        let mut record = measured();
        let kept: Figures = record.unless_void(Err(anyhow::anyhow!("lost")));
        assert!(kept.is_empty());
        record.sum_up();
        assert_eq!((record.turns, record.void), (vec![Figures::new()], Some("lost".into())));
    }
}
