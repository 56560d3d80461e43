//! One publisher, and the next message only when every client has the last one: the cost of a delivery that nothing can
//! be batched with, and with large messages what a server holds of them in memory.
//!
//! What must stay true: there is never more than one message under way, so a server has nothing to batch.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::fleet::{Deliveries, Fleet};
use crate::load::Load;
use crate::loads::measurement::{Measurement, settled_kib};
use crate::outcome::Figures;
use crate::process;
use crate::server::Server;
use crate::wire::{Stamp, Template};

/// Publishers that know when all have got what they sent: client 0, or one of each channel, whose clients see only its
/// messages.
#[derive(Debug)]
pub struct Lockstep {
    template: Template,
    publishers: Vec<usize>,
    seq: u64,
    /// Who gets each message.
    clients: Deliveries,
}

impl Lockstep {
    /// For a fleet whose metered clients are all open.
    pub fn new(load: &Load, fleet: &Fleet) -> Self {
        Self::of(vec![0], load, fleet)
    }

    /// The same with these clients as publishers, no two of them in one channel.
    pub fn of(publishers: Vec<usize>, load: &Load, fleet: &Fleet) -> Self {
        let clients = Deliveries::metered(fleet.metered() as u64);
        Self { template: fleet.template(load.payload_bytes), publishers, seq: 0, clients }
    }

    /// The same where all have to have the message, those too who are only checked.
    pub fn among_all(load: &Load, fleet: &Fleet) -> Self {
        let mut lockstep = Self::new(load, fleet);
        lockstep.clients.checked = fleet.clients() as u64 - lockstep.clients.metered;
        lockstep
    }

    /// Sends a message and waits for all its deliveries.
    pub fn step(&mut self, fleet: &mut Fleet) -> Result<()> {
        for &publisher in &self.publishers {
            let sent_ns = fleet.meter().clock_ns();
            // They all bear the same number: a message that came into another channel would be one too many there.
            let frame = self.template.stamped(Stamp { publisher: 0, seq: self.seq, sent_ns });
            let publisher = fleet.client(publisher)?;
            publisher.queue(frame);
            publisher.flush()?;
        }
        self.seq += 1;
        fleet.await_deliveries(self.clients.times(self.seq))
    }

    /// So many steps.
    pub fn go_on_for_steps(&mut self, steps: usize, fleet: &mut Fleet) -> Result<()> {
        (0..steps).try_for_each(|_| self.step(fleet))
    }

    /// Step after step for so long.
    pub fn go_on_for(&mut self, duration: Duration, fleet: &mut Fleet) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < duration {
            self.step(fleet)?;
        }
        Ok(())
    }
}

/// Small messages: what a delivery costs, and how long it takes.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    fleet.open(load.clients, true)?;
    let mut lockstep = Lockstep::new(load, &fleet);
    lockstep.go_on_for(load.warm_up(), &mut fleet)?;
    let measurement = Measurement::begin(server, &mut fleet)?;
    lockstep.go_on_for(load.duration(), &mut fleet)?;
    let figures = measurement.end(&mut fleet)?;
    fleet.check_one_order()?;
    Ok(figures)
}

/// Large messages: throughput, and by how much the server's memory grows at its peak.
pub fn run_big(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    fleet.open(load.clients, true)?;
    let before_kib = settled_kib(server, &mut fleet)?;
    process::forget_peak(server.pid)?;
    let mut lockstep = Lockstep::new(load, &fleet);
    lockstep.go_on_for(load.warm_up(), &mut fleet)?;
    let measurement = Measurement::begin(server, &mut fleet)?;
    lockstep.go_on_for(load.duration(), &mut fleet)?;
    let mut figures = measurement.end(&mut fleet)?;
    fleet.check_one_order()?;
    let mebibytes_per_s = figures["deliveries_per_s"] * load.payload_bytes as f64 / f64::from(1 << 20);
    figures.insert("mib_per_s".into(), mebibytes_per_s);
    let peak_kib = process::resident_peak_kib(server.pid)?;
    figures.insert("peak_growth_kib".into(), peak_kib.saturating_sub(before_kib) as f64);
    Ok(figures)
}
