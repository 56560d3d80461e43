//! `DELETE`: a channel forgets its messages.
//!
//! Leaves what its clients are told to `broadcast`. What must stay true: whoever comes from now on gets none of them, and a channel that
//! does not exist is not made.

use std::rc::Rc;

use log::info;
use serde_json::json;

use crate::broadcast::broadcaster::Broadcaster;
#[cfg(feature = "redis")]
use crate::broadcast::requesting::ClearError;
use crate::http::refusal::Refusal;
#[cfg(feature = "redis")]
use crate::http::refusal::{LOG_AWAY, MAY_COME};
use crate::http::short_answer::ShortAnswer;
use crate::hub::channel_name::ChannelName;

/// Does it, and says where the channel is now. 204 where there is nothing to forget.
///
/// # Errors
/// If the log that all boards share is away.
pub async fn answer(
    broadcaster: &Rc<Broadcaster>,
    name: &ChannelName,
    peer: std::net::SocketAddr,
) -> Result<ShortAnswer, Refusal> {
    let live = broadcaster.channels().find(name);
    // Those who are told to begin anew too: they come back at once.
    let clients = live.as_ref().map_or(0, |live| live.clients());
    let position = match live {
        #[cfg(feature = "redis")]
        live if broadcaster.shares() => {
            broadcaster.clear_shared(name, live.as_ref()).await.map_err(|error| match error {
                ClearError::Away => LOG_AWAY,
                ClearError::Unsure => MAY_COME,
            })?
        }
        Some(live) => Some(broadcaster.clear(&live).await),
        None => None,
    };
    let Some(position) = position else { return Ok(ShortAnswer::empty(204)) };
    info!("{peer} deleted the messages of /{}", if name.is_main() { String::new() } else { format!("c/{name}") });
    Ok(ShortAnswer::json(&json!({ "epoch": position.epoch, "seq": position.seq, "clients": clients }))
        .with("Foghorn-Seq", position))
}
