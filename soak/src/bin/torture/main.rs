//! Makes each system call of the real program fail, at its first, second, third … time, with each error that its manual page names for our use:
//! after each, the server serves the next visitor or has ended with a sentence and a code; it never spins, panics or ends without a word.
//!
//! ```sh
//! cargo run --release --manifest-path soak/Cargo.toml --bin torture                        # all cases; FOGHORN_BIN names another binary
//! cargo run --release --manifest-path soak/Cargo.toml --bin torture -- --seconds 60        # as many as that takes, by a seed
//! cargo run --release --manifest-path soak/Cargo.toml --bin torture -- --only accept4:EMFILE
//! ```
//!
//! Which calls there are is recorded first. The failures are made by `strace -e inject=`, which has to be able to trace here; where it cannot, this
//! fails. The seed repeats the order, and the name of a case the case.

mod calls;
mod case;
mod client_case;
mod folder;
mod plan;
#[cfg(test)]
mod planted;
mod recording;
mod server_case;
mod traced;
mod verdict;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};

use fastrand::Rng;

use case::{Case, From, Target};
use client_case::Client;
use folder::Folder;
use server_case::Server;
use traced::Traced;
use visit::Visitor;

/// How many cases run at a time: most of their time is waiting.
const WORKERS: usize = 8;
/// How long before the time is over the last cases begin.
const LAST_CASE: Duration = Duration::from_secs(20);
/// How many calls in a row of one kind fail in turn.
const OCCURRENCES: usize = 6;

struct Options {
    bin: PathBuf,
    seed: u64,
    seconds: Option<u64>,
    only: Option<String>,
    occurrences: usize,
}

