//! How a connection becomes a subscriber of the channel, and the first frame that it gets.
//!
//! What must stay true: the first frame says where the subscriber starts, and every frame after it is a message.

use std::rc::Rc;

use serde_json::json;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::transport::Transport;
use crate::hub::channel::{Joined, Start};
use crate::hub::frame::Frame;
use crate::ws::handshake::{After, Upgrade};

/// Subscribes a client where the client wants to go on, or with the history that newcomers get.
pub fn subscribe(broadcaster: &Broadcaster, transport: &Rc<Transport>, upgrade: &Upgrade) {
    let (config, counters) = (broadcaster.config(), broadcaster.counters());
    if let Some(id) = upgrade.predecessor() {
        broadcaster.replace(id, false);
    }
    let after = upgrade.after.as_ref().filter(|_| upgrade.resumes);
    let known = after.filter(|after| after.epoch == counters.epoch && after.seq <= broadcaster.head());
    let start = known.map_or(Start::History(config.history), |After { seq, .. }| Start::After(*seq));
    let is_stranded = after.is_some() && known.is_none();
    let echo = upgrade.resumes || upgrade.echo.unwrap_or(config.echo);
    let id = if upgrade.resumes { broadcaster.assign_connection_id(transport) } else { String::new() };
    broadcaster.join(transport, echo, start, |joined, clients| match (upgrade.resumes, config.greeting.as_str()) {
        (true, _) => Frame::text(hello(broadcaster, &id, joined, clients, is_stranded)).to_vec(),
        (false, "") => Vec::new(),
        (false, greeting) => Frame::text(greeting.to_owned()).to_vec(),
    });
}

/// The first frame to a client that resumes.
fn hello(broadcaster: &Broadcaster, id: &str, joined: Joined, clients: usize, is_stranded: bool) -> String {
    let config = broadcaster.config();
    json!({
        "foghorn": 1,
        "greeting": config.greeting,
        "epoch": broadcaster.counters().epoch,
        "seq": joined.seq,
        "lost": (!is_stranded).then_some(joined.lost),
        "head": joined.head,
        "clients": clients,
        "maxMessage": config.limits.message_bytes_max,
        "id": id,
    })
    .to_string()
}
