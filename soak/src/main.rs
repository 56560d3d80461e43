//! A soak test of the real binary: hundreds of clients that join, leave, stall, trickle, flap, break off and send nonsense,
//! while a few honest ones check that they get every message once and in order.
//!
//! ```sh
//! cargo run --release --manifest-path soak/Cargo.toml -- --seconds 30     # FOGHORN_BIN names another binary
//! ```
//!
//! Two rounds: the first warms the server up, the second is measured against it. After each, everybody leaves, and memory,
//! descriptors and threads have to come back to where they were; nothing may have panicked; at the end the server
//! has to stop in order. Exit code 1 with one sentence if something is not so.

mod crowd;
mod honest;
mod server;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, thread};

use server::{Figures, Server};

/// How much more memory than after the first round may be in use after the second. What the allocator keeps in
/// another order is a few hundred KiB; a leak of 1 KiB for each client would be tens of MiB.
const GROWTH_KIB_MAX: u64 = 4 * 1024;
/// The most memory at any time. The formula of docs/reference.md, with this backlog, these clients, and a few MiB of messages in the
/// making.
const PEAK_KIB_MAX: u64 = 64 * 1024;
/// How many more threads than after the first round there may be: tiny_http keeps from one to four, as it happens.
const GROWTH_THREADS_MAX: u64 = 4;
/// How long nothing may change before it counts as being at rest: tiny_http ends threads that were idle for 5 s.
const REST_TIME: Duration = Duration::from_secs(7);
/// How long it may take until everything is back where it was. The kernel remembers for a minute who has closed a stream of lines in
/// order, and answers for it; where nobody says anything more, the server learns of it only then.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);

struct Options {
    seconds: u64,
    crowd: usize,
    seed: u64,
    bin: PathBuf,
}

fn main() -> ExitCode {
    match options().and_then(|options| soak(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nfoghorn-soak: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let bin = env::var_os("FOGHORN_BIN").map_or_else(|| here.join("../target/release/foghorn"), PathBuf::from);
    let mut options = Options { seconds: 30, crowd: 300, seed: fastrand::u64(..), bin };
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number = value.parse().map_err(|_| format!("{flag} {value}: that is no number"))?;
        match &*flag {
            "--seconds" => options.seconds = number,
            "--clients" => options.crowd = usize::try_from(number).map_err(|error| error.to_string())?,
            "--seed" => options.seed = number,
            _ => return Err(format!("{flag} is not known; there are --seconds, --clients and --seed")),
        }
    }
    Ok(options)
}

fn soak(options: &Options) -> Result<(), String> {
    let server = Server::start(&options.bin)?;
    println!("seed {} · {} clients · {} s", options.seed, options.crowd, options.seconds);
    let seconds = options.seconds.max(3);
    let mut rng = fastrand::Rng::with_seed(options.seed);
    server.fill_backlog()?;

    round(&server, options.crowd, Duration::from_secs(seconds / 3), &mut rng)?;
    let before = settle(&server, None)?;
    let done = round(&server, options.crowd, Duration::from_secs(seconds - seconds / 3), &mut rng)?;
    let after = settle(&server, Some(before))?;

    let peak_kib = server.peak_kib()?;
    print_table(&done, before, peak_kib, after, &server.status()?);
    if peak_kib > PEAK_KIB_MAX {
        return Err(format!("the server has used {peak_kib} KiB, and {PEAK_KIB_MAX} are allowed"));
    }
    server.stop()
}

/// What was done how often, and what the honest have seen.
struct Done {
    scenes: BTreeMap<&'static str, u64>,
    seen: honest::Seen,
}

/// The crowd does its worst for a while, and the honest work; then the crowd goes, and the honest take what is theirs.
fn round(server: &Server, clients: usize, time: Duration, rng: &mut fastrand::Rng) -> Result<Done, String> {
    let crowd_goes = AtomicBool::new(false);
    let until = Instant::now() + time;
    let (crowd_rng, honest_rng) = (rng.fork(), rng.fork());
    let (scenes, seen) = thread::scope(|scope| {
        let crowd = scope.spawn(|| crowd::run(server.address, clients, &crowd_goes, crowd_rng));
        let seen = honest::run(server, until, honest_rng);
        crowd_goes.store(true, Relaxed);
        (crowd.join(), seen)
    });
    let scenes = scenes.map_err(|_| "the crowd has panicked; that is a fault of the soak test".to_owned())?;
    let seen = seen.and_then(|seen| server.check_alive().map(|()| seen)).map_err(|sentence| {
        let last = server.last_lines();
        format!("{sentence}\nthe server's last lines:\n{last}")
    })?;
    Ok(Done { scenes, seen })
}

/// Waits until everybody has gone and the server holds no more than `before`; the first time, when nobody knows where it
/// will come to rest, until it holds the same for a while.
fn settle(server: &Server, before: Option<Figures>) -> Result<Figures, String> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let mut clients = server.status()?["clients"].as_u64();
    let (mut last, mut unchanged_since) = (server.figures()?, Instant::now());
    loop {
        thread::sleep(Duration::from_millis(200));
        server.check_alive()?;
        // Only until all have gone: each request keeps threads of tiny_http awake.
        if clients != Some(0) {
            clients = server.status()?["clients"].as_u64();
        }
        let figures = server.figures()?;
        if figures.descriptors != last.descriptors || figures.threads != last.threads {
            unchanged_since = Instant::now();
        }
        last = figures;
        let is_back = before.map_or(unchanged_since.elapsed() > REST_TIME, |before| {
            figures.descriptors <= before.descriptors
                && figures.threads <= before.threads + GROWTH_THREADS_MAX
                && figures.memory_kib <= before.memory_kib + GROWTH_KIB_MAX
        });
        if clients == Some(0) && is_back {
            return Ok(figures);
        }
        if Instant::now() > deadline {
            return Err(format!(
                "{} s after the last client has left there are {clients:?} clients and {figures:?}, where there were {before:?}",
                SETTLE_TIMEOUT.as_secs()
            ));
        }
    }
}

