//! Several publishers at once, each in bursts with a bounded window: how much a server gets through when it may batch.
//!
//! A publisher is a client too and sees its own messages come back; that is what moves its window. So the load adapts
//! to the server, and nobody's queue grows without bound but for clients that the server itself lets fall behind.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::fleet::{Deliveries, Fleet, Patience};
use crate::load::Load;
use crate::loads::measurement::{Measurement, latencies};
use crate::outcome::Figures;
use crate::server::Server;
use crate::tally::Fault;
use crate::wire::{Stamp, Template};

/// Publishers (the first clients) and how far each has got.
#[derive(Debug)]
pub struct Publishers {
    template: Template,
    sent: Vec<u64>,
    /// Who gets each message.
    clients: Deliveries,
    /// The client whose receipts move the windows, if it is not the publisher itself.
    witness: Option<usize>,
    window: u64,
    burst: u64,
}

impl Publishers {
    /// For a fleet whose clients are all open, at least so many.
    pub fn new(load: &Load, fleet: &Fleet) -> Result<Self> {
        if load.publishers > load.clients || load.burst == 0 || load.burst > load.window {
            bail!("publishers are clients too, so there are no more of them; and a burst is no larger than the window");
        }
        Ok(Self {
            template: fleet.template(load.payload_bytes),
            sent: vec![0; load.publishers],
            clients: Deliveries::metered(fleet.metered() as u64),
            witness: None,
            window: load.window,
            burst: load.burst,
        })
    }

    /// The same where all have to have a message in the end, those too who are only checked, and it is under way until the
    /// last of all clients has it.
    pub fn among_all(load: &Load, fleet: &Fleet) -> Result<Self> {
        let mut publishers = Self::new(load, fleet)?;
        publishers.clients.checked = fleet.clients() as u64 - publishers.clients.metered;
        publishers.witness = Some(fleet.clients() - 1);
        Ok(publishers)
    }

    /// Publishes for so long.
    pub fn go_on_for(&mut self, duration: Duration, fleet: &mut Fleet) -> Result<()> {
        let began = Instant::now();
        let mut patience = Patience::new();
        while began.elapsed() < duration {
            self.publish(fleet)?;
            fleet.turn()?;
            if patience.is_over(fleet.meter().delivered()) {
                bail!(Fault::Missing { expected: self.expected().metered, got: fleet.meter().delivered() });
            }
        }
        Ok(())
    }

    /// Waits until all that was sent has arrived everywhere.
    pub fn drain(&mut self, fleet: &mut Fleet) -> Result<()> {
        fleet.drain(self.expected())
    }

    /// Lets every publisher send what its window has room for, in whole bursts, one write each.
    fn publish(&mut self, fleet: &mut Fleet) -> Result<()> {
        for (publisher, sent) in self.sent.iter_mut().enumerate() {
            let returned = fleet.client(self.witness.unwrap_or(publisher))?.tally().of(publisher);
            let bursts = (returned + self.window - *sent) / self.burst;
            if bursts == 0 {
                continue;
            }
            let sent_ns = fleet.meter().clock_ns();
            let client = fleet.client(publisher)?;
            for _ in 0..bursts * self.burst {
                client.queue(self.template.stamped(Stamp { publisher, seq: *sent, sent_ns }));
                *sent += 1;
            }
            client.flush()?;
        }
        Ok(())
    }

    fn expected(&self) -> Deliveries {
        self.clients.times(self.sent.iter().sum())
    }
}

/// Deliveries per second and their cost; all that was sent has to arrive in the end.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    fleet.open(load.clients, true)?;
    let mut publishers = Publishers::new(load, &fleet)?;
    publishers.go_on_for(load.warm_up(), &mut fleet)?;
    let measurement = Measurement::begin(server, &mut fleet)?;
    publishers.go_on_for(load.duration(), &mut fleet)?;
    let mut figures = measurement.end(&mut fleet)?;
    publishers.drain(&mut fleet)?;
    // What was still under way when the time was over is no delivery of that time, but the slowest of its latencies.
    figures.extend(latencies(&mut fleet));
    fleet.check_one_order()?;
    Ok(figures)
}
