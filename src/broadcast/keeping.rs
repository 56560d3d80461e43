//! Channels that are kept in files: what is to be told is written there first.
//!
//! Leaves what is known of the files to `keeper`. What must stay true: a message is in the log, and so is told, only when its channel's
//! file has it, or nothing of that channel is kept any more; a count of messages is written behind them; the epoch, the numbers and the ids
//! that clients are told are those of the files.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use serde_json::{Value, json};
use smol::channel::{self, Sender};
use smol::future::poll_fn;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::keeper::{Context, Keeper};
use crate::broadcast::live_channel::{Client, LiveChannel, Subscribers, new_epoch};
use crate::hub::position::Position;
use crate::runtime::clock::{self, boot_secs, unix_secs};
use crate::storage::boot::Clocks;
use crate::storage::job::Job;
use crate::storage::segment::Beginning;

impl Broadcaster {
    /// Has everything written that is to be told next: of a channel whose file is being written to when that is done, so that all that has
    /// come meanwhile goes with one write, however long a disk takes for each.
    pub(super) fn keep(self: &Rc<Self>, dirty: &[Rc<LiveChannel>]) {
        let Some(keeper) = &self.keeper else { return };
        for live in dirty {
            let channel = &mut live.channel.borrow_mut();
            if channel.has_next_batch() {
                self.hand_over(keeper, live, channel);
            }
        }
        self.hand_over_connections(keeper);
        for live in dirty {
            self.turn(keeper, live);
        }
        self.make_room(keeper);
    }

    /// Has those give way that take the most of what they may, if the files take too much: who fills channels pays for it, and not who
    /// speaks next. Two turns take all that a channel has had.
    fn make_room(self: &Rc<Self>, keeper: &Keeper) {
        for _ in 0..2 {
            // What is under way gives room by and by.
            if keeper.segments_under_way.get() > 0 || !keeper.is_short_of_room(self.config().limits.message_bytes_max) {
                return;
            }
            let fullest = self.channels().all().into_iter().max_by_key(|live| live.kept_permille());
            if let Some(fullest) = fullest.filter(|live| live.kept_permille() > 0) {
                self.begin_next_segment(keeper, &fullest);
            }
        }
    }

    /// The folder, how many channels are kept there, and what is wrong, for people and programs; null if nothing is to be kept.
    pub fn state_figures(&self) -> Value {
        if let Some((folder, problem)) = &self.unusable_state {
            return json!({ "folder": folder, "channelsKept": 0, "bytes": 0, "problem": problem });
        }
        let Some(keeper) = &self.keeper else { return Value::Null };
        let (folder, bytes, mut problem) = keeper.figures();
        let mut channels_kept = 0;
        for live in self.channels().all() {
            channels_kept += u64::from(live.is_kept());
            if let Some(kept) = live.kept.borrow().as_ref() {
                problem = kept.problem.clone().or(problem);
            }
        }
        json!({ "folder": folder, "channelsKept": channels_kept, "bytes": bytes, "problem": problem })
    }

    /// Whether what is published waits for a disk, or for Redis.
    pub(super) fn waits_for_others(&self) -> bool {
        self.shares() || self.keeper.as_ref().is_some_and(|keeper| keeper.store.is_on_a_thread())
    }

    /// Writes what is left, and marks the end as one in order.
    pub fn end_keeping(self: &Rc<Self>) {
        let Some(keeper) = &self.keeper else { return };
        self.hand_over_all(keeper);
        self.hand_over_connections(keeper);
        keeper.end(Clocks { boot_secs: boot_secs(), unix_secs: unix_secs() });
    }

    /// Begins a new epoch of a channel; returns where that is when it is in the file, and told to those who are there.
    pub(super) async fn begin_kept_epoch(self: &Rc<Self>, keeper: &Keeper, live: &Rc<LiveChannel>) -> Option<Position> {
        let (tell, told) = channel::bounded(1);
        self.count_messages(keeper, live);
        {
            let mut channel = live.channel.borrow_mut();
            let chain = channel.chain()?;
            let beginning = {
                let mut kept = live.kept.borrow_mut();
                let kept = kept.as_mut()?;
                let before = kept.epoch_checksum();
                kept.begin_epoch(new_epoch());
                kept.epochs_under_way += 1;
                let mut log = keeper.connections.borrow_mut();
                // If it is not, nothing is known yet.
                if log.is_begun() {
                    log.renew(&live.name, before, kept.epoch_checksum());
                }
                kept.beginning(chain, false)
            };
            self.append_connections(keeper);
            self.begin_segment(keeper, live, &mut channel, beginning, Some(tell));
        }
        told.recv().await.ok()
    }

