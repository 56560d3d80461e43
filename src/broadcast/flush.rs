//! The flush: the only one that writes to a subscriber's socket.
//!
//! It runs once after all tasks that are ready have had their turn, so that what they published meanwhile leaves in one write for
//! each subscriber. What must stay true: it never waits for a socket, hands nobody more than [`FLUSH_BYTES_MAX`] in one turn, and
//! puts control bytes between two frames only.

use std::io::IoSlice;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use smol::future::{self, FutureExt, poll_fn};

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::{Client, LiveChannel, Subscribers};
use crate::broadcast::transport::{Transport, Written};
use crate::config::limits::{FLUSH_BYTES_MAX, FLUSH_SLICES_MAX};
use crate::hub::close_reason::CloseReason;
use crate::runtime::clock;
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

impl Broadcaster {
    /// Flushes whenever there is something to write, for ever.
    pub async fn run_flush(self: Rc<Self>) {
        loop {
            let look_again = self.flush();
            let dirty = poll_fn(|cx| self.poll_dirty(cx));
            if !self.dirty.borrow().is_empty() {
                // Some subscribers have more to get than one turn's share; other tasks run first.
                future::yield_now().await;
            }
            match look_again {
                None => dirty.await,
                Some(at) => dirty.or(Timer::at(at)).await,
            }
        }
    }

    fn poll_dirty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.dirty.borrow().is_empty() {
            return Poll::Ready(());
        }
        self.flush_waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Writes to every subscriber that has something to get and whose socket is not full, one channel after the other. Returns when to
    /// check again for subscribers that block publishers.
    pub(super) fn flush(self: &Rc<Self>) -> Option<Instant> {
        self.take_due_reviews();
        let mut dirty = self.flushing.take();
        std::mem::swap(&mut dirty, &mut self.dirty.borrow_mut());
        self.keep(&dirty);
        #[cfg(feature = "redis")]
        self.hand_over_parcels(&dirty);
        for live in dirty.drain(..) {
            live.is_dirty.set(false);
            self.flush_channel(&live);
        }
        // Its memory is for the next flush.
        self.flushing.set(dirty);
        if let Some(watcher) = self.flush_watcher.take() {
            watcher.wake();
        }
        self.in_review.borrow().iter().filter_map(|live| live.review_at.get()).min()
    }

    /// Has the channels flushed in which somebody's patience is over.
    fn take_due_reviews(&self) {
        let mut in_review = self.in_review.borrow_mut();
        if in_review.is_empty() {
            return;
        }
        let now = clock::now();
        in_review.retain(|live| live.review_at.get().is_some());
        for live in in_review.iter().filter(|live| live.review_at.get().is_some_and(|at| at <= now)) {
            self.mark_dirty(live);
        }
    }

    fn flush_channel(self: &Rc<Self>, live: &Rc<LiveChannel>) {
        let mut channel = live.channel.borrow_mut();
        let channel = &mut *channel;
        let pending_writes = live.pending_writes.take();
        if channel.has_unflushed() {
            self.write_unflushed(live, channel);
        } else {
            self.write_each(live, channel, pending_writes.into_iter().map(|slot| (slot, None)));
        }
        #[cfg(feature = "redis")]
        if let Some(relay) = &self.relay {
            self.take_in(relay, live, channel);
        }
        let needs_review = channel.needs_review();
        self.admit_waiting(live, channel);
        #[cfg(feature = "redis")]
        if let Some(relay) = &self.relay {
            relay.hand_over(live, channel);
        }
        if channel.has_unflushed() || channel.has_next_batch() {
            self.mark_dirty(live);
        }
        let review_at = if needs_review { self.expel_late(live, channel) } else { None };
        if live.review_at.replace(review_at).is_none() && review_at.is_some() {
            let mut in_review = self.in_review.borrow_mut();
            if !in_review.iter().any(|other| Rc::ptr_eq(other, live)) {
                in_review.push(Rc::clone(live));
            }
        }
        live.report(channel, &self.counters);
    }

    /// Writes what is new to everybody, with as little as possible between one call of the kernel and the next.
    fn write_unflushed(self: &Rc<Self>, live: &Rc<LiveChannel>, channel: &mut Subscribers) {
        let mut bytes_out = 0;
        let others = channel.share_unflushed(FLUSH_BYTES_MAX, |transport, slices| {
            if !transport.takes_unflushed() {
                return None;
            }
            match transport.write(slices) {
                Written::Bytes(bytes) => {
                    bytes_out += bytes as u64;
                    Some(bytes)
                }
                Written::Full => Some(0),
                Written::Broken => None,
            }
        });
        self.counters.bytes_out.add(bytes_out);
        self.write_each(live, channel, others);
        channel.end_round();
    }

    /// Writes to subscribers one by one what each lacks; those that have taken a part of a write already have to wait.
    fn write_each(
        self: &Rc<Self>,
        live: &Rc<LiveChannel>,
        channel: &mut Subscribers,
        subscribers: impl IntoIterator<Item = (usize, Option<usize>)>,
    ) {
        let mut streams = Vec::new();
        for (slot, written) in subscribers {
            if let Some(bytes) = written {
                channel.advance(slot, bytes);
                self.wait_until_writable(live, channel, slot);
            } else if channel.is_stream(slot) {
                streams.push(slot);
            } else {
                self.try_write(live, channel, slot);
            }
        }
        for slot in self.write_streams(live, channel, streams) {
            self.wait_until_writable(live, channel, slot);
        }
    }

