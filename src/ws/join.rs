//! How a connection becomes a subscriber of its channel, and the first frame that it gets.
//!
//! What must stay true: the first frame says where the subscriber starts, and every frame after it is a message.

use serde_json::Value;

use crate::access::codes::Right;
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::hello::hello;
use crate::broadcast::live_channel::Client;
use crate::hub::frame::Frame;
use crate::ws::handshake::Upgrade;

/// What is known of a connection that was one to another board: how many messages of it are in the log of all, if that is known.
pub type TakenElsewhere = Option<Option<u64>>;

/// Subscribes a client where the client wants to go on, or with the history that it wants. `by_code`: the right that it has shown by a code;
/// `elsewhere`: what is known of its last connection, if that was to another board.
pub fn subscribe(
    broadcaster: &Broadcaster,
    client: &Client,
    upgrade: &Upgrade,
    by_code: Option<Right>,
    elsewhere: TakenElsewhere,
) {
    let config = broadcaster.config();
    let taken: Option<Value> = upgrade.predecessor().map(|id| {
        broadcaster.replace(id, false);
        let here = || broadcaster.known(id, &client.live.name).map(|known| known.taken);
        elsewhere.unwrap_or_else(here).into()
    });
    let after = upgrade.after.as_ref().filter(|_| upgrade.resumes);
    let (start, is_stranded) = client.live.start(after, upgrade.history.unwrap_or(config.history));
    let echo = upgrade.resumes || upgrade.echo.unwrap_or(config.echo);
    let id = upgrade.resumes.then(|| broadcaster.assign_connection_id(client, by_code));
    broadcaster.join(client, echo, start, |joined, clients| match (id, config.greeting.as_str()) {
        (Some(id), greeting) => {
            let mut hello = hello(&client.live, greeting, joined, clients, is_stranded, client.transport.may_send);
            hello["id"] = id.to_string().into();
            if let Some(taken) = taken {
                hello["taken"] = taken;
            }
            Frame::text(hello.to_string()).to_vec()
        }
        (None, "") => Vec::new(),
        (None, greeting) => Frame::text(greeting.to_owned()).to_vec(),
    });
}
