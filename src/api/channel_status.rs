//! `GET ?status`: the figures of one channel as JSON.
//!
//! Leaves those of the whole server to the page's `/status`. What must stay true: a look makes no channel, and shows no message.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::channel_figures::Figures;
use crate::http::host::page_address;
use crate::hub::channel_name::ChannelName;
use crate::runtime::boot_clock::secs_since;

/// The figures of this moment; `local_address` is the one of ours that the client has used. A channel that does not exist has no epoch,
/// and nobody in it. By those of the whole `server` a page knows how seldom it has to ask.
pub fn figures(broadcaster: &Broadcaster, name: &ChannelName, local_address: Option<SocketAddr>) -> Value {
    let address = local_address.map(page_address);
    let counters = broadcaster.counters();
    let server = json!({ "clients": counters.clients.get(), "channels": counters.channels.get() });
    let Some(live) = broadcaster.channels().find(name) else {
        return json!({
            "channel": name.as_str(), "epoch": null, "head": 0, "clients": 0, "address": address, "server": server,
        });
    };
    let Figures { clients, clients_behind, publishers_waiting, backlog_bytes, messages, deliveries, is_kept } =
        live.figures();
    let position = live.head_position();
    json!({
        "channel": name.as_str(),
        "epoch": position.epoch,
        "head": position.seq,
        "lastSecondsAgo": live.last_at_secs().map(secs_since),
        "clients": clients,
        "clientsBehind": clients_behind,
        "publishersWaiting": publishers_waiting,
        "messages": messages,
        "deliveries": deliveries,
        "backlogBytes": backlog_bytes,
        "backlogBytesMax": live.backlog_bytes,
        "kept": is_kept,
        "maxMessage": live.message_bytes_max,
        "address": address,
        "server": server,
    })
}
