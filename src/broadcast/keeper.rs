//! The way to the files in which channels and connections are kept, and what is known of that of connections.
//!
//! Leaves files to `storage`, and what is handed over when to `keeping`. What must stay true: what could not be kept is told to whoever runs
//! the server, and tried again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use log::{info, warn};
use smol::channel::Sender;

use crate::broadcast::connection_log::ConnectionLog;
use crate::broadcast::kept::Kept;
use crate::broadcast::live_channel::{ClientRef, LiveChannel, new_epoch};
use crate::config::limits::{KEEP_AGAIN_AFTER, STAGED_BYTES_MAX};
use crate::hub::position::Position;
use crate::hub::record::Chain;
use crate::runtime::clock;
use crate::storage::boot::Clocks;
use crate::storage::damage::KeepingEnded;
use crate::storage::job::Job;
use crate::storage::store::{Done, Store};

/// What is kept, and how.
pub struct Keeper {
    pub(super) store: Store<Context>,
    pub(super) connections: RefCell<ConnectionLog>,
    /// New segments that the thread has to begin.
    pub(super) segments_under_way: Cell<usize>,
    /// Clients that are told nothing before what is in `connections` is written.
    pub(super) held: RefCell<Vec<ClientRef>>,
    /// When the connections are tried again, if they are not kept.
    pub(super) connections_again_at: Cell<Option<Instant>>,
    /// Why they are not, for people.
    connections_problem: RefCell<Option<String>>,
}

/// What a job is about.
#[derive(Debug)]
pub enum Context {
    /// Messages of a channel.
    Messages(Rc<LiveChannel>),
    /// A segment of one. With whom to tell, it is of a new epoch.
    Segment(Rc<LiveChannel>, Option<Sender<Position>>),
    /// Connections, and the clients that wait for that.
    Connections(Vec<ClientRef>),
    /// A channel that is forgotten.
    Forgotten,
}

impl Keeper {
    /// Keeps channels by way of `store`.
    pub fn new(store: Store<Context>) -> Self {
        Self {
            store,
            connections: RefCell::new(ConnectionLog::new()),
            segments_under_way: Cell::new(0),
            held: RefCell::default(),
            connections_again_at: Cell::new(None),
            connections_problem: RefCell::default(),
        }
    }

    /// What the clock of the files is ahead of this boot's.
    pub(super) fn clock_offset_secs(&self) -> i32 {
        self.store.clock_offset_secs()
    }

    /// Has the file of a channel begun that has just been made.
    pub(super) fn begin(&self, live: &Rc<LiveChannel>) {
        let chain = Chain::new(fastrand::u32(..));
        live.channel.borrow_mut().keep(chain, self.store.clock_offset_secs());
        let head = live.head_position();
        let kept = live.kept.borrow_mut().insert(Kept::new(head.epoch, head.seq + 1)).beginning(chain, false);
        let job = Job::Begin(live.name.clone(), kept);
        let Some(Done { result, .. }) = self.store.submit(job, Context::Segment(Rc::clone(live), None)) else {
            self.segments_under_way.set(self.segments_under_way.get() + 1);
            return;
        };
        self.note_begun(live, result.as_ref().err());
        if result.is_err_and(|ended| !ended.files_removed) {
            // One stays behind that has this epoch. Nobody was told of it yet.
            let epoch = new_epoch();
            live.channel.borrow_mut().clear(epoch.clone());
            if let Some(kept) = live.kept.borrow_mut().as_mut() {
                kept.begin_epoch(epoch);
            }
        }
    }

    /// Has the files of a channel removed.
    pub(super) fn forget(&self, live: &LiveChannel) {
        self.store.submit(Job::Remove(live.name.clone()), Context::Forgotten);
    }

    /// The folder, what its files take in bytes, and why connections are not kept, if they are not.
    pub(super) fn figures(&self) -> (&str, u64, Option<String>) {
        (self.store.folder(), self.store.bytes(), self.connections_problem.borrow().clone())
    }

    /// Marks the end as one in order, after all else that was handed over.
    pub(super) fn end(&self, now: Clocks) {
        if let Err(error) = self.store.end(now) {
            warn!(
                "the state in {} is not marked as complete ({error}): after a reboot it does not count",
                self.store.folder()
            );
        }
    }

    /// Notes what became of a channel's new segment. Returns the clients that have waited for it.
    pub(super) fn note_begun(&self, live: &LiveChannel, error: Option<&KeepingEnded>) -> Vec<ClientRef> {
        let mut kept = live.kept.borrow_mut();
        let kept = kept.as_mut().expect("it has a file, or had");
        if let Some(ended) = error {
            kept.note_ended(&live.name.address(), ended);
        } else {
            if kept.problem.take().is_some() {
                info!("{} is kept in {} again", live.name.address(), self.store.folder());
            }
            (kept.is_there, kept.again_at) = (true, None);
        }
        kept.is_begun = true;
        live.held.take()
    }

    /// Notes what became of what was written of connections.
    pub(super) fn note_connections(&self, error: Option<&KeepingEnded>) {
        let mut problem = self.connections_problem.borrow_mut();
        let Some(ended) = error else {
            *problem = None;
            self.connections_again_at.set(None);
            return;
        };
        if problem.is_none() {
            let sentence = format!("connections are not kept: {}", ended.why);
            warn!("{sentence}; after a restart, clients are not told what of theirs got through");
            *problem = Some(sentence);
        }
        // What follows until then fails as well, and puts nothing off.
        let again_at = self.connections_again_at.get().unwrap_or_else(|| clock::now() + KEEP_AGAIN_AFTER);
        self.connections_again_at.set(Some(again_at));
    }

    /// Whether the files should take less, so that the next messages fit as well.
    pub(super) fn is_short_of_room(&self, message_bytes_max: usize) -> bool {
        let budget_bytes = self.store.budget_bytes();
        let next_bytes = (STAGED_BYTES_MAX.max(message_bytes_max) as u64).min(budget_bytes / 4);
        self.store.bytes() + next_bytes > budget_bytes
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_as_long_as_the_next_messages_fit_or_a_quarter_is_free() {
        let (store, hand) = Store::by_hand();
        let keeper = Keeper::new(store);
        let budget_bytes = keeper.store.budget_bytes();
        let large = STAGED_BYTES_MAX + 1;
        for (message_bytes_max, free) in
            [(1, STAGED_BYTES_MAX as u64), (large, large as u64), (usize::MAX, budget_bytes / 4)]
        {
            hand.tell_bytes(budget_bytes - free);
            assert!(!keeper.is_short_of_room(message_bytes_max));
            hand.tell_bytes(budget_bytes - free + 1);
            assert!(keeper.is_short_of_room(message_bytes_max));
        }
    }
}
