//! The heartbeat. Pings silent clients, then drops them.
//!
//! Leaves writing pings to the flush. What must stay true: a client counts as silent only while the server reads from it; one
//! timer serves all, so an idle board can sleep.

use std::rc::Rc;
use std::time::Duration;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::{Client, LiveChannel, Subscribers};
use crate::config::limits::SWEEPS_PER_HEARTBEAT;
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::PING;
use crate::runtime::timer::Timer;

impl Broadcaster {
    /// Sweeps for silent clients several times in each heartbeat: one timer for all of them.
    pub async fn run_heartbeat(self: Rc<Self>, heartbeat: Duration) {
        loop {
            // No interval: after a pause of the whole machine it would be due many times over, with nothing read between.
            Timer::after(heartbeat / SWEEPS_PER_HEARTBEAT).await;
            self.sweep_silent();
        }
    }

    /// Pings clients silent for one heartbeat, ends those silent for two. The last bytes may have come just after a sweep, so one
    /// more sweep has to pass. A stream's client says nothing: it is told something after a heartbeat in which it was told nothing, and its
    /// end is found by the kernel.
    pub(super) fn sweep_silent(&self) {
        let sweep = self.sweep.get().wrapping_add(1);
        self.sweep.set(sweep);
        for live in self.channels().all() {
            self.sweep_channel(&live, sweep);
        }
    }

    fn sweep_channel(&self, live: &Rc<LiveChannel>, sweep: u32) {
        let mut gone = Vec::new();
        let mut has_pinged = false;
        let channel = live.channel.borrow();
        for (slot, transport) in channel.iter() {
            // A client whose publish is blocked, or waits for the file, is not read, so its silence means nothing.
            if transport.take_heard() || transport.publish_blocked.get() || transport.awaits_file.get() {
                transport.heard_sweep.set(sweep);
            }
            let silent_sweeps = sweep.wrapping_sub(transport.heard_sweep.get());
            if channel.is_stream(slot) {
                if silent_sweeps >= SWEEPS_PER_HEARTBEAT {
                    transport.heard_sweep.set(sweep);
                    has_pinged |= Self::beat(live, &channel, slot);
                }
                continue;
            }
            if silent_sweeps > 2 * SWEEPS_PER_HEARTBEAT {
                gone.push(Rc::clone(transport));
            } else if silent_sweeps == SWEEPS_PER_HEARTBEAT + 1 {
                transport.push_control(&PING);
                live.pending_writes.borrow_mut().push(slot);
                has_pinged = true;
            }
        }
        drop(channel);
        for transport in gone {
            self.unsubscribe(live, &mut live.channel.borrow_mut(), &transport);
            transport.end(CloseReason::Silent);
        }
        if has_pinged {
            self.mark_dirty(live);
        }
    }

    /// Has a stream sent a sign of life, if there is one for it and nothing else is on its way to it. Returns whether it has.
    fn beat(live: &LiveChannel, channel: &Subscribers, slot: usize) -> bool {
        let Some((transport, place)) = channel.get(slot).zip(channel.place(slot)) else { return false };
        let sign = place.encoding.heartbeat();
        let is_idle = channel.has_all(place) && !transport.has_control();
        if sign.is_empty() || !is_idle {
            return false;
        }
        transport.push_control(sign);
        live.pending_writes.borrow_mut().push(slot);
        true
    }

    /// Has a stream sent a sign of life now, which shows whether its client still reads.
    pub fn probe(&self, Client { transport, live }: &Client) {
        if transport.slot.get().is_some_and(|slot| Self::beat(live, &live.channel.borrow(), slot)) {
            self.mark_dirty(live);
        }
    }
}
