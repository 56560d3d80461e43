//! The flush's way to streams over HTTP: pieces are encoded once, and written to all who stand at the same place.
//!
//! Leaves what is in a piece to `hub::stream_delivery`. What must stay true: what a socket does not take of one piece is all that a
//! stream has for itself; nobody gets more than [`STREAM_TURN_BYTES_MAX`] and a batch in one turn; nothing comes between two pieces of
//! one message.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::rc::Rc;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::hello::stream_hello;
use crate::broadcast::live_channel::{Client, LiveChannel, Subscribers};
use crate::broadcast::transport::{Transport, Written};
use crate::config::limits::{STREAM_BATCH_PIECES, STREAM_PIECE_BYTES, STREAM_TURN_BYTES_MAX};
use crate::hub::channel::{Joined, Start};
use crate::hub::close_reason::CloseReason;
use crate::hub::stream_delivery::{NewEpoch, Place, Surroundings};
use crate::hub::stream_encoding::Encoding;

/// What became of the bytes that were kept for a stream.
#[derive(PartialEq, Eq)]
enum Kept {
    /// None are left.
    Gone,
    /// Some are, and the socket takes no more.
    Full,
    /// It was not written to, and is not now.
    Waiting,
}

/// What comes after a piece.
enum After {
    /// The next one.
    More(Turn),
    /// Nothing until the socket takes more.
    Full,
    /// Nothing in this turn.
    Done,
}

/// Pieces one behind the other, so that a socket that takes them all is asked once.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each ends within the bytes, and where a stream is then. There is at least one, which may be empty.
    pieces: Vec<(usize, Place)>,
}

impl Batch {
    /// Encodes what comes at `place` in up to so many pieces, and ends where `next` is, if that is not far ahead.
    fn fill<H: Fn(Encoding, NewEpoch) -> Vec<u8>>(
        &mut self,
        channel: &Subscribers,
        mut place: Place,
        next: Option<Place>,
        pieces_max: usize,
        surroundings: &Surroundings<H>,
    ) {
        let Self { bytes, pieces } = self;
        bytes.clear();
        pieces.clear();
        let mut is_full = true;
        while is_full && pieces.len() < pieces_max {
            let bytes_max = bytes.len() + STREAM_PIECE_BYTES;
            place = channel.encode_piece(place, next, surroundings, bytes_max, bytes);
            pieces.push((bytes.len(), place));
            // One that is not has ended for a reason that holds for all of them.
            is_full = bytes.len() >= bytes_max;
        }
    }

    /// Where a stream is that has taken all.
    fn behind(&self) -> Place {
        self.pieces.last().expect("there is at least one").1
    }
}

/// A stream in this turn.
struct Turn {
    slot: usize,
    transport: Rc<Transport>,
    /// How much it was handed.
    handed_bytes: usize,
}

impl Broadcaster {
    /// Lets a stream in, for up to `count` messages. `first` makes what comes before any message.
    pub fn join_stream(
        &self,
        client: &Client,
        encoding: Encoding,
        start: Start,
        count: Option<u64>,
        first: impl FnOnce(&Joined, usize) -> Vec<u8>,
    ) {
        self.let_in(client, |channel, transport| channel.join_stream(transport, encoding, start, count), first);
    }

