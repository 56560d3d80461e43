//! Kills the real server hundreds of times at random moments under load, and holds everything that anybody was told against everything that
//! anybody was told before: with `--state`, no message is lost, doubled, reordered or renumbered.
//!
//! ```sh
//! cargo run --release --manifest-path soak/Cargo.toml --bin kills -- --kills 200     # FOGHORN_BIN names another binary
//! ```
//!
//! Rounds of some kills, each with a folder of its own, now with logs so short that their segments turn often, now with the default ones. In each
//! round clients of all kinds work over all kills; then all is read, and the whole log is checked. Exit code 1 with the story of two facts
//! that contradict each other. The seed repeats what chance has decided, but not when what happened.

mod askers;
mod book;
mod channel;
mod crowd;
mod hub;
mod mark;
mod programs;
mod round;
mod rover;
mod streams;
mod talker;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use fastrand::Rng;
use rustix::process::Signal;
use soak::message::Name;
use soak::told::Who;
use soak::wire::{TIMEOUT, join, next};

use askers::Posted;
use book::Book;
use crowd::Report;
use hub::Hub;
use round::{CHANNELS, CHANNELS_MAX, DELETED, IN_USE, Round, Stage};

/// How long a kill that is aimed waits for its moment.
const AIM_MAX: Duration = Duration::from_millis(400);
/// How long a round lasts in which nobody is killed.
const CALM_ROUND: Duration = Duration::from_secs(4);
/// How long nothing may be delivered before it counts as standing still.
const STANDSTILL: Duration = Duration::from_secs(40);

struct Options {
    kills: u32,
    seed: u64,
    /// All rounds, and not every third.
    is_on_disk: bool,
    bin: PathBuf,
}

/// How the logs of a round are.
struct Sizes {
    flags: &'static [&'static str],
    /// The newer halves of the main channel and of another.
    half_bytes: [usize; 2],
    window: u64,
    unconfirmed_max: usize,
    /// Whether hardly anybody is there who has a connection with an id.
    is_quiet: bool,
    /// How many in one round.
    kills: u32,
}

const SIZES: [Sizes; 4] = [
    Sizes {
        flags: &["--backlog", "64KiB", "--channel-backlog", "32KiB"],
        half_bytes: [32 * 1024, 16 * 1024],
        window: 30,
        unconfirmed_max: 6,
        is_quiet: false,
        kills: 7,
    },
    Sizes {
        flags: &["--backlog", "32KiB", "--channel-backlog", "24KiB"],
        half_bytes: [16 * 1024, 12 * 1024],
        window: 20,
        unconfirmed_max: 4,
        is_quiet: true,
        kills: 7,
    },
    Sizes {
        flags: &[],
        half_bytes: [2 << 20, 512 * 1024],
        window: 1000,
        unconfirmed_max: 64,
        is_quiet: false,
        kills: 12,
    },
    Sizes {
        flags: &["--backlog", "256KiB", "--channel-backlog", "24KiB", "--heartbeat", "1s"],
        half_bytes: [128 * 1024, 12 * 1024],
        window: 20,
        unconfirmed_max: 4,
        is_quiet: false,
        kills: 30,
    },
];

/// What was done and seen.
#[derive(Default)]
struct Totals {
    kills: u32,
    signals: HashMap<&'static str, u32>,
    messages: u64,
    deliveries: u64,
    resumed: u64,
    answers: u64,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nkills: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let bin = env::var_os("FOGHORN_BIN").map_or_else(|| here.join("../target/release/foghorn"), PathBuf::from);
    let mut options = Options { kills: 200, seed: fastrand::u64(..), is_on_disk: false, bin };
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        if flag == "--disk" {
            options.is_on_disk = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{flag} {value}: that is no number"))?;
        match &*flag {
            "--kills" => options.kills = u32::try_from(number).map_err(|error| error.to_string())?,
            "--seed" => options.seed = number,
            _ => return Err(format!("{flag} is not known; there are --kills, --seed and --disk")),
        }
    }
    Ok(options)
}

