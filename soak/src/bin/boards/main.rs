//! Three boards that share one Redis, while all of it is killed, stopped, cut off and delayed: everything that anybody was told by any board is held
//! against everything that anybody was told before. No message is lost, doubled, reordered or renumbered, and there is one story for all.
//!
//! ```sh
//! cargo run --release --manifest-path soak/Cargo.toml --bin boards -- --faults 200     # FOGHORN_BIN names another binary
//! ```
//!
//! Rounds of some faults. In most of them Redis keeps what it has answered (`appendfsync always`), and there must be no new epoch but by a `DELETE`;
//! in others it forgets now and then, and boards have to begin anew, once and together. Clients work over all faults; then all is read, the boards
//! have to be at the same place, and the whole story is checked, also against what is in Redis. Exit code 1 with the story of two facts that
//! contradict each other. The seed repeats what chance has decided, but not when what happened.

mod askers;
mod book;
mod channel;
mod cluster;
mod crowd;
mod faults;
mod forgetting;
mod plain;
mod position;
mod proxy;
mod reader;
mod redis;
mod round;
mod said;
mod stored;
mod streams;
mod talker;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use fastrand::Rng;

use book::Book;
use channel::Total;
use cluster::Cluster;
use faults::{Counts, Faults};
use forgetting::Witness;
use round::{CHANNELS, NAMES, Round, Stage};

/// How long a round lasts in which nothing goes wrong.
const CALM_ROUND: Duration = Duration::from_secs(4);
/// How long nothing may be delivered before it counts as standing still.
const STANDSTILL: Duration = Duration::from_secs(40);

struct Options {
    faults: u32,
    seed: u64,
    bin: PathBuf,
}

/// What a round is like.
struct Kind {
    name: &'static str,
    /// Whether Redis has all after it was killed.
    is_durable: bool,
    flags: &'static [&'static str],
    /// The newer halves of the main channel and of another.
    half_bytes: [usize; 2],
    window: u64,
    unconfirmed_max: usize,
    /// Whether the logs are so short that some clients miss something.
    is_short: bool,
    /// How many faults in one round.
    faults: u32,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "Redis keeps all",
        is_durable: true,
        flags: &[],
        half_bytes: [2 << 20, 512 * 1024],
        window: 1000,
        unconfirmed_max: 64,
        is_short: false,
        faults: 15,
    },
    Kind {
        name: "Redis forgets",
        is_durable: false,
        flags: &[],
        half_bytes: [2 << 20, 512 * 1024],
        window: 1000,
        unconfirmed_max: 64,
        is_short: false,
        faults: 9,
    },
    Kind {
        name: "Redis keeps all, short logs",
        is_durable: true,
        flags: &["--backlog", "48KiB", "--channel-backlog", "24KiB", "--heartbeat", "1s"],
        half_bytes: [24 * 1024, 12 * 1024],
        window: 30,
        unconfirmed_max: 6,
        is_short: true,
        faults: 12,
    },
];

/// What was done and seen.
#[derive(Default)]
struct Totals {
    faults: u32,
    kinds: Counts,
    story: Total,
    counts: [u64; 6],
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nboards: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let bin = env::var_os("FOGHORN_BIN").map_or_else(|| here.join("../target/release/foghorn"), PathBuf::from);
    let mut options = Options { faults: 200, seed: fastrand::u64(..), bin };
    let mut args = env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{flag} {value}: that is no number"))?;
        match &*flag {
            "--faults" => options.faults = u32::try_from(number).map_err(|error| error.to_string())?,
            "--seed" => options.seed = number,
            _ => return Err(format!("{flag} is not known; there are --faults and --seed")),
        }
    }
    Ok(options)
}

