//! Messages of a channel that several boards share, on their way into the log of all: they are in ours when they are read back from there.
//!
//! Leaves to `sharing` what comes back. What must stay true: messages go in the order in which they came, each under a number of its own
//! (its *counter*) that stays the same however often it has to go; what is queued fits into half of the log.

use std::collections::VecDeque;

use crate::config::limits::STAGED_BYTES_MAX;
use crate::hub::frame::Frame;
use crate::hub::position::Position;
use crate::hub::record::Origin;

/// What a message takes beside its frame, in bytes.
const OUTGOING_BYTES: usize = size_of::<Outgoing>();

/// What is on its way. See the head of this file.
#[derive(Debug, Default)]
pub struct Outbox {
    /// All that are not settled: those that were handed over, then the others.
    messages: VecDeque<Outgoing>,
    handed_over: usize,
    /// How many of them may be in the log of all, although they have to be handed over again.
    doubtful: usize,
    /// How many were settled, ever: so the first of `messages` has the next counter.
    settled: u64,
    cost_bytes: usize,
}

/// A message that is not settled.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// `None`: it was taken back.
    frame: Option<Frame>,
    origin: Option<Origin>,
    pub(super) sender: u32,
    /// The number that it goes by, if it is from outside.
    pub(super) post: Option<u64>,
    /// Where it is in the log of all, if it is from outside and that was told before it was read back.
    pub(super) told: Option<Position>,
}

/// Messages to hand over.
#[derive(Debug)]
pub struct Parcel {
    /// The counter of the first: those that follow have the next ones.
    pub first_counter: u64,
    /// Each with which message of which connection it is, if that is known. `None`: there is no message with this counter.
    pub messages: Vec<Option<(Frame, Option<Origin>)>>,
}

impl Outbox {
    /// None is queued, and the first has the counter behind this one.
    pub(super) fn behind(settled: u64) -> Self {
        Self { settled, ..Self::default() }
    }

    /// What one takes here.
    fn cost_bytes_of(frame: &Frame) -> usize {
        frame.len() + OUTGOING_BYTES
    }

    /// Whether one more frame may be queued, for a log of this capacity.
    pub(super) fn takes(&self, frame: &Frame, capacity_bytes: usize) -> bool {
        let cost_bytes = self.cost_bytes + Self::cost_bytes_of(frame);
        self.messages.is_empty() || cost_bytes <= STAGED_BYTES_MAX.min(capacity_bytes / 2)
    }

    pub(super) fn push(&mut self, frame: Frame, origin: Option<Origin>, sender: u32, post: Option<u64>) {
        self.cost_bytes += Self::cost_bytes_of(&frame);
        self.messages.push_back(Outgoing { frame: Some(frame), origin, sender, post, told: None });
    }

    /// Whether everything is settled.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether something waits to be handed over.
    pub(super) fn has_next(&self) -> bool {
        self.handed_over < self.messages.len()
    }

    /// What was not handed over yet.
    pub(super) fn take(&mut self) -> Option<Parcel> {
        let first_counter = self.settled + self.handed_over as u64 + 1;
        let next = self.messages.range(self.handed_over..);
        let messages: Vec<_> =
            next.map(|outgoing| outgoing.frame.clone().map(|frame| (frame, outgoing.origin))).collect();
        self.handed_over = self.messages.len();
        (!messages.is_empty()).then_some(Parcel { first_counter, messages })
    }

    /// Has all go again that is not settled. From this counter on they have certainly not arrived; all that were handed over may have without
    /// it.
    pub(super) fn take_back(&mut self, certain_from: Option<u64>) {
        let before = certain_from.map(|counter| counter.saturating_sub(self.settled + 1));
        let before = before.and_then(|before| usize::try_from(before).ok()).unwrap_or(usize::MAX);
        self.doubtful = self.doubtful.max(self.handed_over.min(before));
        self.handed_over = 0;
    }

    /// Notes where a message is that was handed over.
    pub(super) fn note_told(&mut self, counter: u64, position: impl FnOnce() -> Position) {
        let place = counter.checked_sub(self.settled + 1).and_then(|place| usize::try_from(place).ok());
        let outgoing = place.and_then(|place| self.messages.get_mut(place));
        if let Some(outgoing) = outgoing.filter(|outgoing| outgoing.post.is_some()) {
            outgoing.told = Some(position());
        }
    }

    /// Whether a message with this counter may come back.
    pub(super) fn expects(&self, counter: u64) -> bool {
        counter > self.settled && counter <= self.settled + self.handed_over.max(self.doubtful) as u64
    }

    /// Takes out the oldest, if its counter is at most this one.
    pub(super) fn settle(&mut self, counter: u64) -> Option<Outgoing> {
        if !self.expects(counter) {
            return None;
        }
        let oldest = self.messages.pop_front()?;
        self.handed_over = self.handed_over.saturating_sub(1);
        self.doubtful = self.doubtful.saturating_sub(1);
        self.settled += 1;
        self.cost_bytes -= oldest.frame.as_ref().map_or(OUTGOING_BYTES, Self::cost_bytes_of);
        Some(oldest)
    }

    /// Whether a message from outside can be taken back: it is nowhere else.
    pub(super) fn can_withdraw(&self, post: u64) -> bool {
        self.messages
            .range(self.handed_over.max(self.doubtful)..)
            .any(|outgoing| outgoing.post == Some(post) && outgoing.frame.is_some())
    }

    /// Takes it back. Its counter goes without a message.
    pub(super) fn withdraw(&mut self, post: u64) {
        let withdrawn =
            self.messages.range_mut(self.handed_over.max(self.doubtful)..).find(|outgoing| outgoing.post == Some(post));
        if let Some(frame) = withdrawn.and_then(|outgoing| outgoing.frame.take()) {
            // Its place stays taken.
            self.cost_bytes -= frame.len();
        }
    }

    /// How many messages were queued, ever, and how many of these are settled.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.settled + self.messages.len() as u64, self.settled)
    }
}
