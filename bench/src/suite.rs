//! All loads against all servers: in rounds, and within a round each load goes to one server after the other.
//!
//! So what the machine does besides hits all servers alike, and ratios within a round stay good where absolute figures
//! do not. What must stay true: whatever is missing or void is said, in the results as well as on the terminal.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;

use crate::cores::Cores;
use crate::fleet::Waiting;
use crate::load::{Kind, Load};
use crate::outcome::{Figures, Outcome};
use crate::peers::{self, PEERS, Peer};
use crate::{loads, report, results};

/// In flight in all, in a pipelined load of the suite: enough for a hundred clients to keep a server busy, and not so
/// much that a slow one needs minutes for ten thousand.
const IN_FLIGHT_DELIVERIES: u64 = 400_000;

/// What of it all to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// One short round of the main loads, in about a minute
    #[arg(long)]
    quick: bool,
    /// Rounds of the main loads; sweeps get a third of them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only these kinds of load, comma-separated; results of others stay as they are
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Only these servers, comma-separated
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Without the sweeps over clients and rates that the plots are made from
    #[arg(long)]
    no_sweeps: bool,
    /// Where results, tables and plots go, by default results/ or, for a quick suite, target/quick/
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    cores: Cores,
}

/// A load of the suite, and in how many rounds it is done.
struct Item {
    load: Load,
    rounds: usize,
}

/// Does the suite; false if a run was void.
pub fn run(options: &Options) -> Result<bool> {
    let (servers, missing) = choose(options)?;
    for line in &missing {
        eprintln!("not measured: {line}");
    }
    options.cores.pin_load()?;
    let plan = plan(options);
    let mut outcomes = Vec::new();
    for round in 0..plan.iter().map(|item| item.rounds).max().unwrap_or(0) {
        for item in plan.iter().filter(|item| round < item.rounds) {
            for i in 0..servers.len() {
                // Another one begins in each round, so that nobody always follows the same neighbour.
                let peer = servers[(i + round) % servers.len()];
                if item.load.kind.suits(peer.serves) {
                    outcomes.push(measure(peer, &item.load, round, &options.cores));
                }
            }
        }
    }
    // A quick look must not replace what the long suite has found.
    let folder = if options.quick { "target/quick" } else { "results" };
    let folder = options.out.clone().unwrap_or_else(|| peers::bench_dir().join(folder));
    results::save(&folder, &missing, &outcomes)?;
    report::write(&folder)?;
    eprintln!("written to {}", folder.display());
    let void = outcomes.iter().filter(|o| o.void.is_some()).count();
    if void > 0 {
        eprintln!("{void} of {} runs are void; the tables name them", outcomes.len());
    }
    Ok(void == 0)
}

fn choose(options: &Options) -> Result<(Vec<&'static Peer>, Vec<String>)> {
    let mut chosen = Vec::new();
    for name in &options.servers {
        chosen.push(peers::find(name)?);
    }
    if chosen.is_empty() {
        chosen.extend(PEERS);
    }
    let missing: Vec<_> = chosen.iter().filter_map(|peer| peer.missing()).collect();
    chosen.retain(|peer| peer.missing().is_none());
    Ok((chosen, missing))
}

fn measure(peer: &Peer, load: &Load, round: usize, cores: &Cores) -> Outcome {
    eprint!("round {}: {}, {} … ", round + 1, load.label(), peer.name);
    let _ = std::io::stderr().flush();
    let result = peer.start(cores).and_then(|server| loads::run(load, &server, Waiting::Spin));
    let (figures, void) = match result {
        Ok(figures) => (figures, None),
        Err(error) => (Figures::new(), Some(format!("{error:#}"))),
    };
    match &void {
        Some(why) => eprintln!("void: {why}"),
        None => eprintln!("{}", report::brief(load.kind, &figures)),
    }
    Outcome { server: peer.name.into(), load: load.clone(), round, figures, void }
}