    /// Writes to these streams what they lack, up to their share of a turn. Returns those whose sockets take no more.
    pub(super) fn write_streams(
        self: &Rc<Self>,
        live: &Rc<LiveChannel>,
        channel: &mut Subscribers,
        mut slots: Vec<usize>,
    ) -> Vec<usize> {
        if slots.is_empty() {
            return slots;
        }
        slots.sort_unstable();
        slots.dedup();
        let mut full = Vec::new();
        // Apart by what a new epoch's hello says of them.
        let mut groups: BTreeMap<(Place, bool), Vec<Turn>> = BTreeMap::new();
        for slot in slots {
            let Some((transport, place)) = channel.get(slot).cloned().zip(channel.place(slot)) else { continue };
            let kept = self.write_kept(&transport);
            if kept == Kept::Gone {
                let may_send = transport.may_send;
                groups.entry((place, may_send)).or_default().push(Turn { slot, transport, handed_bytes: 0 });
                continue;
            }
            channel.reindex(slot);
            if kept == Kept::Full {
                full.push(slot);
            }
        }
        let clients = channel.len();
        let greeting = &self.config().greeting;
        let mut batch = Batch::default();
        while let Some(((place, may_send), group)) = groups.pop_first() {
            let hello = |encoding, NewEpoch { position, lost, head }| {
                let joined = Joined { slot: 0, epoch: position.epoch, seq: position.seq, lost, head };
                stream_hello(encoding, live, greeting, &joined, clients, false, may_send)
            };
            let surroundings = Surroundings { clock_began: self.clock.began_at(), hello };
            let next = groups.keys().map(|(next, _)| *next).find(|next| *next != place);
            let pieces_max = STREAM_BATCH_PIECES[usize::from(group.len() > 1)];
            batch.fill(channel, place, next, pieces_max, &surroundings);
            for turn in group {
                let slot = turn.slot;
                match self.write_batch(live, channel, turn, &batch) {
                    After::More(turn) => groups.entry((batch.behind(), may_send)).or_default().push(turn),
                    After::Full => full.push(slot),
                    After::Done => {}
                }
            }
        }
        full
    }

    /// Writes what was kept for a stream.
    fn write_kept(&self, transport: &Transport) -> Kept {
        if transport.write_blocked.get() {
            return Kept::Waiting;
        }
        if !transport.has_control() {
            return Kept::Gone;
        }
        match transport.write_control() {
            Written::Bytes(bytes) => {
                self.counters.bytes_out.add(bytes as u64);
                if transport.has_control() { Kept::Full } else { Kept::Gone }
            }
            Written::Full => Kept::Full,
            Written::Broken => {
                transport.end(CloseReason::Vanished);
                Kept::Waiting
            }
        }
    }

    /// Writes pieces to a stream that is where they begin.
    fn write_batch(
        &self,
        live: &Rc<LiveChannel>,
        channel: &mut Subscribers,
        mut turn: Turn,
        Batch { bytes, pieces }: &Batch,
    ) -> After {
        let Turn { slot, ref transport, .. } = turn;
        let written = if bytes.is_empty() { Written::Bytes(0) } else { transport.write(&[IoSlice::new(bytes)]) };
        let written = match written {
            Written::Bytes(written) => written,
            Written::Full => {
                channel.reindex(slot);
                return After::Full;
            }
            Written::Broken => {
                transport.end(CloseReason::Vanished);
                channel.reindex(slot);
                return After::Done;
            }
        };
        self.counters.bytes_out.add(written as u64);
        if written > 0 {
            // For the heartbeat: the client has been told something.
            transport.note_heard();
        }
        // The piece in which the socket has stopped: what it lacks of that is kept, and nothing of those behind it.
        let (end, behind) = pieces[pieces.partition_point(|(end, _)| *end < written)];
        channel.move_to(slot, behind);
        transport.push_control(&bytes[written..end]);
        if channel.is_complete(behind) {
            self.unsubscribe(live, channel, transport);
            transport.end(CloseReason::Complete);
            return After::Done;
        }
        if written < bytes.len() {
            return After::Full;
        }
        if channel.has_all(behind) {
            if transport.ending() == Some(CloseReason::ServerStops) {
                transport.wake();
            }
            return After::Done;
        }
        turn.handed_bytes += written;
        if turn.handed_bytes < STREAM_TURN_BYTES_MAX {
            return After::More(turn);
        }
        live.pending_writes.borrow_mut().push(slot);
        self.mark_dirty(live);
        After::Done
    }
}

#[cfg(test)]
mod tests;