/// A new folder for a round: in memory, where the server writes in line, or on the disk, where it does so in a thread.
fn folder(is_on_disk: bool, nth: usize) -> Result<PathBuf, String> {
    let parent = if is_on_disk {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target")
    } else {
        let runtime = || env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Some(PathBuf::from("/dev/shm"))
            .filter(|folder| folder.is_dir())
            .or_else(runtime)
            .ok_or("no folder in memory")?
    };
    let folder = parent.join(format!("foghorn-kills-{}-{nth}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn run(options: &Options) -> Result<(), String> {
    println!("seed {} · {} kills", options.seed, options.kills);
    let mut rng = Rng::with_seed(options.seed);
    let mut totals = Totals::default();
    let mut nth = 0;
    // Without kills, every kind of round once: to see whether this tool is right.
    while totals.kills < options.kills || options.kills == 0 && nth < SIZES.len() {
        let sizes = &SIZES[nth % SIZES.len()];
        let kills = (options.kills - totals.kills).min(sizes.kills);
        totals.kills += kills;
        // Every kind of round comes to either place.
        let is_on_disk = options.is_on_disk || nth % 3 == 1;
        let folder = folder(is_on_disk, nth)?;
        let began = Instant::now();
        round(options, &folder, sizes, kills, &mut rng.fork(), &mut totals).map_err(|sentence| {
            let seed = options.seed;
            format!("round {nth}: {sentence}\n(seed {seed}; the round's files are in {})", folder.display())
        })?;
        let (place, secs) = (if is_on_disk { "on the disk" } else { "in memory" }, began.elapsed().as_secs());
        println!("round {nth}: {kills} kills {place} in {secs} s, {} messages so far", totals.messages);
        let _ = fs::remove_dir_all(&folder);
        nth += 1;
    }
    let Totals { signals, messages, deliveries, resumed, answers, .. } = totals;
    println!("\nthe server was ended         {signals:?}");
    println!("  messages in its logs       {messages:>9}");
    println!("  deliveries checked         {deliveries:>9}");
    println!("  other answers checked      {answers:>9}");
    println!("  resumed without a gap      {resumed:>9}");
    Ok(())
}

fn round(
    options: &Options,
    folder: &Path,
    sizes: &Sizes,
    kills: u32,
    rng: &mut Rng,
    totals: &mut Totals,
) -> Result<(), String> {
    let flags = [
        &["--log-level", "warn", "--max-clients-per-ip", "0", "--max-clients", "200", "--max-channels", CHANNELS_MAX],
        sizes.flags,
    ]
    .concat();
    let mut hub = Hub::new(&options.bin, &flags, &folder.join("state"))?;
    let [main, other] = sizes.half_bytes;
    let mut half_bytes = [other; CHANNELS.len()];
    half_bytes[0] = main;
    let book = Book::new(&half_bytes, IN_USE, sizes.window);
    let round = Round::new(options.bin.clone(), hub.addresses()?, folder.to_owned(), book, sizes.unconfirmed_max);
    hub.start()?;
    let checked = thread::scope(|scope| {
        let round = &round;
        let clients: Vec<_> = crowd::clients(round, sizes.is_quiet, rng)
            .into_iter()
            .map(|client| {
                scope.spawn(move || {
                    client().inspect_err(|sentence| round.book.fail(sentence.clone())).unwrap_or_default()
                })
            })
            .collect();
        let driven = drive(&mut hub, round, kills, rng, totals);
        if let Err(sentence) = driven {
            round.book.fail(sentence);
        }
        round.enter(Stage::Over);
        let reports = clients.into_iter().map(|client| {
            client.join().unwrap_or_else(|_| {
                round.book.fail("a client has panicked; see above".to_owned());
                None
            })
        });
        let reports: Vec<_> = reports.flatten().collect();
        round.book.failure().map_or_else(|| check(round, &reports, totals), Err)
    });
    let stopped = checked.and_then(|()| {
        hub.signal(Signal::TERM)?;
        let status = hub.wait()?;
        if status.success() { Ok(()) } else { Err(format!("asked to stop, the server has ended with {status}")) }
    });
    stopped.map_err(|sentence| {
        format!("{sentence}\nthe server's files:\n{}its last lines:\n{}", hub.files(), hub.last_lines())
    })
}

/// Kills the server, again and again; then waits until all is confirmed and read.
fn drive(hub: &mut Hub, round: &Round, kills: u32, rng: &mut Rng, totals: &mut Totals) -> Result<(), String> {
    // The first kills may come before anybody has said anything.
    if kills == 0 {
        pass(hub, round, CALM_ROUND)?;
    }
    for _ in 0..kills {
        let pause = match rng.u8(..10) {
            // While it starts.
            0..2 => rng.u64(..15),
            2..5 => rng.u64(15..300),
            _ => rng.u64(300..1500),
        };
        pass(hub, round, Duration::from_millis(pause))?;
        // In the midst of a change of its files, which would hardly ever be met by chance.
        if rng.bool() && hub.wait_for_change(AIM_MAX) {
            *totals.signals.entry("aimed").or_default() += 1;
            let until = Instant::now() + Duration::from_micros(rng.u64(..300));
            while Instant::now() < until {}
        }
        let (name, signal) = match rng.u8(..10) {
            0 => ("TERM", Signal::TERM),
            1 => ("ABRT", Signal::ABORT),
            _ => ("KILL", Signal::KILL),
        };
        *totals.signals.entry(name).or_default() += 1;
        round.book.note_kill();
        hub.signal(signal)?;
        if signal == Signal::TERM && rng.u8(..4) == 0 {
            // In the midst of its end.
            thread::sleep(Duration::from_millis(rng.u64(..5)));
            // It may have ended already.
            let _ = hub.signal(Signal::KILL);
        }
        let status = hub.wait()?;
        // Only an end in order, which it was asked for, outlives the boot; before it listens to signals, SIGTERM kills it.
        if status.success() && rng.bool() {
            hub.boot_again();
        }
        hub.start()?;
    }
    pass(hub, round, Duration::from_millis(300))?;
    round.enter(Stage::Settling);
    wait(hub, round, "all is confirmed", || round.busy.load(Relaxed) == 0)?;
    for (channel, path) in CHANNELS.iter().enumerate().take(IN_USE) {
        let since = round.book.mark(channel);
        let hello = join(round.addresses[0], path, true, TIMEOUT).and_then(|mut socket| next(&mut socket));
        let not_let_in = || "in the end a client was not let in".to_owned();
        let hello = hello.map_err(|broken| broken.sentence().unwrap_or_else(not_let_in))?;
        let text = hello.to_text().map_err(|error| error.to_string())?;
        let hello: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("{text:?}: {error}"))?;
        let told = round.book.told(Who("the driver", 0), "the last hello");
        let epoch = hello["epoch"].as_str().unwrap_or_default();
        round.book.head(channel, epoch, hello["head"].as_u64().unwrap_or_default(), &since, told)?;
    }
    wait(hub, round, "all is read", || round.book.is_read())
}

/// Lets a time pass, unless something is wrong.
fn pass(hub: &mut Hub, round: &Round, time: Duration) -> Result<(), String> {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if round.book.is_over() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(20)));
    }
    hub.check_alive()
}

