//! What is going to happen, and when.
//!
//! Leaves what it is to others. What must stay true: what is due at the same moment happens in the order in which it was asked for, and the
//! time never goes back.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Moments and spans of simulated time, in nanoseconds.
pub type Nanos = u64;

/// A second.
pub const SECOND: Nanos = 1_000_000_000;

/// What is going to happen, in order.
#[derive(Debug)]
pub struct Timeline<H> {
    heap: BinaryHeap<Entry<H>>,
    next_number: u64,
    now: Nanos,
    trace: u64,
}

#[derive(Debug)]
struct Entry<H> {
    at: Nanos,
    number: u64,
    what: H,
}

impl<H> Timeline<H> {
    /// One on which nothing stands.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_number: 0, now: 0, trace: 0xcbf2_9ce4_8422_2325 }
    }

    /// The present moment.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Notes that something happens at a moment; what is past happens now.
    pub fn push(&mut self, at: Nanos, what: H) {
        let at = at.max(self.now);
        self.heap.push(Entry { at, number: self.next_number, what });
        self.next_number += 1;
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Nanos> {
        Some(self.heap.peek()?.at)
    }

    /// Moves to the next thing that happens until then, or to that moment if nothing does.
    pub fn advance(&mut self, until: Nanos) -> Option<H> {
        if self.next_at().is_none_or(|at| at > until) {
            // For ever is no moment.
            self.now = if until == Nanos::MAX { self.now } else { self.now.max(until) };
            return None;
        }
        let entry = self.heap.pop()?;
        self.now = entry.at;
        self.note(entry.at ^ entry.number.rotate_left(40));
        Some(entry.what)
    }

    /// Puts something into the trace, by which two runs are compared.
    pub fn note(&mut self, value: u64) {
        self.trace = (self.trace ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// What all that has happened comes to.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// How much was asked for in all.
    pub fn events(&self) -> u64 {
        self.next_number
    }

    /// Forgets what is going to happen.
    pub fn clear(&mut self) {
        self.heap.clear();
    }
}

impl<H> Default for Timeline<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> PartialEq for Entry<H> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<H> Eq for Entry<H> {}

impl<H> PartialOrd for Entry<H> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<H> Ord for Entry<H> {
    /// The heap has the greatest on top, so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_at_once_happens_in_the_order_in_which_it_was_asked_for_and_the_clock_stops_where_it_is_told() {
        let mut timeline = Timeline::new();
        for (at, what) in [(20, 'b'), (10, 'a'), (20, 'c'), (30, 'd')] {
            timeline.push(at, what);
        }
        assert_eq!(timeline.advance(20), Some('a'));
        assert_eq!(timeline.now(), 10);
        timeline.push(5, 'e');
        assert_eq!(
            [timeline.advance(20), timeline.advance(20), timeline.advance(20)],
            [Some('e'), Some('b'), Some('c')]
        );
        assert_eq!((timeline.advance(25), timeline.now()), (None, 25));
        assert_eq!((timeline.advance(Nanos::MAX), timeline.now()), (Some('d'), 30));
        assert_eq!((timeline.advance(Nanos::MAX), timeline.now()), (None, 30));
    }
}
