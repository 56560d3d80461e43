//! A channel whose log is shared by several boards: what is published goes out of the [`Outbox`], and comes into the backlog when it
//! is read back, among what others have said.
//!
//! Knows nothing of where the log of all is. Leaves what is on its way to `outbox`. What must stay true: messages are in the backlog in the
//! order in which they are received, under the numbers that they have for all boards; a message of ours comes in once.

use crate::hub::backlog::INDEX_ENTRY_BYTES;
use crate::hub::blocked_messages::OUTSIDER;
use crate::hub::channel::Channel;
use crate::hub::outbox::{Outbox, Outgoing, Parcel};
use crate::hub::position::Position;
use crate::hub::way::Way;

/// A message from outside of which it is known what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledPost {
    /// The number that it went by.
    pub number: u64,
    /// Where it is; `None`: it may be somewhere.
    pub position: Option<Position>,
}

impl<T> Channel<T> {
    /// From now on, messages are queued for the log that all boards share, and come into the backlog by [`receive`](Self::receive). Their
    /// counters are above this one.
    pub fn share(&mut self, last_counter: u64) {
        self.way = Way::Shared(Outbox::behind(last_counter));
    }

    fn outbox(&self) -> Option<&Outbox> {
        if let Way::Shared(outbox) = &self.way { Some(outbox) } else { None }
    }

    fn outbox_mut(&mut self) -> Option<&mut Outbox> {
        if let Way::Shared(outbox) = &mut self.way { Some(outbox) } else { None }
    }

    /// Whether something waits to be handed over.
    pub fn has_parcel(&self) -> bool {
        self.outbox().is_some_and(Outbox::has_next)
    }

    /// What was not handed over yet.
    pub fn take_parcel(&mut self) -> Option<Parcel> {
        self.outbox_mut()?.take()
    }

    /// Has all handed over again that did not come back. Those from this counter on have certainly not arrived; without one, all may have.
    pub fn take_back_parcels(&mut self, certain_from: Option<u64>) {
        if let Some(outbox) = self.outbox_mut() {
            outbox.take_back(certain_from);
        }
    }

    /// Notes where a message of ours is, before it comes back.
    pub fn note_told(&mut self, counter: u64, position: impl FnOnce() -> Position) {
        if let Some(outbox) = self.outbox_mut() {
            outbox.note_told(counter, position);
        }
    }

    /// Whether there is room for a frame of so many bytes, and none that came before it waits for room.
    pub fn has_room_to_receive(&self, bytes: usize) -> bool {
        self.has_room_behind(bytes + INDEX_ENTRY_BYTES)
    }

    /// Whether a frame of so many bytes can ever be in the log.
    pub fn can_hold(&self, bytes: usize) -> bool {
        bytes + INDEX_ENTRY_BYTES <= self.backlog.capacity_bytes() / 2
    }

    /// Notes how long the frame is that waits for room, 0 for none.
    pub fn note_arriving(&mut self, bytes: usize) {
        self.arriving_bytes = bytes;
    }

    /// Puts the next message into the backlog, for which there is room. `counter`: it is the one of ours that has this counter. Returns
    /// those from outside that are settled with that.
    pub fn receive(&mut self, frame: &[u8], counter: Option<u64>, at_secs: i32) -> Vec<SettledPost> {
        let mut posts = Vec::new();
        let mut own = None;
        if let Some(counter) = counter.filter(|counter| self.outbox().is_some_and(|outbox| outbox.expects(*counter))) {
            posts = self.settle_before(counter);
            own = self.outbox_mut().and_then(|outbox| outbox.settle(counter));
        }
        let sender = own.as_ref().map_or(OUTSIDER, |outgoing| outgoing.sender);
        self.backlog.append_bytes(frame, sender, at_secs);
        let number = own.and_then(|outgoing| outgoing.post);
        posts.extend(number.map(|number| SettledPost { number, position: Some(self.head_position()) }));
        posts
    }

    /// The same for what was said before this board has begun to read: it counts as nothing that was published here.
    pub fn receive_past(&mut self, frame: &[u8], at_secs: i32) {
        self.backlog.append_bytes(frame, OUTSIDER, at_secs);
        self.restored += 1;
        (self.flushed, self.flushed_seq) = (self.backlog.end(), self.backlog.next_seq());
    }

    /// Settles those of ours up to this counter that do not come back any more: they were refused, deleted, or missed.
    pub fn settle_through(&mut self, counter: u64) -> Vec<SettledPost> {
        let mut posts = Vec::new();
        while let Some(Outgoing { post, told, .. }) = self.outbox_mut().and_then(|outbox| outbox.settle(counter)) {
            posts.extend(post.map(|number| SettledPost { number, position: told }));
        }
        posts
    }

    fn settle_before(&mut self, counter: u64) -> Vec<SettledPost> {
        self.settle_through(counter - 1)
    }

    /// The number of the oldest message of the present epoch that is held, or of the next one.
    pub fn oldest_held(&self) -> u64 {
        self.epochs.number_of(self.backlog.first_seq().max(self.epochs.frames_before() + 1))
    }
}

#[cfg(test)]
mod tests;
