//! One direction of a connection: bytes that are under way, and bytes that have arrived and are not read.
//!
//! Leaves when segments arrive to its owner. What must stay true: bytes come out as they were put in, whole and in order, and the end comes
//! behind all of them.

use std::collections::VecDeque;

use crate::net::timeline::Nanos;

/// One direction.
#[derive(Debug, Default)]
pub struct Pipe {
    /// First what has arrived, then what is under way.
    bytes: VecDeque<u8>,
    arrived: usize,
    /// When each segment that is under way arrives, and how long it is; never one before the one ahead of it.
    flight: VecDeque<(Nanos, usize)>,
    last_at: Nanos,
    end: End,
    /// Whether the arrival of the first segment stands on the timeline.
    pub is_scheduled: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Sent(Nanos),
    Arrived,
}

impl Pipe {
    /// Bytes that were put in and not taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that have arrived and were not taken.
    pub fn arrived(&self) -> usize {
        self.arrived
    }

    /// Whether the end was sent, whether or not it has arrived.
    pub fn has_ended(&self) -> bool {
        self.end != End::Open
    }

    /// Whether the end has arrived.
    pub fn end_has_arrived(&self) -> bool {
        self.end == End::Arrived
    }

    /// Puts bytes in, as a segment that arrives at this moment, or behind the one ahead of it.
    pub fn put(&mut self, bytes: &[u8], at: Nanos) {
        debug_assert!(!self.has_ended(), "nothing follows an end");
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend(bytes);
        self.last_at = self.last_at.max(at);
        match self.flight.back_mut() {
            // Two that arrive together are one.
            Some((last_at, len)) if *last_at == self.last_at => *len += bytes.len(),
            _ => self.flight.push_back((self.last_at, bytes.len())),
        }
    }

    /// Puts the end behind all bytes.
    pub fn put_end(&mut self, at: Nanos) {
        if self.end == End::Open {
            self.last_at = self.last_at.max(at);
            self.end = End::Sent(self.last_at);
        }
    }

    /// When the last of it arrives.
    pub fn last_at(&self) -> Nanos {
        self.last_at
    }

    /// When the next segment, or the end, arrives.
    pub fn next_at(&self) -> Option<Nanos> {
        match (self.flight.front(), self.end) {
            (Some((at, _)), _) => Some(*at),
            (None, End::Sent(at)) => Some(at),
            _ => None,
        }
    }

    /// Has the segments arrive that are due, and the end. Returns whether there was anything.
    pub fn arrive(&mut self, now: Nanos) -> bool {
        let mut is_any = false;
        while let Some((at, len)) = self.flight.front() {
            if *at > now {
                return is_any;
            }
            self.arrived += len;
            self.flight.pop_front();
            is_any = true;
        }
        if matches!(self.end, End::Sent(at) if at <= now) {
            self.end = End::Arrived;
            is_any = true;
        }
        is_any
    }

    /// Takes what has arrived, as much as fits.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let len = self.arrived.min(into.len());
        let (first, second) = self.bytes.as_slices();
        let from_first = first.len().min(len);
        into[..from_first].copy_from_slice(&first[..from_first]);
        into[from_first..len].copy_from_slice(&second[..len - from_first]);
        self.forget(len);
        len
    }

    /// The same, to the end of `into`.
    pub fn take_onto(&mut self, into: &mut Vec<u8>, bytes_max: usize) -> usize {
        let len = self.arrived.min(bytes_max);
        let (first, second) = self.bytes.as_slices();
        let from_first = first.len().min(len);
        into.extend_from_slice(&first[..from_first]);
        into.extend_from_slice(&second[..len - from_first]);
        self.forget(len);
        len
    }

    fn forget(&mut self, len: usize) {
        self.arrived -= len;
        if len == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..len);
        }
    }

    /// What is under way never arrives.
    pub fn lose_flight(&mut self) {
        self.bytes.truncate(self.arrived);
        self.flight.clear();
        if matches!(self.end, End::Sent(_)) {
            self.end = End::Open;
        }
    }

    /// What has arrived is lost, too, and the memory is given back.
    pub fn lose_all(&mut self) {
        self.lose_flight();
        self.bytes = VecDeque::new();
        self.arrived = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_when_they_are_due_whole_and_in_order_and_the_end_behind_them() {
        let mut pipe = Pipe::default();
        pipe.put(b"one ", 10);
        pipe.put(b"two ", 5);
        pipe.put(b"three", 20);
        pipe.put_end(1);
        let mut got = Vec::new();
        assert!(!pipe.arrive(9));
        assert!(pipe.arrive(10));
        assert_eq!(pipe.take_onto(&mut got, 6), 6);
        let mut piece = [0; 8];
        assert_eq!(pipe.take(&mut piece), 2);
        got.extend_from_slice(&piece[..2]);
        assert_eq!((pipe.next_at(), pipe.end_has_arrived()), (Some(20), false));
        assert!(pipe.arrive(20) && pipe.end_has_arrived());
        pipe.take_onto(&mut got, 100);
        assert_eq!((&got[..], pipe.is_empty(), pipe.next_at()), (&b"one two three"[..], true, None));
    }

    #[test]
    fn what_is_lost_under_way_leaves_what_has_arrived() {
        let mut pipe = Pipe::default();
        pipe.put(b"here", 1);
        pipe.arrive(1);
        pipe.put(b"gone", 2);
        pipe.put_end(3);
        pipe.lose_flight();
        assert!(!pipe.arrive(9) && !pipe.has_ended());
        assert_eq!((pipe.arrived(), pipe.len()), (4, 4));
    }

    #[test]
    fn bytes_survive_the_turn_of_the_ring_at_any_place() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut pipe = Pipe::default();
        let (mut sent, mut got) = (0_u8, 0_u8);
        for now in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(..40)).map(|i| sent.wrapping_add(u8::try_from(i).unwrap())).collect();
            sent = sent.wrapping_add(u8::try_from(bytes.len()).unwrap());
            pipe.put(&bytes, now + random.u64(..5));
            pipe.arrive(now);
            let mut piece = [0; 64];
            let len = random.usize(..64);
            let len = pipe.take(&mut piece[..len]);
            for byte in &piece[..len] {
                assert_eq!(*byte, got);
                got = got.wrapping_add(1);
            }
        }
    }
}