fn plan(options: &Options) -> Vec<Item> {
    let mut plan = Vec::new();
    let mut add = |load: Load, rounds: usize| {
        if options.only.is_empty() || options.only.contains(&load.kind) {
            plan.push(Item { load, rounds });
        }
    };
    if options.quick {
        add(Load::new(Kind::Lockstep, 100, 0.5), 1);
        add(pipelined(100, 0.5), 1);
        add(Load::new(Kind::Idle, 1000, 0.1), 1);
        add(Load::new(Kind::Big, 100, 0.5), 1);
        add(Load::new(Kind::Connect, 1000, 0.5), 1);
        add(Load::new(Kind::Pages, 8, 0.5), 1);
        add(Load::new(Kind::PageRequests, 8, 0.5), 1);
        add(page_storm(), 1);
        add(Load::new(Kind::Streams, 100, 0.5), 1);
        add(Load::new(Kind::IdleStreams, 1000, 0.1), 1);
        add(Load::new(Kind::Posts, 100, 0.5), 1);
        add(Load::new(Kind::NewPosts, 1, 0.5), 1);
        add(Load::new(Kind::Channels, 1024, 0.5), 1);
        return plan;
    }
    add(Load::new(Kind::Lockstep, 100, 3.0), options.rounds);
    add(Load::new(Kind::Lockstep, 2000, 3.0), options.rounds);
    add(pipelined(100, 3.0), options.rounds);
    add(Load::new(Kind::Idle, 5000, 1.0), options.rounds);
    add(Load::new(Kind::Big, 100, 2.0), options.rounds);
    add(Load::new(Kind::Connect, 5000, 2.0), options.rounds);
    // A storm takes some servers twenty seconds, and is not about a few percent.
    add(Load::new(Kind::Storm, 100, 1.0), options.rounds.min(3));
    add(Load::new(Kind::Pages, 8, 2.0), options.rounds);
    add(Load::new(Kind::PageRequests, 8, 2.0), options.rounds);
    add(page_storm(), options.rounds.min(3));
    add(Load::new(Kind::Streams, 100, 3.0), options.rounds);
    add(Load::new(Kind::IdleStreams, 1000, 1.0), options.rounds);
    add(Load::new(Kind::IdleStreams, 5000, 1.0), options.rounds);
    add(Load::new(Kind::Posts, 100, 3.0), options.rounds);
    add(Load::new(Kind::NewPosts, 1, 3.0), options.rounds);
    add(Load::new(Kind::Channels, 1024, 3.0), options.rounds);
    add(Load::new(Kind::Forgotten, 0, 0.0), options.rounds.min(3));
    if options.no_sweeps {
        return plan;
    }
    let sweep_rounds = options.rounds.div_ceil(3);
    for clients in [10, 30, 300, 1000, 3000, 10_000] {
        add(Load::new(Kind::Lockstep, clients, 1.0), sweep_rounds);
        add(pipelined(clients, 1.0), sweep_rounds);
    }
    for clients in [100, 1000, 10_000] {
        add(Load::new(Kind::Idle, clients, 0.1), sweep_rounds);
    }
    for clients in [10, 30, 300, 1000] {
        add(Load::new(Kind::Streams, clients, 1.0), sweep_rounds);
        add(Load::new(Kind::Posts, clients, 1.0), sweep_rounds);
    }
    for clients in [100, 10_000] {
        add(Load::new(Kind::IdleStreams, clients, 0.1), sweep_rounds);
    }
    for channels in [2, 8, 32] {
        add(Load { channels, ..Load::new(Kind::Channels, 1024, 1.0) }, sweep_rounds);
    }
    for rate_hz in [100.0, 300.0, 1000.0, 1500.0, 2000.0, 3000.0, 10_000.0, 30_000.0] {
        add(Load { rate_hz, ..Load::new(Kind::Paced, 100, 1.0) }, sweep_rounds);
    }
    plan
}

/// It is over when all phones have all, whatever time it is given.
fn page_storm() -> Load {
    Load::new(Kind::PageStorm, 500, 0.0)
}

fn pipelined(clients: usize, seconds: f64) -> Load {
    let usual = Load::new(Kind::Pipelined, clients, seconds);
    let window = IN_FLIGHT_DELIVERIES / (clients * usual.publishers) as u64;
    let window = window.clamp(usual.burst, usual.window);
    Load { window, ..usual }
}
