//! What was handed over is in the files, or could not be kept: messages come into the log, and clients are told.
//!
//! Leaves handing over to `keeping`. What must stay true: whatever becomes of a file, each message comes into the log once and in its turn;
//! where files stay behind that are not written to any more, the epoch changes before anybody is told more.

use std::rc::Rc;

use smol::future;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::keeper::{Context, Keeper};
use crate::broadcast::live_channel::{ClientRef, LiveChannel, Subscribers, new_epoch};
use crate::broadcast::waiter::Outcome;
use crate::hub::staging::Batch;
use crate::storage::damage::KeepingEnded;
use crate::storage::job::Job;
use crate::storage::store::Done;

impl Broadcaster {
    /// Applies what the thread of the files has done, for ever.
    pub async fn run_keeping(self: Rc<Self>) {
        let Some(keeper) = &self.keeper else { return future::pending().await };
        loop {
            let done = keeper.store.next_done().await;
            self.apply(keeper, done);
        }
    }

    /// Applies what is done by now.
    #[cfg(test)]
    pub(super) fn apply_done(self: &Rc<Self>) {
        let keeper = self.keeper.as_ref().expect("something is kept");
        while let Some(done) = keeper.store.try_next_done() {
            self.apply(keeper, done);
        }
    }

    fn release(&self, clients: &[ClientRef]) {
        for client in clients.iter().filter_map(ClientRef::upgrade) {
            client.transport.release();
            self.schedule(&client);
        }
    }

    pub(super) fn apply(self: &Rc<Self>, keeper: &Keeper, done: Done<Context>) {
        match &done.context {
            Context::Messages(live) | Context::Segment(live, _) => {
                if matches!(done.context, Context::Segment(..)) {
                    keeper.segments_under_way.set(keeper.segments_under_way.get() - 1);
                }
                let live = Rc::clone(live);
                self.apply_to_channel(keeper, &live, &mut live.channel.borrow_mut(), done);
                self.mark_dirty(&live);
            }
            Context::Connections(held) => {
                keeper.note_connections(done.result.as_ref().err());
                self.release(held);
            }
            Context::Forgotten => {}
        }
    }

    pub(super) fn apply_to_channel(
        self: &Rc<Self>,
        keeper: &Keeper,
        live: &Rc<LiveChannel>,
        channel: &mut Subscribers,
        Done { job, context, result }: Done<Context>,
    ) {
        match (job, context) {
            (Job::Append(_, batch), _) => {
                if let Err(ended) = &result {
                    if let Some(kept) = live.kept.borrow_mut().as_mut() {
                        kept.note_ended(&live.name.address(), ended);
                    }
                    self.leave_files(live, channel, ended);
                }
                Self::commit(live, channel, batch);
            }
            (Job::Begin(_, beginning), Context::Segment(_, tell)) => {
                self.release(&keeper.note_begun(live, result.as_ref().err()));
                if tell.is_some() {
                    if let Some(kept) = live.kept.borrow_mut().as_mut() {
                        kept.epochs_under_way -= 1;
                    }
                    self.begin_epoch(live, channel, beginning.epoch.clone());
                }
                if let Err(ended) = &result {
                    self.leave_files(live, channel, ended);
                }
                if let Some(tell) = tell {
                    // Whoever has asked may have gone.
                    let _ = tell.try_send(channel.head_position());
                }
            }
            _ => {}
        }
    }

    /// Begins a new epoch if a channel's files stay behind that it does not write to any more: their numbers would be used twice, also
    /// those of an epoch that has just begun.
    fn leave_files(self: &Rc<Self>, live: &Rc<LiveChannel>, channel: &mut Subscribers, ended: &KeepingEnded) {
        if ended.files_removed {
            return;
        }
        let epoch = new_epoch();
        if let Some(kept) = live.kept.borrow_mut().as_mut().filter(|kept| kept.epochs_under_way == 0) {
            kept.begin_epoch(epoch.clone());
            kept.next_seq += channel.staged_and_taken();
        }
        self.begin_epoch(live, channel, epoch);
    }

    /// Puts messages into the log that are in the file.
    fn commit(live: &LiveChannel, channel: &mut Subscribers, batch: Batch) {
        for (number, position) in channel.commit(batch) {
            if let Some(waiter) = live.waiting_posts.borrow_mut().get_mut(&number) {
                waiter.settle(Outcome::Published(position));
            }
        }
        let (_, committed) = channel.staged();
        if let Some(kept) = live.kept.borrow_mut().as_mut() {
            kept.waiting.retain(|(target, waker)| {
                if *target <= committed {
                    waker.wake_by_ref();
                }
                *target > committed
            });
        }
    }
}
