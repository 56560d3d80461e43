//! The measured stretch of a run, and what the server did in it: deliveries, latencies, CPU time, memory.
//!
//! What is sent in it is left to each kind of load. What must stay true: the warm-up is in no figure.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::fleet::Fleet;
use crate::load::Load;
use crate::outcome::Figures;
use crate::process::{self, CpuTime};
use crate::server::Server;

/// A stretch of time with what the server did in it.
#[derive(Debug)]
pub struct Measurement<'a> {
    server: &'a Server,
    began: Instant,
    cpu: CpuTime,
    delivered: u64,
}

impl<'a> Measurement<'a> {
    /// Begins here, and forgets the latencies of the warm-up.
    pub fn begin(server: &'a Server, fleet: &mut Fleet) -> Result<Self> {
        fleet.meter().forget_latencies();
        Ok(Self {
            server,
            delivered: fleet.meter().delivered(),
            cpu: CpuTime::of_all(server.pids())?,
            began: Instant::now(),
        })
    }

    /// Whether the load's time is over.
    pub fn is_over(&self, load: &Load) -> bool {
        self.began.elapsed() >= load.duration()
    }

    /// Deliveries, latencies and what they cost.
    pub fn end(self, fleet: &mut Fleet) -> Result<Figures> {
        let elapsed_s = self.began.elapsed().as_secs_f64();
        let cpu = CpuTime::of_all(self.server.pids())?.since(self.cpu);
        let meter = fleet.meter();
        let delivered = (meter.delivered() - self.delivered) as f64;
        let figures = [
            ("deliveries", delivered),
            ("deliveries_per_s", delivered / elapsed_s),
            ("user_us_per_delivery", cpu.user_us() / delivered),
            ("total_us_per_delivery", cpu.total_us() / delivered),
            ("server_cpu_percent", cpu.total_us() / elapsed_s / 1e4),
        ];
        let mut figures: Figures = figures.map(|(name, value)| (name.into(), value)).into();
        figures.extend(latencies(fleet));
        Ok(figures)
    }
}

/// Latencies since they were last forgotten.
pub fn latencies(fleet: &mut Fleet) -> [(String, f64); 3] {
    let meter = fleet.meter();
    [
        ("latency_p50_us".into(), meter.latency_us(0.5)),
        ("latency_p99_us".into(), meter.latency_us(0.99)),
        ("latency_max_us".into(), meter.latency_max_us()),
    ]
}

/// Resident memory of the server in KiB, once it has settled.
pub fn settled_kib(server: &Server, fleet: &mut Fleet) -> Result<u64> {
    let (mut last, mut same) = (0, 0);
    // Until three looks in a row agree, but not longer than two seconds: some runtimes never quite settle.
    for _ in 0..40 {
        fleet.wait(Duration::from_millis(50))?;
        let now = process::resident_kib(server.pid)?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 3 {
            break;
        }
    }
    Ok(last)
}
