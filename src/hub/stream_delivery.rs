//! What streams over HTTP are handed next: pieces of the log, encoded for all who stand at the same place.
//!
//! No sockets and no clock. Leaves what a message looks like to `stream_encoding`. What must stay true: a stream is a subscriber like
//! any other, whose cursor is a position in the log; a new epoch is told exactly between the last message before it and its first.

use crate::hub::channel::{Channel, Form, Joined, Start, Stream};
use crate::hub::position::Position;
use crate::hub::stream_encoding::{Encoded, Encoding, Message};

/// Where a stream stands. Those with the same place are handed the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// How it shows messages.
    pub encoding: Encoding,
    /// The position in the log: the start of a frame of which nothing is out, or a byte of a payload, of which all before it is.
    cursor: u64,
    /// The number of that frame in the backlog.
    seq: u64,
    last: u64,
    epoch: u64,
}

/// What pieces need beside the log.
#[derive(Debug)]
pub struct Surroundings<H> {
    /// When the clock by which frames are dated was at 0, in seconds since 1970.
    pub clock_began: u64,
    /// Makes what a stream is told of a new epoch.
    pub hello: H,
}

/// What there is to tell of an epoch that has begun.
#[derive(Debug, Clone)]
pub struct NewEpoch {
    /// Where the stream stands: before its first message.
    pub position: Position,
    /// How many messages were missed right before that.
    pub lost: u64,
    /// The number of its newest message.
    pub head: u64,
}

impl<T> Channel<T> {
    /// Lets a stream in. With `count` it gets so many messages at most.
    pub fn join_stream(&mut self, transport: T, encoding: Encoding, start: Start, count: Option<u64>) -> Joined {
        let joined = self.join_as(transport, Form::Stream, start);
        let before_first = self.subscribers[joined.slot].seq - 1;
        let last = count.map_or(u64::MAX, |count| before_first.saturating_add(count));
        self.streams.insert(joined.slot, Stream { encoding, last, epoch: self.epochs.last().nth });
        joined
    }

    /// Where a stream stands; `None` for a subscriber that gets frames.
    pub fn place(&self, slot: usize) -> Option<Place> {
        let Stream { encoding, last, epoch } = *self.streams.get(&slot)?;
        let subscriber = &self.subscribers[slot];
        Some(Place { encoding, cursor: subscriber.cursor, seq: subscriber.seq, last, epoch })
    }

    /// Whether a subscriber is a stream.
    pub fn is_stream(&self, slot: usize) -> bool {
        self.subscribers.get(slot).is_some_and(|subscriber| subscriber.form == Form::Stream)
    }

    /// The slots of all streams.
    pub fn streams(&self) -> impl Iterator<Item = usize> {
        self.streams.keys().copied()
    }

    /// Appends the next piece for whoever is at `place`, some `bytes_max` bytes, and returns the place behind it. Nothing: there is no
    /// more. It ends where `next` is, if that is ahead and between two frames, and behind a message that it begins within, so that those
    /// meet who are not far from each other.
    pub fn encode_piece<H>(
        &self,
        mut place: Place,
        next: Option<Place>,
        surroundings: &Surroundings<H>,
        bytes_max: usize,
        into: &mut Vec<u8>,
    ) -> Place
    where
        H: Fn(Encoding, NewEpoch) -> Vec<u8>,
    {
        let next = next.filter(|next| next.encoding == place.encoding && next.cursor > place.cursor);
        while place.seq <= place.last && into.len() < bytes_max {
            let epoch = self.epochs.of(place.seq);
            let frame = self.backlog.frame(place.seq);
            let from = frame.filter(|frame| frame.start < place.cursor).map(|frame| place.cursor - frame.payload_start);
            if from.is_none() && place.epoch != epoch.nth {
                let told = NewEpoch {
                    position: Position { epoch: epoch.name.clone(), seq: epoch.number_of(place.seq - 1) },
                    lost: epoch.lost,
                    head: self.epochs.head_of(epoch, self.backlog.next_seq() - 1),
                };
                into.extend_from_slice(&(surroundings.hello)(place.encoding, told));
                place.epoch = epoch.nth;
            }
            let Some(frame) = frame else { break };
            let message = Message {
                seq: epoch.number_of(place.seq),
                epoch: &epoch.name,
                at_unix_secs: surroundings.clock_began.saturating_add_signed(frame.at_secs.into()),
                is_text: frame.is_text,
                payload: frame.payload,
            };
            let from = from.map(|bytes| usize::try_from(bytes).expect("a payload fits into memory"));
            match place.encoding.encode(&message, from, bytes_max, into) {
                Encoded::Until(at) => place.cursor = frame.payload_start + at as u64,
                Encoded::Whole => (place.cursor, place.seq) = (frame.end, place.seq + 1),
            }
            if from.is_some() || next.is_some_and(|next| next.cursor == place.cursor) {
                break;
            }
        }
        place
    }

    /// Moves a stream to a place that [`encode_piece`](Self::encode_piece) has given, with everything before it written or kept for it.
    pub fn move_to(&mut self, slot: usize, place: Place) {
        let subscriber = &mut self.subscribers[slot];
        self.deliveries += place.seq - subscriber.seq;
        (subscriber.cursor, subscriber.seq) = (place.cursor, place.seq);
        let stream = self.streams.get_mut(&slot).expect("whoever has a place is a stream");
        stream.epoch = place.epoch;
        self.reindex(slot);
    }

    /// Whether there is nothing more for whoever is at this place.
    pub fn has_all(&self, place: Place) -> bool {
        let is_at_end = place.seq == self.backlog.next_seq() && place.epoch == self.epochs.last().nth;
        is_at_end || self.is_complete(place)
    }

    /// Whether a stream has got all that it is ever to get.
    pub fn is_complete(&self, place: Place) -> bool {
        place.seq > place.last
    }

    /// Whether a stream has a message in part.
    pub fn is_within_message(&self, slot: usize) -> bool {
        self.is_stream(slot) && self.frame_tail(slot).iter().any(|slice| !slice.is_empty())
    }
}

#[cfg(test)]
mod tests;
