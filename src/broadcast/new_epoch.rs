//! A channel's messages are deleted, which begins a new epoch.
//!
//! Leaves to `hub::epochs` which frame is of which. What must stay true: clients that count are told by the end of their connections, and
//! get nothing of the new epoch, which they would count with the old one; the others notice nothing.

use std::rc::Rc;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::{LiveChannel, Subscribers, new_epoch};
use crate::broadcast::transport::Transport;
use crate::hub::close_reason::CloseReason;
use crate::hub::epochs::Beginning;
use crate::hub::position::Position;

impl Broadcaster {
    /// Forgets a channel's messages; returns where the new epoch begins.
    pub async fn clear(self: &Rc<Self>, live: &Rc<LiveChannel>) -> Position {
        if let Some(keeper) = &self.keeper {
            if let Some(position) = self.begin_kept_epoch(keeper, live).await {
                return position;
            }
        }
        self.begin_epoch(live, &mut live.channel.borrow_mut(), new_epoch())
    }

    /// Begins an epoch.
    pub(super) fn begin_epoch(
        self: &Rc<Self>,
        live: &Rc<LiveChannel>,
        channel: &mut Subscribers,
        beginning: impl Into<Beginning>,
    ) -> Position {
        let counts = |(_, transport): &(usize, &Rc<Transport>)| transport.connection_id.get().is_some();
        let counting: Vec<_> =
            channel.iter().filter(counts).map(|(slot, transport)| (slot, Rc::clone(transport))).collect();
        for (slot, transport) in counting {
            // Now, and not when its task runs: until then there may be messages of the new epoch.
            if !transport.write_blocked.get() {
                self.write_subscriber(live, channel, slot);
            }
            self.unsubscribe(live, channel, &transport);
            transport.end(CloseReason::NewEpoch);
        }
        for slot in channel.clear(beginning) {
            self.expel(live, channel, slot);
        }
        let mut pending_writes = live.pending_writes.borrow_mut();
        pending_writes.extend(channel.streams());
        // As many connections as there may be can ask for this before the next flush.
        pending_writes.sort_unstable();
        pending_writes.dedup();
        drop(pending_writes);
        self.mark_dirty(live);
        channel.head_position()
    }
}
