//! Connections of clients that are gone without a word: the server finds that out in time.
//!
//! Leaves to others how they were. What must stay true: only those are looked after of which it is certain that the server had nothing to wait for.

use std::time::Duration;

use foghorn::config::limits::CLOSING_TIMEOUT;

use crate::actor::Context;
use crate::net::wire::Wire;

/// What is between the server and the network beside their own time.
const SLACK: Duration = Duration::from_millis(10);

/// Those of one client.
#[derive(Debug, Default)]
pub struct Vanished {
    connections: Vec<(Wire, Duration, Duration)>,
}

impl Vanished {
    /// One that was let in and is gone now, after so many halves of a heartbeat at the latest; its way takes so long.
    pub fn add(&mut self, cx: &Context<'_>, wire: &Wire, half_heartbeats: u32, latency: Duration) {
        // What waits for a disk is not read, and its silence means nothing.
        if let Some(heartbeat) = cx.book.limits.heartbeat.filter(|_| !cx.book.has_disk()) {
            let due = cx.now + heartbeat / 2 * half_heartbeats + CLOSING_TIMEOUT * 3 + latency * 4 + SLACK;
            self.connections.push((wire.clone(), cx.now, due));
        }
    }

    /// Whether none is with the server that should not be. `wakes` gets when it is looked again.
    ///
    /// # Errors
    /// If one is.
    pub fn check(&mut self, cx: &Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        self.connections.retain(|(wire, ..)| wire.is_at_server());
        for (_, since, due) in &self.connections {
            if cx.now > *due {
                return Err(format!(
                    "not dropped: client {} has vanished at {since:?}, and the server has its connection at {:?} (heartbeat {:?})",
                    cx.id, cx.now, cx.book.limits.heartbeat
                ));
            }
            wakes.push(*due + Duration::from_millis(1));
        }
        Ok(())
    }
}
