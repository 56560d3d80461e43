//! How fast it is: with clients that are busy, and with clients that are idle.
//!
//! Leaves what clients do to `talker`. What must stay true: it measures what it says, and each message that was sent has come to all.

use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::actor::Actor;
use crate::net::network::Network;
use crate::scenario::{Faults, Scenario, State};
use crate::talker::{Seen, Talker};
use crate::world::course::{Outcome, run_stage};
use crate::world::stage::Stage;

/// Clients at a time.
const CLIENTS: usize = 50;
/// How much faster than real time it has to be, with busy clients and with idle ones.
const RATIOS_MIN: [f64; 2] = [1_000.0, 100_000.0];

/// Measures both, and prints the ratios.
pub fn measure() -> ExitCode {
    let busy = measure_one("busy", Some(Duration::from_secs(1)), Duration::from_secs(1800));
    let idle = measure_one("idle", None, Duration::from_secs(30 * 86_400));
    if busy >= RATIOS_MIN[0] && idle >= RATIOS_MIN[1] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure_one(what: &str, every: Option<Duration>, lasts: Duration) -> f64 {
    let began = Instant::now();
    let (outcome, seen) = talk(&calm(1, lasts), CLIENTS, every);
    let took = began.elapsed();
    if let Some(contradiction) = &outcome.contradiction {
        println!("{what}: {contradiction}");
        return 0.0;
    }
    let (sent, got) = (seen.sent.get(), seen.got.get());
    let ratio = lasts.as_secs_f64() / took.as_secs_f64();
    let each = took.as_secs_f64() * 1e9 / (got.max(1) as f64);
    println!(
        "{what}: {ratio:.0} times real time; {sent} sent, {got} delivered, {each:.0} ns for each, {} waits",
        outcome.figures.waits
    );
    // Who leaves while the last are under way does not get them.
    if got + 2 * (CLIENTS * CLIENTS) as u64 > sent * CLIENTS as u64 { ratio } else { 0.0 }
}

/// A scenario in which nothing goes wrong, with the settings that people have.
pub fn calm(seed: u64, lasts: Duration) -> Scenario {
    let mut scenario = Scenario::of(seed);
    scenario.lasts = lasts;
    scenario.state = State::Off;
    scenario.faults = Faults::default();
    scenario.config.echo = true;
    scenario.config.history = 0;
    let limits = &mut scenario.config.limits;
    limits.heartbeat = Some(Duration::from_secs(25));
    limits.patience = Duration::from_secs(2);
    limits.clients_max = 4096;
    limits.clients_per_ip_max = None;
    limits.backlog_bytes = 4 << 20;
    limits.message_bytes_max = 1 << 20;
    scenario
}

/// Runs talkers in a scenario.
pub fn talk(scenario: &Scenario, clients: usize, every: Option<Duration>) -> (Outcome, Rc<Seen>) {
    let network = Network::new(scenario.seed);
    let seen = Rc::<Seen>::default();
    let talkers =
        (0..clients).map(|_| Box::new(Talker::new(every, b"a message of some thirty bytes", &seen)) as Box<dyn Actor>);
    let stage = Stage::of(scenario, talkers.collect(), &network);
    (run_stage(scenario, network, stage), seen)
}