    /// Leaves a subscriber alone until its socket takes more.
    fn wait_until_writable(self: &Rc<Self>, live: &Rc<LiveChannel>, channel: &Subscribers, slot: usize) {
        let transport = channel.get(slot).expect("the caller has just written to it");
        let client = Client { transport: Rc::clone(transport), live: Rc::clone(live) };
        let write_ready = Rc::clone(self).write_ready(client, slot);
        transport.block_writes(self.spawner.spawn(write_ready));
    }

    /// Writes to a subscriber, if its socket may take it.
    fn try_write(self: &Rc<Self>, live: &Rc<LiveChannel>, channel: &mut Subscribers, slot: usize) {
        match channel.get(slot) {
            Some(transport) if transport.write_blocked.get() => channel.reindex(slot),
            Some(_) => self.write_subscriber(live, channel, slot),
            None => {}
        }
    }

    /// Ends subscribers that have blocked publishers for too long.
    fn expel_late(&self, live: &Rc<LiveChannel>, channel: &mut Subscribers) -> Option<Instant> {
        let (late, look_again) = channel.review(clock::now());
        for slot in late {
            // Who is held has not been written to.
            if channel.get(slot).is_some_and(|transport| transport.is_held()) {
                continue;
            }
            self.expel(live, channel, slot);
        }
        if self.keeper.is_some() {
            // Others wait for the file with it. When that has come, it has all its patience.
            channel.excuse(|transport| transport.is_held());
        }
        look_again
    }

    /// Ends a subscriber that is too slow for the others.
    pub(super) fn expel(&self, live: &Rc<LiveChannel>, channel: &mut Subscribers, slot: usize) {
        let transport = Rc::clone(channel.get(slot).expect("whoever is late is here"));
        if channel.is_within_message(slot) {
            transport.abort();
        }
        self.unsubscribe(live, channel, &transport);
        transport.end(CloseReason::TooSlow);
    }

    /// Writes what one subscriber lacks, up to its share of a turn. The caller has seen that its writes are not blocked.
    pub(super) fn write_subscriber(self: &Rc<Self>, live: &Rc<LiveChannel>, channel: &mut Subscribers, slot: usize) {
        let transport = channel.get(slot).expect("the caller looked");
        let written = if transport.has_control() {
            let transport = Rc::clone(transport);
            let cleared = Self::write_control_between_frames(channel, slot, &transport, &self.counters);
            if cleared == Written::Full { cleared } else { self.write_frames(channel, slot) }
        } else {
            self.write_frames(channel, slot)
        };
        channel.reindex(slot);
        let transport = channel.get(slot).expect("writing removes nobody");
        if transport.ending() == Some(CloseReason::ServerStops) && channel.is_up_to_date(slot) {
            transport.wake();
        }
        if written == Written::Full {
            self.wait_until_writable(live, channel, slot);
        } else if written != Written::Broken && !channel.is_up_to_date(slot) {
            live.pending_writes.borrow_mut().push(slot);
            self.mark_dirty(live);
        }
    }

    /// Writes the frames that one subscriber lacks, in one call.
    fn write_frames(&self, channel: &mut Subscribers, slot: usize) -> Written {
        let mut slices = [IoSlice::new(&[]); FLUSH_SLICES_MAX];
        let filled = channel.pending(slot, &mut slices, FLUSH_BYTES_MAX);
        let slices = &slices[..filled];
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let transport = channel.get(slot).expect("the caller looked");
        let written = if filled == 0 { Written::Bytes(0) } else { transport.write(slices) };
        let bytes = if let Written::Bytes(bytes) = written { bytes } else { 0 };
        self.counters.bytes_out.add(bytes as u64);
        channel.advance(slot, bytes);
        // A socket that took a part is full: the next call would only say so.
        if matches!(written, Written::Bytes(bytes) if bytes < offered) { Written::Full } else { written }
    }

    /// Writes what is missing of a frame that is out in part, then the control bytes.
    fn write_control_between_frames(
        channel: &mut Subscribers,
        slot: usize,
        transport: &Transport,
        counters: &Counters,
    ) -> Written {
        let frame_tail = channel.frame_tail(slot).map(IoSlice::new);
        let tail_bytes = frame_tail[0].len() + frame_tail[1].len();
        if tail_bytes > 0 {
            let written = transport.write(&frame_tail);
            let Written::Bytes(bytes) = written else { return written };
            counters.bytes_out.add(bytes as u64);
            channel.advance(slot, bytes);
            if bytes < tail_bytes {
                return Written::Full;
            }
        }
        match transport.write_control() {
            Written::Bytes(bytes) => {
                counters.bytes_out.add(bytes as u64);
                if transport.has_control() { Written::Full } else { Written::Bytes(bytes) }
            }
            other => other,
        }
    }

    /// Waits until a full socket takes more, and has it written to.
    async fn write_ready(self: Rc<Self>, Client { transport, live }: Client, slot: usize) {
        transport.socket().writable().await;
        transport.write_blocked.set(false);
        if transport.slot.get() == Some(slot) {
            live.pending_writes.borrow_mut().push(slot);
            self.mark_dirty(&live);
        }
    }

    /// Writes a client's control bytes, and what else it lacks, now: before it leaves, or if it provokes so many that they
    /// cannot wait for the flush.
    pub fn write_now(self: &Rc<Self>, Client { transport, live }: &Client) {
        if let Some(slot) = transport.slot.get().filter(|_| !transport.write_blocked.get()) {
            self.write_subscriber(live, &mut live.channel.borrow_mut(), slot);
        }
    }
}
