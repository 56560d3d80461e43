//! What is known of the file of one channel: what was handed over to it, and whether it takes that.
//!
//! Leaves handing over to `keeping`. What must stay true: the epoch and the number are those behind all that was handed over, whether it is
//! written yet or not; what could not be kept is told to whoever runs the server.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use log::warn;

use crate::config::limits::KEEP_AGAIN_AFTER;
use crate::hub::record::Chain;
use crate::runtime::clock;
use crate::storage::connection_record::epoch_checksum;
use crate::storage::damage::KeepingEnded;
use crate::storage::segment::Beginning;

/// What is known of a channel's file.
#[derive(Debug)]
pub struct Kept {
    /// Whether there is one.
    pub(super) is_there: bool,
    /// Whether it has been there, or is not to be waited for, so that the epoch may be told.
    pub(super) is_begun: bool,
    /// When it is tried again, if it is not kept.
    pub(super) again_at: Option<Instant>,
    /// Why it is not, for people.
    pub(super) problem: Option<String>,
    /// The epoch behind all that was handed over.
    epoch: String,
    /// The number of the next message that is handed over.
    pub(super) next_seq: u64,
    /// What the messages of the two segments take of a log, the older one first.
    pub(super) cost_bytes: [usize; 2],
    /// New epochs that were handed over, and that the channel does not have yet.
    pub(super) epochs_under_way: usize,
    /// Who waits until so many messages were committed.
    pub(super) waiting: Vec<(u64, Waker)>,
}

impl Kept {
    /// Nothing is handed over yet of a channel that has this epoch, and goes on at this number.
    pub(super) fn new(epoch: String, next_seq: u64) -> Self {
        Self {
            is_there: false,
            is_begun: false,
            again_at: None,
            problem: None,
            epoch,
            next_seq,
            cost_bytes: [0, 0],
            epochs_under_way: 0,
            waiting: Vec::new(),
        }
    }

    /// The file is there, and its newest segment has messages that take so much.
    pub(super) fn restored(epoch: String, next_seq: u64, segment_cost_bytes: usize) -> Self {
        Self { is_there: true, is_begun: true, cost_bytes: [0, segment_cost_bytes], ..Self::new(epoch, next_seq) }
    }

    /// A segment behind all that was handed over.
    pub(super) fn beginning(&self, chain: Chain, keeps_previous: bool) -> Arc<Beginning> {
        Arc::new(Beginning { epoch: self.epoch.clone(), first_seq: self.next_seq, chain, keeps_previous })
    }

    /// By which the epoch is known to the file of connections.
    pub(super) fn epoch_checksum(&self) -> u32 {
        epoch_checksum(&self.epoch)
    }

    /// Notes that a new epoch is handed over.
    pub(super) fn begin_epoch(&mut self, epoch: String) {
        (self.epoch, self.next_seq, self.cost_bytes) = (epoch, 1, [0, 0]);
    }

    /// Notes that the channel with this address is kept no longer.
    pub(super) fn note_ended(&mut self, address: &str, ended: &KeepingEnded) {
        self.is_there = false;
        if self.problem.is_none() {
            let problem = format!("{address} is not kept: {}", ended.why);
            warn!("{problem}; it goes on without, and is tried again in {} s", KEEP_AGAIN_AFTER.as_secs());
            self.problem = Some(problem);
        }
        self.cost_bytes = [0, 0];
        // Each message until then fails as well, and puts nothing off.
        self.again_at.get_or_insert_with(|| clock::now() + KEEP_AGAIN_AFTER);
    }
}
