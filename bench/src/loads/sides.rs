//! Two loads on one server by turns, in slices: what one costs beside the other, when both are the same server's.
//!
//! `contender` does that for two servers. What must stay true: a ratio is of neighbouring slices, and the side whose turn
//! it is not has nothing under way.

use std::time::Duration;

use anyhow::Result;

use crate::fleet::Fleet;
use crate::load::Load;
use crate::loads::lockstep::Lockstep;
use crate::loads::measurement::Measurement;
use crate::outcome::Figures;
use crate::server::Server;
use crate::statistics::{Ratio, median};

/// How long a slice is.
pub const SLICE: Duration = Duration::from_millis(100);

/// Messages before a slice that are not measured: a client that has had nothing for two slices acknowledges the next
/// 16 packets one by one (Linux's `TCP_MAX_QUICKACKS`), and each of these acknowledgements is the server's to handle.
const SETTLING_STEPS: usize = 24;

/// Clients of one server that are in lock-step.
pub struct Side {
    /// Its name in the figures.
    pub name: &'static str,
    /// Its clients.
    pub fleet: Fleet,
    /// Its publishers, who are among them.
    pub lockstep: Lockstep,
}

/// Lets two sides take turns for the time of the load; the ratio is the first side's cost to the second's.
pub fn compare(load: &Load, server: &Server, mut sides: [Side; 2]) -> Result<Figures> {
    for side in &mut sides {
        side.lockstep.go_on_for(load.warm_up(), &mut side.fleet)?;
    }
    let mut slices: [Vec<Figures>; 2] = Default::default();
    for turn in 0..turns(load) {
        for i in [turn % 2, (turn + 1) % 2] {
            let side = &mut sides[i];
            side.lockstep.go_on_for_steps(SETTLING_STEPS, &mut side.fleet)?;
            let measurement = Measurement::begin(server, &mut side.fleet)?;
            side.lockstep.go_on_for(SLICE, &mut side.fleet)?;
            slices[i].push(measurement.end(&mut side.fleet)?);
        }
    }
    let mut figures = Figures::new();
    for (side, slices) in sides.iter().zip(&slices) {
        side.fleet.check_one_order()?;
        for figure in ["total_us_per_delivery", "deliveries_per_s", "latency_p99_us"] {
            let value = median(slices.iter().map(|slice| slice[figure])).unwrap_or(f64::NAN);
            figures.insert(format!("{}_{figure}", side.name), value);
        }
    }
    let costs = |i: usize| slices[i].iter().map(|slice| slice["total_us_per_delivery"]);
    figures.extend(ratio("cost_ratio", Ratio::of(costs(0), costs(1))));
    Ok(figures)
}

/// Both together get twice the time of the load, so that `--seconds` is what each gets.
pub fn turns(load: &Load) -> usize {
    (load.seconds / SLICE.as_secs_f64()).ceil().max(2.0) as usize
}

/// A ratio and its quartiles, as figures.
pub fn ratio(name: &str, ratio: Ratio) -> [(String, f64); 3] {
    [
        (name.into(), ratio.median),
        (format!("{name}_lower_quartile"), ratio.lower_quartile),
        (format!("{name}_upper_quartile"), ratio.upper_quartile),
    ]
}
