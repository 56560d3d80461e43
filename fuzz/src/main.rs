//! Runs the targets on stable Rust: the corpus first, then what can be made of it, for some seconds each.
//!
//! ```sh
//! cargo run --release --manifest-path fuzz/Cargo.toml -- --seconds 5          # all targets
//! cargo run --release --manifest-path fuzz/Cargo.toml -- --seconds 60 head    # one of them
//! cargo run --release --manifest-path fuzz/Cargo.toml -- head fuzz/artifacts/head-…   # one input again
//! ```
//!
//! An input that breaks a rule is made as short as it can be, shown, and kept in `fuzz/artifacts/`. Exit code 1.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use fastrand::Rng;
use foghorn_fuzz::{Kind, TARGETS, Target, kind, mutate};

/// An input that takes longer than this hangs, as far as a server is concerned.
const INPUT_TIMEOUT: Duration = Duration::from_secs(5);
/// Inputs to mutate, beside the corpus.
const POOL_MAX: usize = 4096;

struct Options {
    seconds: f64,
    seed: u64,
    targets: Vec<Target>,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(words) => {
            eprintln!("foghorn-fuzz: {words}");
            return ExitCode::from(2);
        }
    };
    if let ([(name, target)], [_, ..]) = (&options.targets[..], &options.files[..]) {
        for file in &options.files {
            let input = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            println!("{name}: {} is of kind {:x}", file.display(), target(&input));
        }
        return ExitCode::SUCCESS;
    }

    // A panic is what we look for: its words are shown once, at the end, and not for each step of making it shorter.
    let words = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&words);
    std::panic::set_hook(Box::new(move |panic| {
        *heard.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    println!("seed {} · {} s for each target", options.seed, options.seconds);
    for &target in &options.targets {
        let mut run = Run::new(target, options.seed);
        if let Err(input) = run.for_seconds(options.seconds) {
            let input = run.shorten(input);
            run.is_broken_by(&input);
            let path = keep(target.0, &input);
            eprintln!(
                "\n{}: a rule is broken by b\"{}\"\n{}\nkept in {}",
                target.0,
                input.escape_ascii(),
                words.lock().unwrap_or_else(PoisonError::into_inner),
                path.display()
            );
            return ExitCode::FAILURE;
        }
        println!("{:8} {:>10} inputs · {:>5} kinds", target.0, run.tried, run.kinds.len());
    }
    ExitCode::SUCCESS
}

fn options() -> Result<Options, String> {
    let mut options = Options { seconds: 5.0, seed: fastrand::u64(..), targets: Vec::new(), files: Vec::new() };
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().ok_or_else(|| format!("{arg} needs a number"));
        match &*arg {
            "--seconds" => options.seconds = number()?.parse().map_err(|error| format!("--seconds: {error}"))?,
            "--seed" => options.seed = number()?.parse().map_err(|error| format!("--seed: {error}"))?,
            name => match TARGETS.into_iter().find(|target| target.0 == name) {
                Some(target) => options.targets.push(target),
                None if Path::new(name).is_file() => options.files.push(name.into()),
                None => return Err(format!("{name} is no target ({:?}) and no file", TARGETS.map(|target| target.0))),
            },
        }
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.to_vec();
    }
    Ok(options)
}

struct Run {
    target: Target,
    rng: Rng,
    /// Inputs to start from: the corpus, and the first of each kind.
    pool: Vec<Vec<u8>>,
    kinds: HashSet<Kind>,
    tried: u64,
    /// What is tried now, and since when, for the watchman.
    present: Arc<Mutex<(Option<Instant>, Vec<u8>)>>,
}

impl Run {
    fn new(target: Target, seed: u64) -> Self {
        let present = Arc::new(Mutex::new((None, Vec::new())));
        let watched = Arc::clone(&present);
        thread::spawn(move || watch(target.0, &watched));
        let pool = corpus(target.0);
        Self { target, rng: Rng::with_seed(seed), pool, kinds: HashSet::new(), tried: 0, present }
    }

    /// # Errors
    /// The input that has broken a rule.
    fn for_seconds(&mut self, seconds: f64) -> Result<(), Vec<u8>> {
        for seed in self.pool.clone() {
            self.attempt(&seed)?;
        }
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < until {
            let mut input = self.pool[self.rng.usize(..self.pool.len())].clone();
            let other = self.rng.usize(..self.pool.len());
            mutate::mutate(&mut self.rng, &mut input, &self.pool[other]);
            if self.attempt(&input)? && self.pool.len() < POOL_MAX {
                self.pool.push(input);
            }
        }
        *self.present() = (None, Vec::new());
        Ok(())
    }

    /// Returns whether it is the first of its kind.
    fn attempt(&mut self, input: &[u8]) -> Result<bool, Vec<u8>> {
        self.tried += 1;
        {
            let mut present = self.present();
            present.0 = Some(Instant::now());
            present.1.clear();
            present.1.extend(input);
        }
        let its_kind = catch_unwind(AssertUnwindSafe(|| (self.target.1)(input))).map_err(|_| input.to_vec())?;
        Ok(self.kinds.insert(its_kind))
    }

    fn present(&self) -> std::sync::MutexGuard<'_, (Option<Instant>, Vec<u8>)> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_broken_by(&self, input: &[u8]) -> bool {
        self.present().0 = None;
        catch_unwind(AssertUnwindSafe(|| (self.target.1)(input))).is_err()
    }

    /// Leaves out what can be left out, in ever smaller pieces.
    fn shorten(&self, mut input: Vec<u8>) -> Vec<u8> {
        let mut piece = input.len().div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < input.len() {
                let mut shorter = input.clone();
                shorter.drain(at..(at + piece).min(input.len()));
                if self.is_broken_by(&shorter) {
                    input = shorter;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        input
    }
}

/// Ends the process when an input takes too long: nothing else could.
fn watch(name: &str, present: &Mutex<(Option<Instant>, Vec<u8>)>) {
    loop {
        thread::sleep(INPUT_TIMEOUT / 5);
        let present = present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.0.is_some_and(|since| since.elapsed() > INPUT_TIMEOUT) {
            let path = keep(name, &present.1);
            let (input, path) = (present.1.escape_ascii(), path.display());
            eprintln!("\n{name}: no end within {INPUT_TIMEOUT:?} with b\"{input}\"\nkept in {path}");
            process::exit(1);
        }
    }
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the target's corpus, in the order of their names, so that a seed gives the same run again.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = here().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let mut inputs: Vec<Vec<u8>> = paths.iter().filter_map(|path| fs::read(path).ok()).collect();
    inputs.push(Vec::new());
    inputs
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let folder = here().join("artifacts");
    let path = folder.join(format!("{name}-{:016x}", kind(input)));
    if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input)) {
        eprintln!("{} cannot be written: {error}", path.display());
    }
    path
}
