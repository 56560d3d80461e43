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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hub::channel_name::ChannelName;

    #[test]
    fn each_form_has_it_as_docs_wire_says() {
        let name = ChannelName::parse("lights").unwrap();
        let live = LiveChannel::new(name, 100, 1000, Duration::from_secs(1)).unwrap();
        let joined = Joined { slot: 0, epoch: "abc".to_owned(), seq: 5, lost: 2, head: 7 };
        let of = |encoding, is_stranded| {
            let hello = stream_hello(encoding, &live, "fog", &joined, 3, is_stranded, true);
            String::from_utf8(hello).unwrap()
        };
        let fields = |lost: &str| {
            format!(
                r#"{{"foghorn":1,"greeting":"fog","channel":"lights","epoch":"abc","seq":5,"lost":{lost},"head":7,"clients":3,"maxMessage":100,"send":true}}"#
            )
        };
        assert_eq!(of(Encoding::Events, false), format!("event: hello\nid: abc:5\ndata: {}\n\n", fields("2")));
        assert_eq!(of(Encoding::Json, true), format!("{}\n", fields("null")));
        assert_eq!(of(Encoding::Lines, false), "");
    }
}