/// Waits for a condition, as long as anything is delivered.
fn wait(hub: &mut Hub, round: &Round, what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let (mut deliveries, mut since) = (0, Instant::now());
    while !condition() && !round.book.is_over() {
        thread::sleep(Duration::from_millis(5));
        hub.check_alive()?;
        let now = round.book.deliveries.load(Relaxed);
        if now != deliveries {
            (deliveries, since) = (now, Instant::now());
        }
        if since.elapsed() > STANDSTILL {
            let (busy, lags) = (round.busy.load(Relaxed), round.book.lags());
            return Err(format!(
                "waited in vain until {what}: {busy} have something to say, and the readers are behind by {lags}"
            ));
        }
    }
    Ok(())
}

/// What can only be said at the end.
fn check(round: &Round, reports: &[Report], totals: &mut Totals) -> Result<(), String> {
    let posted: HashMap<u32, &Posted> =
        reports.iter().filter_map(|report| Some((report.writer, report.posted.as_ref()?))).collect();
    let must_be_there = |name: Name| match posted.get(&name.writer) {
        None => Some(true),
        Some(posted) if posted.answered.contains(&name.nth) => Some(true),
        Some(posted) if posted.refused.contains(&name.nth) => Some(false),
        Some(_) => None,
    };
    let sent: Vec<_> = reports.iter().map(|report| (report.channel, report.writer, report.sent)).collect();
    totals.messages += round.book.check_all(DELETED, must_be_there, &sent)?;
    totals.deliveries += round.book.deliveries.load(Relaxed);
    totals.resumed += round.book.resumed.load(Relaxed);
    totals.answers += round.book.answers.load(Relaxed);
    Ok(())
}
