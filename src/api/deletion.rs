//! `DELETE`: a channel forgets its messages.
//!
//! Leaves what its clients are told to `broadcast`. What must stay true: whoever comes from now on gets none of them, and a channel that
//! does not exist is not made.

use std::rc::Rc;

use log::info;
use serde_json::json;

use crate::broadcast::broadcaster::Broadcaster;
use crate::http::short_answer::ShortAnswer;
use crate::hub::channel_name::ChannelName;

/// Does it, and says where the channel is now. 204 where there is nothing to forget.
pub async fn answer(broadcaster: &Rc<Broadcaster>, name: &ChannelName, peer: std::net::SocketAddr) -> ShortAnswer {
    let Some(live) = broadcaster.channels().find(name) else { return ShortAnswer::empty(204) };
    // Those who are told to begin anew too: they come back at once.
    let clients = live.clients();
    let position = broadcaster.clear(&live).await;
    info!("{peer} deleted the messages of /{}", if name.is_main() { String::new() } else { format!("c/{name}") });
    ShortAnswer::json(&json!({ "epoch": position.epoch, "seq": position.seq, "clients": clients }))
        .with("Foghorn-Seq", position)
}
