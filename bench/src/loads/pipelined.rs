//! Several publishers at once, each in bursts with a bounded window: how much a server gets through when it may batch.
//!
//! A publisher is a client too and sees its own messages come back; that is what moves its window. So the load adapts
//! to the server, and nobody's queue grows without bound but for clients that the server itself lets fall behind.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::fleet::{Fleet, Patience};
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
    window: u64,
    burst: u64,
}

impl Publishers {
    /// For a fleet that has at least so many clients.
    pub fn new(load: &Load) -> Result<Self> {
        if load.publishers > load.clients || load.burst == 0 || load.burst > load.window {
            bail!("publishers are clients too, so there are no more of them; and a burst is no larger than the window");
        }
        Ok(Self {
            template: Template::new(load.payload_bytes),
            sent: vec![0; load.publishers],
            window: load.window,
            burst: load.burst,
        })
    }

    /// Publishes for so long.
    pub fn go_on_for(&mut self, duration: Duration, fleet: &mut Fleet) -> Result<()> {
        let began = Instant::now();
        let mut patience = Patience::new();
        while began.elapsed() < duration {
            self.publish(fleet)?;
            fleet.turn()?;
            if patience.is_over(fleet.meter().delivered()) {
                bail!(Fault::Missing { expected: self.expected(fleet), got: fleet.meter().delivered() });
            }
        }
        Ok(())
    }

    /// Waits until all that was sent has arrived everywhere.
    pub fn drain(&mut self, fleet: &mut Fleet) -> Result<()> {
        fleet.drain(self.expected(fleet))
    }

    /// Lets every publisher send what its window has room for, in whole bursts, one write each.
    fn publish(&mut self, fleet: &mut Fleet) -> Result<()> {
        for (publisher, sent) in self.sent.iter_mut().enumerate() {
            let returned = fleet.client(publisher)?.tally().of(publisher);
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

    fn expected(&self, fleet: &Fleet) -> u64 {
        self.sent.iter().sum::<u64>() * fleet.metered() as u64
    }
}

/// Deliveries per second and their cost; all that was sent has to arrive in the end.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    let mut publishers = Publishers::new(load)?;
    fleet.open(load.clients, true)?;
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
