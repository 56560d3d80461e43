//! A simulator: the real server, from `server::run::run` down, in one thread, over sockets, a clock, chance and a disk that a seed
//! decides, while clients hold all that they are told against a model. Hours pass in milliseconds, and a seed that fails replays exactly.
//!
//! ```sh
//! cargo run --release --manifest-path sim/Cargo.toml -- --seconds 60
//! ```
//!
//! Leaves all but the exit code and what is printed to its modules. What must stay true: the seed decides everything; nothing asks the machine's clock, or
//! iterates over what has no order, while a seed runs.

mod actor;
mod book;
mod clients;
mod codes;
mod memory;
mod net;
mod options;
mod panics;
mod scenario;
mod shrinking;
mod speed;
mod statistics;
mod talker;
mod turn;
mod voice;
mod world;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use options::{Cut, Options};
use statistics::Figures;
use world::course::{Outcome, run_scenario};

/// How long a seed that fails is made smaller.
const SHRINK_FOR: Duration = Duration::from_secs(60);
/// So many contradictions are enough, whatever was asked for.
const FOUND_MAX: usize = 50;

fn main() -> ExitCode {
    let options = match options::read(env::args().skip(1)) {
        Ok(options) => options,
        Err(sentence) => {
            eprintln!("foghorn-sim: {sentence}");
            return ExitCode::from(2);
        }
    };
    if options.speed {
        return speed::measure();
    }
    if options.verbose {
        voice::speak();
    }
    let found = match options.seed {
        Some(seed) => usize::from(!replay(seed, &options)),
        None => run_many(&options),
    };
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed twice. Returns whether all was as it should be.
fn replay(seed: u64, options: &Options) -> bool {
    let began = Instant::now();
    let scenario = options.cut.of(seed);
    let outcome = run_scenario(&scenario, options.cut.only.as_deref());
    println!("{}", outcome.figures.line(began.elapsed()));
    println!("trace {:016x}", outcome.trace);
    if outcome.contradiction.is_none() {
        let again = run_scenario(&scenario, options.cut.only.as_deref());
        if again.trace != outcome.trace {
            println!("seed {seed}: a second run differs: {:016x}", again.trace);
            return false;
        }
        return true;
    }
    say(seed, &options.cut, outcome, options.no_shrink);
    false
}

/// Runs one seed after the other. Returns in how many something was seen that cannot be.
fn run_many(options: &Options) -> usize {
    let first = options.from.unwrap_or_else(|| fastrand::u64(..1 << 40));
    let end = options.count.map_or(u64::MAX, |count| first.saturating_add(count));
    println!("foghorn-sim: seeds from {first} on, for {} s at most", options.seconds);
    let (began, mut figures, mut found) = (Instant::now(), Figures::default(), 0);
    let mut seed = first;
    while seed < end && began.elapsed() < Duration::from_secs(options.seconds) {
        let outcome = run_scenario(&options.cut.of(seed), options.cut.only.as_deref());
        figures.add(&outcome.figures);
        if outcome.contradiction.is_some() {
            found += 1;
            say(seed, &options.cut, outcome, options.no_shrink);
            if !options.keep_going || found >= FOUND_MAX {
                break;
            }
        }
        seed += 1;
    }
    println!("foghorn-sim: {}", figures.line(began.elapsed()));
    found
}

fn say(seed: u64, cut: &Cut, outcome: Outcome, no_shrink: bool) {
    let what = outcome.contradiction.clone().unwrap_or_default();
    println!("\nseed {seed}: {what}");
    if no_shrink {
        return;
    }
    let (cut, outcome) = shrinking::shrink(seed, cut, outcome, SHRINK_FOR);
    println!("    made smaller: {}", outcome.contradiction.unwrap_or_default());
    println!("    with {}", outcome.who.join("; "));
    println!("    make sim SIM_SEED='{seed}{}'", cut.words());
}