    /// Waits until everything is written that a client has published, and what it was told in its hello.
    pub async fn wait_until_kept(&self, Client { transport, live }: &Client) {
        // What others say waits for Redis for as long as that is away: longer than this client wants to.
        let target = if self.shares() { transport.staged_until.get() } else { live.channel.borrow().staged().0 };
        poll_fn(|cx| {
            if transport.is_held() {
                transport.wake_with(cx);
                return Poll::Pending;
            }
            let (_, committed) = live.channel.borrow().staged();
            #[cfg(feature = "redis")]
            if committed < target && live.relayed_mut(|relayed| relayed.wait_until(target, cx.waker())).is_some() {
                return Poll::Pending;
            }
            if let Some(kept) = live.kept.borrow_mut().as_mut().filter(|_| committed < target) {
                kept.waiting.push((target, cx.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Has a client wait that would be told of something that is not written yet.
    pub(super) fn hold(&self, client: &Client) {
        let Some(keeper) = &self.keeper else { return };
        if client.transport.connection_id.get().is_some() {
            client.transport.hold();
            keeper.held.borrow_mut().push(client.downgrade());
        } else if !client.live.is_told() {
            client.transport.hold();
            client.live.held.borrow_mut().push(client.downgrade());
        }
    }

    /// Has what is staged of all channels written.
    fn hand_over_all(self: &Rc<Self>, keeper: &Keeper) {
        for live in self.channels().all() {
            self.hand_over(keeper, &live, &mut live.channel.borrow_mut());
        }
    }

    /// Has what is staged of a channel written.
    fn hand_over(self: &Rc<Self>, keeper: &Keeper, live: &Rc<LiveChannel>, channel: &mut Subscribers) {
        let Some(batch) = channel.take_staged() else { return };
        if let Some(kept) = live.kept.borrow_mut().as_mut() {
            kept.next_seq += batch.messages as u64;
            kept.cost_bytes[1] += batch.cost_bytes;
        }
        let job = Job::Append(live.name.clone(), batch);
        if let Some(done) = keeper.store.submit(job, Context::Messages(Rc::clone(live))) {
            self.apply_to_channel(keeper, live, channel, done);
        }
    }

    /// Begins the next segment of a channel whose newest is full, or the file anew of one that has none.
    fn turn(self: &Rc<Self>, keeper: &Keeper, live: &Rc<LiveChannel>) {
        let is_due = {
            let kept = live.kept.borrow();
            // The name of a forgotten channel may be another's by now, and its files too.
            let Some(kept) = kept.as_ref().filter(|_| !live.is_forgotten()) else { return };
            let is_full = kept.is_there && kept.cost_bytes[1] >= live.capacity_bytes() / 2;
            is_full || kept.again_at.is_some_and(|at| at <= clock::now())
        };
        if is_due {
            self.begin_next_segment(keeper, live);
        }
    }

    fn begin_next_segment(self: &Rc<Self>, keeper: &Keeper, live: &Rc<LiveChannel>) {
        self.count_messages(keeper, live);
        let mut channel = live.channel.borrow_mut();
        let Some(chain) = channel.chain() else { return };
        let beginning = {
            let mut kept = live.kept.borrow_mut();
            let Some(kept) = kept.as_mut() else { return };
            let keeps_previous = kept.is_there;
            kept.cost_bytes = [if keeps_previous { kept.cost_bytes[1] } else { 0 }, 0];
            kept.again_at = None;
            kept.beginning(chain, keeps_previous)
        };
        self.begin_segment(keeper, live, &mut channel, beginning, None);
    }

    fn begin_segment(
        self: &Rc<Self>,
        keeper: &Keeper,
        live: &Rc<LiveChannel>,
        channel: &mut Subscribers,
        beginning: Arc<Beginning>,
        tell: Option<Sender<Position>>,
    ) {
        let job = Job::Begin(live.name.clone(), beginning);
        if let Some(done) = keeper.store.submit(job, Context::Segment(Rc::clone(live), tell)) {
            self.apply_to_channel(keeper, live, channel, done);
        } else {
            keeper.segments_under_way.set(keeper.segments_under_way.get() + 1);
        }
    }

    /// Has written how many messages of each connection of a channel are in files, before some of these go. All that is staged is handed
    /// over with that.
    fn count_messages(self: &Rc<Self>, keeper: &Keeper, live: &Rc<LiveChannel>) {
        self.hand_over_all(keeper);
        for (id, client) in self.connections() {
            if Rc::ptr_eq(&client.live, live) {
                let taken = client.transport.known().taken;
                keeper.connections.borrow_mut().count(id, &live.name, live.epoch_checksum(), taken);
            }
        }
        self.hand_over_connections(keeper);
    }

    /// Has written what is new of connections, behind what is there.
    fn append_connections(self: &Rc<Self>, keeper: &Keeper) {
        let mut log = keeper.connections.borrow_mut();
        if !log.has_new() {
            return;
        }
        let job = Job::AppendConnections(log.take());
        drop(log);
        if let Some(done) = keeper.store.submit(job, Context::Connections(Vec::new())) {
            self.apply(keeper, done);
        }
    }

    /// Has written what is new of connections, behind all messages that it counts.
    fn hand_over_connections(self: &Rc<Self>, keeper: &Keeper) {
        let held = keeper.held.take();
        // What an earlier process has left is in no record that stays: it goes into the file before any segment goes.
        let is_missing = !keeper.connections.borrow().is_begun() && !self.ended.borrow().is_empty();
        if held.is_empty() && !keeper.connections.borrow().has_new() && !is_missing {
            return;
        }
        self.hand_over_all(keeper);
        let mut log = keeper.connections.borrow_mut();
        let is_due = keeper.connections_again_at.get().is_some_and(|at| at <= clock::now());
        let job = if log.is_long() || is_due {
            keeper.connections_again_at.set(None);
            log.clear();
            self.ended.borrow().each(|id, channel, taken| {
                // Of a channel that is no more nothing comes back.
                if let Some(live) = self.channels().get(channel) {
                    log.end(id, channel, live.epoch_checksum(), taken);
                }
            });
            for (id, Client { transport, live }) in self.connections() {
                log.join(id, &live.name, live.epoch_checksum(), transport.known().taken);
            }
            Job::BeginConnections(log.take())
        } else {
            Job::AppendConnections(log.take())
        };
        drop(log);
        if let Some(done) = keeper.store.submit(job, Context::Connections(held)) {
            self.apply(keeper, done);
        }
    }
}

#[cfg(test)]
mod tests;
