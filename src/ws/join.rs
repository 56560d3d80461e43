//! How a connection becomes a subscriber of the channel, and the first frame that it gets.
//!
//! What must stay true: the first frame says where the subscriber starts, and every frame after it is a message.

use std::rc::Rc;

use serde_json::json;

use crate::broadcast::broadcaster::Hall;
use crate::broadcast::transport::Link;
use crate::hub::channel::{Joined, Start};
use crate::hub::frame::Frame;
use crate::ws::handshake::{After, Upgrade};

/// Joins the room where the client wants to go on, or with the history that newcomers get.
pub fn enter(hall: &Hall, link: &Rc<Link>, upgrade: &Upgrade) {
    let (config, stats) = (hall.config(), hall.stats());
    if let Some(name) = upgrade.replaces.as_ref().filter(|_| upgrade.resumes) {
        hall.replace(name);
    }
    let after = upgrade.after.as_ref().filter(|_| upgrade.resumes);
    let known = after.filter(|after| after.epoch == stats.epoch && after.seq <= hall.head());
    let start = known.map_or(Start::History(config.history), |After { seq, .. }| Start::After(*seq));
    let is_stranded = after.is_some() && known.is_none();
    let echo = upgrade.resumes || upgrade.echo.unwrap_or(config.echo);
    let name = if upgrade.resumes { hall.name(link) } else { String::new() };
    hall.join(link, echo, start, |joined, clients| match (upgrade.resumes, config.greeting.as_str()) {
        (true, _) => Frame::text(hello(hall, &name, joined, clients, is_stranded)).to_vec(),
        (false, "") => Vec::new(),
        (false, greeting) => Frame::text(greeting.to_owned()).to_vec(),
    });
}

/// The first frame to a client that resumes.
fn hello(hall: &Hall, name: &str, joined: Joined, clients: usize, is_stranded: bool) -> String {
    let config = hall.config();
    json!({
        "foghorn": 1,
        "greeting": config.greeting,
        "epoch": hall.stats().epoch,
        "seq": joined.seq,
        "lost": (!is_stranded).then_some(joined.lost),
        "head": joined.head,
        "clients": clients,
        "maxMessage": config.limits.message_bytes_max,
        "id": name,
    })
    .to_string()
}
