//! Receivers by event stream beside as many by WebSocket, each with a publisher by WebSocket in a channel of its own.
//!
//! What must stay true: the two sides differ in nothing but the way of the receivers.

use anyhow::Result;

use crate::client::Target;
use crate::fleet::{Fleet, Waiting};
use crate::load::Load;
use crate::loads::lockstep::Lockstep;
use crate::loads::sides::{self, Side};
use crate::outcome::Figures;
use crate::server::Server;

/// What a delivery by event stream costs, and what one by WebSocket.
pub fn run(load: &Load, server: &Server, waiting: Waiting) -> Result<Figures> {
    let side = |name, channel: &Target, receivers: Target| -> Result<Side> {
        let mut fleet = Fleet::new(channel.clone(), waiting)?;
        fleet.open(1, true)?;
        fleet.open_at(receivers, load.clients, true)?;
        Ok(Side { name, lockstep: Lockstep::new(load, &fleet), fleet })
    };
    let channels = ["/c/streams", "/c/websockets"].map(|path| server.target.at(path));
    let streams = side("stream", &channels[0], channels[0].events())?;
    let websockets = side("websocket", &channels[1], channels[1].clone())?;
    sides::compare(load, server, [streams, websockets])
}