/// What came of a case.
enum Outcome {
    Right,
    /// The call was not made that often.
    NotMet,
    /// What was made to fail cannot fail so.
    Impossible,
    Wrong(String),
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\ntorture: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let bin = env::var_os("FOGHORN_BIN").map_or_else(|| here.join("../target/release/foghorn"), PathBuf::from);
    let mut options = Options { bin, seed: fastrand::u64(..), seconds: None, only: None, occurrences: OCCURRENCES };
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{flag} {value}: that is no number"));
        match &*flag {
            "--seed" => options.seed = number()?,
            "--seconds" => options.seconds = Some(number()?),
            "--occurrences" => options.occurrences = usize::try_from(number()?).map_err(|error| error.to_string())?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("{flag} is not known; there are --seed, --seconds, --occurrences and --only")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    println!("seed {}", options.seed);
    let began = Instant::now();
    let counter = AtomicUsize::new(1);
    let next = || counter.fetch_add(1, Relaxed);
    // For the clients, and nothing of it fails.
    let mut hub = Server::start(&options.bin, Target::Memory, next(), None)?;
    if hub.wait_until_served(Visitor::knock, usize::MAX)?.is_some() {
        return Err(format!("a server of which nothing fails ends: {}", hub.traced.said()[1]));
    }
    let address = hub.address();
    let recorded = record(&options.bin, address, &next)?;
    let mut cases = plan::all(&recorded, options.occurrences)?;
    if let Some(only) = &options.only {
        cases.retain(|case| case.is_meant(only));
        if cases.is_empty() {
            return Err(format!("no case is meant by {only}"));
        }
    }
    plan::mix(&mut cases, &mut Rng::with_seed(options.seed));
    println!("{} cases, recorded in {} s", cases.len(), began.elapsed().as_secs());
    let outcomes = Mutex::new(Vec::new());
    let place = AtomicUsize::new(0);
    let is_over = || options.seconds.is_some_and(|seconds| began.elapsed() + LAST_CASE > Duration::from_secs(seconds));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(place.fetch_add(1, Relaxed)).filter(|_| !is_over()) {
                    let began = Instant::now();
                    let outcome = run_case(&options.bin, case, address, next());
                    if let Outcome::Wrong(story) = &outcome {
                        eprintln!("\n{case}: {story}");
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((case, outcome, began.elapsed()));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(options, &cases, &outcomes, began.elapsed())
}

fn record(bin: &Path, hub: SocketAddr, next: &(impl Fn() -> usize + Sync)) -> Result<Vec<plan::Recorded>, String> {
    let wanted = Target::ALL.iter().flat_map(|target| {
        let moments: &[From] = if target.is_server() { &[From::Start, From::Serving] } else { &[From::Start] };
        moments.iter().map(|from| (*target, *from))
    });
    thread::scope(|scope| {
        let recording = wanted.map(|(target, from)| {
            scope.spawn(move || match target {
                Target::Send | Target::Listen => client_case::record(bin, target, hub, next()),
                _ => server_case::record(bin, target, from, next()),
            })
        });
        let recording: Vec<_> = recording.collect();
        let recorded =
            recording.into_iter().map(|thread| thread.join().unwrap_or(Err("a recorder has panicked".into())));
        recorded.collect()
    })
}

fn run_case(bin: &Path, case: &Case, hub: SocketAddr, nth: usize) -> Outcome {
    let words = [format!("trace={}", case.call), case.injection()];
    if case.target.is_server() {
        let is_whole = case.from == From::Start;
        match Server::start(bin, case.target, nth, is_whole.then_some(&words[..])) {
            Ok(mut server) => {
                let result = server_case::run(&mut server, case, &words);
                judge(result, &mut server.traced, &mut server.folder)
            }
            Err(error) => Outcome::Wrong(error),
        }
    } else {
        match Client::start(bin, case.target, hub, nth, &words) {
            Ok(mut client) => {
                let result = client_case::run(&mut client, case);
                judge(result, &mut client.traced, &mut client.folder)
            }
            Err(error) => Outcome::Wrong(error),
        }
    }
}

fn judge(result: Result<(), String>, traced: &mut Traced, folder: &mut Folder) -> Outcome {
    let trace = traced.trace();
    let made = calls::failures(&trace);
    let is_impossible = made.iter().any(|line| calls::is_impossible(line));
    let story = match result {
        _ if is_impossible => return Outcome::Impossible,
        Ok(()) if made.is_empty() => return Outcome::NotMet,
        Ok(()) => return Outcome::Right,
        Err(story) => story,
    };
    let [_, stderr] = traced.said();
    let few =
        |lines: Vec<&str>| lines.iter().rev().take(12).rev().flat_map(|line| ["  ", line, "\n"]).collect::<String>();
    let (failed, said) = (few(made.iter().map(String::as_str).collect()), few(stderr.lines().collect()));
    let kept = folder.keep();
    Outcome::Wrong(format!(
        "{story}\nwhat failed last:\n{failed}what it said last:\n{said}its files are in {}",
        kept.display()
    ))
}

fn report(
    options: &Options,
    cases: &[Case],
    outcomes: &[(&Case, Outcome, Duration)],
    took: Duration,
) -> Result<(), String> {
    let count = |is_it: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, outcome, _)| is_it(outcome)).count();
    let wrong = count(|outcome| matches!(outcome, Outcome::Wrong(_)));
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, outcome, _) in outcomes {
        *met.entry(&case.call).or_default() += usize::from(matches!(outcome, Outcome::Right | Outcome::Wrong(_)));
    }
    let all: BTreeSet<&str> = cases.iter().map(|case| &*case.call).collect();
    println!("\ncalls: {}", met.iter().map(|(call, times)| format!("{call} {times}")).collect::<Vec<_>>().join(", "));
    println!("cases run            {:>6} of {} in {} s", outcomes.len(), cases.len(), took.as_secs());
    println!("  in order           {:>6}", count(|outcome| matches!(outcome, Outcome::Right)));
    println!("  wrong              {wrong:>6}");
    println!("  call not made      {:>6}", count(|outcome| matches!(outcome, Outcome::NotMet)));
    println!("  no real failure    {:>6}", count(|outcome| matches!(outcome, Outcome::Impossible)));
    println!("  calls that failed  {:>6} of {}", met.values().filter(|times| **times > 0).count(), all.len());
    if let Some((case, _, its)) = outcomes.iter().max_by_key(|(.., its)| *its) {
        println!("  the slowest        {:>6} s, {case}", its.as_secs());
    }
    if wrong > 0 {
        return Err(format!("{wrong} cases are wrong (seed {}); --only NAME runs one again", options.seed));
    }
    // Whatever chance has decided: something has failed.
    if count(|outcome| matches!(outcome, Outcome::Right)) == 0 {
        return Err("nothing was made to fail".to_owned());
    }
    Ok(())
}
