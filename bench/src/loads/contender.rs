//! A load in slices, so that two servers, or two pairs of boards, can take turns within tenths of a second.
//!
//! On a shared machine a second is different from the next by ten percent and more; two neighbouring slices are not. A
//! server that is not on has its clients connected and nothing to do.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::fleet::{Fleet, Waiting};
use crate::load::{Kind, Load};
use crate::loads::boards;
use crate::loads::lockstep::Lockstep;
use crate::loads::measurement::Measurement;
use crate::loads::pipelined::Publishers;
use crate::outcome::Figures;
use crate::process::CpuTime;
use crate::server::Server;

/// A server with its clients, ready for the next slice.
pub struct Contender<'a> {
    server: &'a Server,
    fleet: Fleet,
    publishing: Publishing,
    cpu: CpuTime,
    delivered: u64,
}

enum Publishing {
    Lockstep(Lockstep),
    Pipelined(Publishers),
}

impl<'a> Contender<'a> {
    /// Connects the clients and warms up.
    pub fn new(load: &Load, server: &'a Server, waiting: Waiting) -> Result<Self> {
        let fleet = if let Some(far) = server.far() {
            boards::open(&server.target, far, load.clients, waiting)?
        } else {
            let mut fleet = Fleet::new(server.target.clone(), waiting)?;
            fleet.open(load.clients, true)?;
            fleet
        };
        let publishing = match load.kind {
            Kind::Lockstep => Publishing::Lockstep(Lockstep::among_all(load, &fleet)),
            Kind::Pipelined => Publishing::Pipelined(Publishers::among_all(load, &fleet)?),
            other => bail!("a duel is lockstep or pipelined; {} cannot be cut into slices", other.name()),
        };
        let mut contender = Self { server, fleet, publishing, cpu: CpuTime::default(), delivered: 0 };
        contender.slice(load.warm_up())?;
        contender.cpu = CpuTime::of_all(server.pids())?;
        contender.delivered = contender.fleet.meter().delivered();
        Ok(contender)
    }

    /// Publishes for so long, and leaves nothing under way.
    pub fn slice(&mut self, duration: Duration) -> Result<Figures> {
        let measurement = Measurement::begin(self.server, &mut self.fleet)?;
        match &mut self.publishing {
            Publishing::Lockstep(lockstep) => lockstep.go_on_for(duration, &mut self.fleet)?,
            Publishing::Pipelined(publishers) => {
                publishers.go_on_for(duration, &mut self.fleet)?;
                publishers.drain(&mut self.fleet)?;
            }
        }
        let mut figures = measurement.end(&mut self.fleet)?;
        // Its split from the total is sampled far too seldom for a slice; `user_us` has it for all of them.
        figures.remove("user_us_per_delivery");
        Ok(figures)
    }

    /// User time per delivery over all slices, in microseconds; and a last check of what every client saw.
    pub fn finish(mut self) -> Result<f64> {
        self.fleet.check_one_order_of_all()?;
        let cpu = CpuTime::of_all(self.server.pids())?.since(self.cpu);
        Ok(cpu.user_us() / (self.fleet.meter().delivered() - self.delivered) as f64)
    }
}
