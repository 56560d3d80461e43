//! Many small channels beside one large: as many clients, and as many deliveries for each message of all publishers.
//!
//! What must stay true: every channel has as many clients as the next, so both sides deliver alike.

use anyhow::{Result, bail};

use crate::fleet::{Fleet, Waiting};
use crate::load::Load;
use crate::loads::lockstep::Lockstep;
use crate::loads::sides::{self, Side};
use crate::outcome::Figures;
use crate::server::Server;

/// What a delivery costs in many channels, and what it costs in one.
pub fn run(load: &Load, server: &Server, waiting: Waiting) -> Result<Figures> {
    let each = load.clients / load.channels.max(1);
    if each * load.channels != load.clients || each == 0 {
        bail!("{} clients cannot be shared out evenly to {} channels", load.clients, load.channels);
    }
    let mut many = Fleet::new(server.target.clone(), waiting)?;
    for channel in 0..load.channels {
        many.open_at(server.target.at(&format!("/c/bench-{channel}")), each, true)?;
    }
    let publishers = (0..load.channels).map(|channel| channel * each).collect();
    let many = Side { name: "channels", lockstep: Lockstep::of(publishers, load, &many), fleet: many };
    let mut one = Fleet::new(server.target.clone(), waiting)?;
    one.open(load.clients, true)?;
    let one = Side { name: "one", lockstep: Lockstep::new(load, &one), fleet: one };
    sides::compare(load, server, [many, one])
}
