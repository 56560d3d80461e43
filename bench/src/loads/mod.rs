//! Does a load to a server: each kind has a file of its own, and here is only which one.
//!
//! The files know nothing of this one. What must stay true: a load that saw a message lost, doubled or reordered returns
//! an error, and its figures are never shown.

use anyhow::{Result, bail};

use crate::fleet::{Fleet, Waiting};
use crate::load::{Kind, Load};
use crate::outcome::Figures;
use crate::server::Server;

mod answers;
mod arrivals;
mod boards;
mod channels;
pub mod contender;
mod forgotten;
mod idle;
mod kept;
mod lockstep;
mod measurement;
mod paced;
mod page_requests;
mod page_storm;
mod pages;
mod pipelined;
mod posts;
mod sides;
mod streams;
mod visit;

/// Does this load to the server.
pub fn run(load: &Load, server: &Server, waiting: Waiting) -> Result<Figures> {
    let fleet = Fleet::new(server.websockets().clone(), waiting)?;
    match load.kind {
        Kind::Lockstep => lockstep::run(load, server, fleet),
        Kind::Big => lockstep::run_big(load, server, fleet),
        Kind::Pipelined => pipelined::run(load, server, fleet),
        Kind::Paced => paced::run(load, server, fleet),
        Kind::Idle => idle::run(load, server, fleet),
        Kind::Connect => arrivals::connect(load, server, fleet),
        Kind::Storm => arrivals::storm(load, server, fleet),
        Kind::Pages => pages::run(load, server),
        Kind::PageRequests => page_requests::run(load, server, waiting),
        Kind::Streams => streams::run(load, server, waiting),
        Kind::IdleStreams => idle::run_streams(load, server, fleet),
        Kind::Posts => posts::run(load, server, fleet, waiting),
        Kind::NewPosts => posts::run_new(load, server),
        Kind::Channels => channels::run(load, server, waiting),
        Kind::Forgotten => forgotten::run(load, server, fleet),
        Kind::Boards => bail!("boards are two servers, and have a command of their own"),
        Kind::PageStorm => page_storm::run(load, server, fleet, waiting),
    }
}