fn print_table(done: &Done, before: Figures, peak_kib: u64, after: Figures, status: &serde_json::Value) {
    println!("\nwhat the crowd did            times");
    for (scene, times) in &done.scenes {
        println!("  {scene:26} {times:>6}");
    }
    let honest::Seen { sent, checked, resumed, pages, slowest_message, slowest_page } = &done.seen;
    println!("\nwhat the honest saw");
    println!("  messages sent              {sent:>9}");
    println!("  deliveries checked         {checked:>9}");
    println!("  resumed without a gap      {resumed:>9}");
    println!("  pages loaded               {pages:>9}");
    println!("  slowest message         {:>9} ms", slowest_message.as_millis());
    println!("  slowest page            {:>9} ms", slowest_page.as_millis());
    println!("\nthe server                   before      peak     after");
    println!("  memory, KiB              {:>8}  {peak_kib:>8}  {:>8}", before.memory_kib, after.memory_kib);
    println!("  descriptors              {:>8}            {:>8}", before.descriptors, after.descriptors);
    println!("  threads                  {:>8}            {:>8}", before.threads, after.threads);
    println!("  ended for    {}", counts(&status["closed"]));
    println!("  refused with {}", counts(&status["refused"]));
    let figure = |name: &str| status[name].as_u64().unwrap_or_default();
    println!(
        "  {} clients in all, {} at a time, {} messages, {} deliveries, {} pending dropped",
        figure("clientsTotal"),
        figure("clientsPeak"),
        figure("messages"),
        figure("deliveries"),
        figure("pendingDropped")
    );
}

/// The counters that are not zero.
fn counts(map: &serde_json::Value) -> String {
    let all = map.as_object().into_iter().flatten();
    let counted = all.filter(|(_, count)| count.as_u64() != Some(0)).map(|(name, count)| format!("{name} {count}"));
    counted.collect::<Vec<_>>().join(", ")
}
