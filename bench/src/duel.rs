//! Two servers head to head in short alternating slices: the way to see a few percent on a noisy machine.
//!
//! Either the floor against Foghorn, or two builds of Foghorn (`foghorn` and `other`), to learn whether a change is
//! one.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::cores::Cores;
use crate::fleet::Waiting;
use crate::load::Load;
use crate::loads::contender::Contender;
use crate::outcome::Figures;
use crate::peers;
use crate::statistics::{Ratio, median};

/// Who, what and how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    load: Load,
    /// The two servers, comma-separated; "other" is the build of Foghorn in `FOGHORN_OTHER_BIN`
    #[arg(long, value_delimiter = ',', default_value = "floor,foghorn")]
    servers: Vec<String>,
    /// How long a slice is, in milliseconds
    #[arg(long, default_value_t = 100)]
    slice_ms: u64,
    #[command(flatten)]
    cores: Cores,
}

/// Lets them take turns and prints what came out.
pub fn run(options: &Options) -> Result<()> {
    let [first, second] = options.servers.as_slice() else {
        bail!("a duel is between two servers");
    };
    options.cores.pin_load()?;
    let start = |name: &str| peers::find(name)?.start(&options.cores);
    let servers = [start(first)?, start(second)?];
    let load = &options.load;
    let mut contenders =
        [Contender::new(load, &servers[0], Waiting::Spin)?, Contender::new(load, &servers[1], Waiting::Spin)?];
    let slice = Duration::from_millis(options.slice_ms.max(1));
    // Both together get the time that a run has for one, so that `--seconds` means what it says.
    let turns = (load.seconds * 1000.0 / slice.as_millis() as f64 / 2.0).ceil().max(1.0) as usize;
    let mut slices: [Vec<Figures>; 2] = Default::default();
    for turn in 0..turns {
        // Who begins changes too: the second of two neighbours may find warmer caches.
        for i in [turn % 2, (turn + 1) % 2] {
            slices[i].push(contenders[i].slice(slice)?);
        }
    }
    println!("{}: {turns} slices of {} ms for each", load.label(), slice.as_millis());
    println!("{:24} {first:>12} {second:>12}   {second} ÷ {first}, with quartiles", "");
    for figure in slices[0][0].keys() {
        print_line(figure, &slices);
    }
    let [a, b] = contenders;
    let (a, b) = (a.finish()?, b.finish()?);
    println!("{:24} {a:12.3} {b:12.3}   {:.3} (all slices together)", "user_us_per_delivery", b / a);
    Ok(())
}

fn print_line(figure: &str, slices: &[Vec<Figures>; 2]) {
    let values = |i: usize| slices[i].iter().map(|f| f[figure]);
    println!(
        "{figure:24} {:12.3} {:12.3}   {}",
        median(values(0)).unwrap_or(f64::NAN),
        median(values(1)).unwrap_or(f64::NAN),
        Ratio::of(values(1), values(0)),
    );
}
