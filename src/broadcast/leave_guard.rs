//! Takes a client out of its channel, however its task ends.
//!
//! Leaves the connection to its owner. What must stay true: it holds when the task panics, too.

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::Client;

/// Removes the client from its channel at the drop.
#[derive(Debug)]
pub struct LeaveGuard<'a> {
    /// Where it is connected.
    pub broadcaster: &'a Broadcaster,
    /// The client.
    pub client: &'a Client,
}

impl Drop for LeaveGuard<'_> {
    fn drop(&mut self) {
        self.broadcaster.leave(self.client);
        self.broadcaster.forget(self.client);
    }
}
