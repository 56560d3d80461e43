//! The memory that all bodies under way share.
//!
//! Leaves reading them to `body_reader`. What must stay true: all bodies together never have more memory than they may; what counts is
//! what has come, so that a promise costs nothing; and whoever sends is never the one who has to go.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::config::limits::BODIES_BYTES_MAX;
use crate::http::body::BodyDecoder;
use crate::http::refusal::{BUSY, Refusal};
use crate::telemetry::counters::Counters;

/// All bodies under way.
pub struct Bodies {
    bytes_max: usize,
    /// The memory of all, in bytes.
    bytes: Cell<usize>,
    counters: Arc<Counters>,
    under_way: RefCell<Slab<UnderWay>>,
    empty_waker: Cell<Option<Waker>>,
    /// How often some body went on.
    steps: Cell<u64>,
}

/// One body. It lies here and not in its task, so that its memory is free at the moment when another one needs it.
struct UnderWay {
    bytes: Vec<u8>,
    state: State,
    /// When it last went on, as a number of [`Bodies::steps`].
    last_step: u64,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has to come on, or to go when another one needs the place.
    Coming,
    /// It is complete.
    Whole,
    /// It had to go.
    Displaced,
}

impl Bodies {
    /// With room for two of the largest messages at least.
    pub fn new(message_bytes_max: usize, counters: Arc<Counters>) -> Self {
        Self {
            bytes_max: BODIES_BYTES_MAX.max(message_bytes_max.saturating_mul(2)),
            bytes: Cell::new(0),
            counters,
            under_way: RefCell::default(),
            empty_waker: Cell::new(None),
            steps: Cell::new(0),
        }
    }

    /// The most memory that all have together, in bytes.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Ready when no body is under way.
    pub fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if self.under_way.borrow().is_empty() {
            return Poll::Ready(());
        }
        self.empty_waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Begins one that can have so many bytes.
    pub fn begin(&self, bytes_max: usize) -> Body<'_> {
        let body = UnderWay { bytes: Vec::new(), state: State::Coming, last_step: self.next_step(), waker: None };
        Body { bodies: self, key: self.under_way.borrow_mut().insert(body), bytes_max, taken_bytes: 0 }
    }

    fn set_bytes(&self, bytes: usize) {
        self.bytes.set(bytes);
        self.counters.posts_bytes.set(bytes as u64);
    }

    fn next_step(&self) -> u64 {
        self.steps.set(self.steps.get() + 1);
        self.steps.get()
    }

    /// Makes room for so many bytes more of a body: as long as there is too little, the one that has stood still for longest goes.
    fn make_room(&self, key: usize, more_bytes: usize) -> Result<(), Refusal> {
        let mut under_way = self.under_way.borrow_mut();
        while self.bytes.get() + more_bytes > self.bytes_max {
            let can_go = |(its, body): &(usize, &mut UnderWay)| {
                *its != key && body.state == State::Coming && body.bytes.capacity() > 0
            };
            let (_, slowest) =
                under_way.iter_mut().filter(can_go).min_by_key(|(_, body)| body.last_step).ok_or(BUSY)?;
            self.set_bytes(self.bytes.get() - slowest.bytes.capacity());
            slowest.bytes = Vec::new();
            slowest.state = State::Displaced;
            if let Some(waker) = slowest.waker.take() {
                waker.wake();
            }
        }
        Ok(())
    }
}

/// A body. Its memory counts until it is dropped.
pub struct Body<'a> {
    bodies: &'a Bodies,
    key: usize,
    /// How large it can become.
    bytes_max: usize,
    /// What counts of bytes that were taken out.
    taken_bytes: usize,
}

impl Body<'_> {
    fn with<T>(&self, work: impl FnOnce(&mut UnderWay) -> T) -> T {
        work(self.bodies.under_way.borrow_mut().get_mut(self.key).expect("it is there until the drop"))
    }

    /// How many bytes have come.
    pub fn came_bytes(&self) -> usize {
        self.with(|its| its.bytes.len())
    }

    /// Adds what is in `input`. Returns how much of it is the body's.
    ///
    /// # Errors
    /// If there is no room for it, or it is wrong.
    pub fn add(&mut self, decoder: &mut BodyDecoder, input: &[u8]) -> Result<usize, Refusal> {
        let bodies = self.bodies;
        let (len, capacity) = self.with(|its| (its.bytes.len(), its.bytes.capacity()));
        let readable_bytes = usize::try_from(decoder.readable_bytes()).unwrap_or(usize::MAX);
        let needed = len + input.len().min(readable_bytes);
        if needed > capacity {
            // Twice as much each time, so that little is copied, but no more than can still come, and nobody goes for what may not come.
            let twice = needed.max((2 * capacity).min(self.bytes_max));
            let has_room = bodies.bytes.get() + (twice - capacity) <= bodies.bytes_max;
            let wanted = if has_room { twice } else { needed };
            bodies.make_room(self.key, wanted - capacity)?;
            let reserved = self.with(|its| {
                its.bytes.reserve_exact(wanted - len);
                its.bytes.capacity()
            });
            bodies.set_bytes(bodies.bytes.get() + reserved - capacity);
        }
        let step = bodies.next_step();
        self.with(|its| {
            let reserved = its.bytes.capacity();
            let taken = decoder.decode(input, &mut its.bytes)?;
            debug_assert_eq!(its.bytes.capacity(), reserved, "it has grown uncounted");
            if its.bytes.len() > len {
                its.last_step = step;
            }
            Ok(taken)
        })
    }

    /// Ready when it has to go; else the task is woken then.
    pub fn poll_displaced(&self, cx: &Context<'_>) -> Poll<()> {
        self.with(|its| {
            if its.state == State::Displaced {
                return Poll::Ready(());
            }
            its.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Notes that it is complete, so that it has not to go any more.
    pub fn complete(&mut self) {
        self.with(|its| its.state = State::Whole);
    }

    /// Takes its bytes out. They count as before.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = self.with(|its| std::mem::take(&mut its.bytes));
        self.taken_bytes += bytes.capacity();
        bytes
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        let its = self.bodies.under_way.borrow_mut().remove(self.key);
        self.bodies.set_bytes(self.bodies.bytes.get() - its.bytes.capacity() - self.taken_bytes);
        if let Some(waker) = self.bodies.empty_waker.take() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Bodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bodies").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
