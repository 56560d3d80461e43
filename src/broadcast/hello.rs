//! The hello: where somebody starts who counts messages.
//!
//! Leaves to others how it is sent. What must stay true: its fields are those of `docs/wire.md`, and none goes.

use serde_json::{Value, json};

use crate::broadcast::live_channel::LiveChannel;
use crate::hub::channel::Joined;
use crate::hub::stream_encoding::Encoding;

/// The fields for one that has just joined. `clients` are there by now; `is_stranded`: it has named a place that is not known here.
pub fn hello(
    live: &LiveChannel,
    greeting: &str,
    joined: &Joined,
    clients: usize,
    is_stranded: bool,
    may_send: bool,
) -> Value {
    json!({
        "foghorn": 1,
        "greeting": greeting,
        "channel": live.name.as_str(),
        "epoch": joined.epoch,
        "seq": joined.seq,
        "lost": (!is_stranded).then_some(joined.lost),
        "head": joined.head,
        "clients": clients,
        "maxMessage": live.message_bytes_max,
        "send": may_send,
    })
}

/// The hello of a stream.
pub fn stream_hello(
    encoding: Encoding,
    live: &LiveChannel,
    greeting: &str,
    joined: &Joined,
    clients: usize,
    is_stranded: bool,
    may_send: bool,
) -> Vec<u8> {
    let fields = || hello(live, greeting, joined, clients, is_stranded, may_send);
    match encoding {
        Encoding::Events => {
            let Joined { epoch, seq, .. } = joined;
            format!("event: hello\nid: {epoch}:{seq}\ndata: {}\n\n", fields()).into_bytes()
        }
        Encoding::Json => format!("{}\n", fields()).into_bytes(),
        // It has no place for anything but messages.
        Encoding::Lines => Vec::new(),
    }
}