/// A new folder for a round, in memory if there is such a place: Redis syncs each thing that it writes.
fn folder(nth: usize) -> Result<PathBuf, String> {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { env::temp_dir() };
    let folder = parent.join(format!("foghorn-boards-{}-{nth}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn run(options: &Options) -> Result<(), String> {
    println!("seed {} · {} faults", options.seed, options.faults);
    let mut rng = Rng::with_seed(options.seed);
    let (mut totals, began) = (Totals::default(), Instant::now());
    let mut nth = 0;
    // Without faults, every kind of round once: to see whether this tool is right.
    while totals.faults < options.faults || options.faults == 0 && nth < KINDS.len() {
        let kind = &KINDS[nth % KINDS.len()];
        let faults = (options.faults - totals.faults).min(kind.faults);
        totals.faults += faults;
        let folder = folder(nth)?;
        let began = Instant::now();
        round(options, &folder, kind, faults, &mut rng.fork(), &mut totals).map_err(|sentence| {
            let (name, seed) = (kind.name, options.seed);
            format!("round {nth} ({name}): {sentence}\n(seed {seed}; the round's logs are in {})", folder.display())
        })?;
        let (secs, messages) = (began.elapsed().as_secs(), totals.story.messages);
        println!("round {nth} ({}): {faults} faults in {secs} s, {messages} messages so far", kind.name);
        let _ = fs::remove_dir_all(&folder);
        nth += 1;
    }
    let Totals { kinds, story, counts, .. } = totals;
    let [deliveries, answers, resumed, lost, behind, unsure] = counts;
    println!(
        "\nwhat went wrong: {}",
        kinds.iter().map(|(kind, times)| format!("{kind} {times}")).collect::<Vec<_>>().join(", ")
    );
    println!(
        "{} faults, {} messages, {deliveries} deliveries, {answers} other answers, {resumed} times resumed, {lost} times told what is \
         lost, {behind} times at a board behind, {unsure} writers unsure and {} messages twice since Redis forgot, {} s",
        kinds.values().sum::<u32>(),
        story.messages,
        story.twice,
        began.elapsed().as_secs()
    );
    Ok(())
}

fn round(
    options: &Options,
    folder: &Path,
    kind: &Kind,
    faults: u32,
    rng: &mut Rng,
    totals: &mut Totals,
) -> Result<(), String> {
    let flags = ["--log-level", "info", "--max-clients-per-ip", "0", "--max-clients", "200"];
    let mut cluster = Cluster::start(&options.bin, &[&flags, kind.flags].concat(), folder, kind.is_durable)?;
    let [main, other] = kind.half_bytes;
    let mut half_bytes = [other; CHANNELS.len()];
    half_bytes[0] = main;
    let diary = File::create(folder.join("clients.log")).map_err(|error| format!("{}: {error}", folder.display()))?;
    let book = Book::new(&half_bytes, kind.window).with_diary(diary);
    let round = Round::new(cluster.addresses()?, book, kind.unconfirmed_max);
    thread::scope(|scope| {
        let round = &round;
        let clients: Vec<_> = crowd::clients(round, kind.is_short, kind.is_durable, rng)
            .into_iter()
            .map(|client| scope.spawn(move || client().inspect_err(|sentence| round.book.fail(sentence.clone()))))
            .collect();
        let driven = drive(&mut cluster, round, kind, faults, rng, &mut totals.kinds);
        if let Err(sentence) = driven {
            round.book.fail(sentence);
        }
        round.enter(Stage::Over);
        for client in clients {
            if client.join().is_err() {
                round.book.fail("a client has panicked; see above".to_owned());
            }
        }
    });
    if let Some(sentence) = round.book.failure() {
        return Err(sentence);
    }
    let Total { messages, twice } = round.book.check_all()?;
    totals.story.messages += messages;
    totals.story.twice += twice;
    let its = &round.book.counts;
    let its = [&its.deliveries, &its.answers, &its.resumed, &its.lost, &its.behind, &its.unsure];
    for (total, its) in totals.counts.iter_mut().zip(its) {
        *total += AtomicU64::load(its, Relaxed);
    }
    for board in 0..channel::BOARDS {
        cluster.end_board(board)?;
    }
    Ok(())
}

/// Has things go wrong, again and again; then waits until all is confirmed and read, and all boards are at the same place.
fn drive(
    cluster: &mut Cluster,
    round: &Round,
    kind: &Kind,
    count: u32,
    rng: &mut Rng,
    kinds: &mut Counts,
) -> Result<(), String> {
    let mut faults = Faults::new(kind.is_durable);
    let mut witness = Witness::new(round, rng.fork());
    if count == 0 {
        pass(cluster, &mut faults, round, CALM_ROUND)?;
    }
    for _ in 0..count {
        let pause = match rng.u8(..10) {
            // More than one thing at a time.
            0..3 => rng.u64(..60),
            3..7 => rng.u64(60..500),
            _ => rng.u64(500..1500),
        };
        pass(cluster, &mut faults, round, Duration::from_millis(pause))?;
        if round.book.is_over() {
            return Ok(());
        }
        if !kind.is_durable && rng.u8(..5) < 3 {
            faults.end_all(cluster)?;
            round.book.write_down(&"all faults are over");
            witness.forget(cluster, rng, kinds)?;
            continue;
        }
        round.book.note_fault();
        faults.begin(cluster, &round.book, rng)?;
    }
    pass(cluster, &mut faults, round, Duration::from_millis(300))?;
    faults.end_all(cluster)?;
    round.book.write_down(&"all faults are over");
    for (kind, times) in &faults.counts {
        *kinds.entry(kind).or_default() += times;
    }
    round.enter(Stage::Settling);
    wait(cluster, round, "all is confirmed", || round.busy.load(Relaxed) == 0)?;
    wait(cluster, round, "all is read", || round.book.is_read())?;
    let places = witness.settle()?;
    round.enter(Stage::Settled);
    wait(cluster, round, "all is read", || round.book.is_read())?;
    if round.book.is_over() {
        return Ok(());
    }
    for (channel, place) in places.into_iter().enumerate() {
        let stream = cluster.ask(&["XRANGE", &format!("foghorn:stream:{}", NAMES[channel]), "-", "+"])?;
        stored::check(&stream, place, |position| round.book.name_at(channel, position))
            .map_err(|why| format!("channel {channel}: {why}"))?;
    }
    Ok(())
}

/// Lets a time pass, in which faults end, unless something is wrong.
fn pass(cluster: &mut Cluster, faults: &mut Faults, round: &Round, time: Duration) -> Result<(), String> {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if round.book.is_over() {
            return Ok(());
        }
        faults.end_due(cluster, &round.book)?;
        thread::sleep(left.min(Duration::from_millis(10)));
    }
    cluster.check_alive()
}

/// Waits for a condition, as long as anything is delivered.
fn wait(cluster: &mut Cluster, round: &Round, what: &str, condition: impl Fn() -> bool) -> Result<(), String> {
    let (mut deliveries, mut since) = (0, Instant::now());
    while !condition() && !round.book.is_over() {
        thread::sleep(Duration::from_millis(5));
        cluster.check_alive()?;
        let now = round.book.counts.deliveries.load(Relaxed);
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
