//! One publisher at a fixed rate: latency against load.
//!
//! A message is stamped with the time at which it was due, not with the one at which the load got round to it, so a
//! server that stalls is charged for every message that it held up ("coordinated omission" otherwise).

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::fleet::{Deliveries, Fleet};
use crate::load::Load;
use crate::loads::measurement::Measurement;
use crate::outcome::Figures;
use crate::server::Server;
use crate::wire::Stamp;

/// A server that is so many seconds behind cannot keep this rate, and its latency is only a matter of how long one
/// looks.
const BEHIND_SECS_MAX: f64 = 0.25;

/// Latencies at this rate, or `saturated` = 1 and none.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    if load.rate_hz <= 0.0 {
        bail!("the rate has to be above 0 messages per second");
    }
    fleet.open(load.clients, true)?;
    let mut template = fleet.template(load.payload_bytes);
    let metered = fleet.metered() as u64;
    let begin_ns = fleet.meter().clock_ns();
    let due_ns = |seq: u64| begin_ns + (seq as f64 * 1e9 / load.rate_hz) as u64;
    let behind_max = (load.rate_hz * BEHIND_SECS_MAX).max(10.0) as u64;
    let mut seq = 0;
    let warm = Instant::now();
    let mut measurement = None;
    loop {
        let now_ns = fleet.meter().clock_ns();
        while due_ns(seq) <= now_ns {
            let frame = template.stamped(Stamp { publisher: 0, seq, sent_ns: due_ns(seq) });
            fleet.client(0)?.queue(frame);
            seq += 1;
        }
        fleet.client(0)?.flush()?;
        fleet.wait(Duration::ZERO)?;
        if seq > fleet.meter().delivered() / metered + behind_max {
            return Ok(Figures::from([("saturated".into(), 1.0)]));
        }
        match &measurement {
            None if warm.elapsed() >= load.warm_up() => {
                measurement = Some(Measurement::begin(server, &mut fleet)?);
            }
            Some(measurement) if measurement.is_over(load) => break,
            _ => {}
        }
    }
    let Some(measurement) = measurement else {
        bail!("the measured time was over before it began");
    };
    // The rest belongs to the measurement: leaving out the slowest would flatter.
    fleet.drain(Deliveries::metered(seq * metered))?;
    let mut figures = measurement.end(&mut fleet)?;
    figures.insert("rate_hz".into(), load.rate_hz);
    fleet.check_one_order()?;
    Ok(figures)
}
