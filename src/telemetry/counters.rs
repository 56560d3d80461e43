//! Counters and gauges, written by the main thread and read by the page's threads.
//!
//! Leaves to others how they are shown. What must stay true: only one thread writes, so that an addition is a plain
//! load and store and costs the broadcast nothing (`fetch_add` would lock the bus on every delivery).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::hub::close_reason::CloseReason;
use crate::runtime::clock;

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts up by `n`. Only for the main thread.
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Replaces the value. Only for the main thread.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// All numbers of one server.
#[derive(Debug)]
pub struct Counters {
    /// The start, by the clock that goes on while the machine sleeps.
    pub started_secs: i32,
    /// Channels now, the main one included.
    pub channels: Count,
    /// WebSocket clients now.
    pub clients: Count,
    /// Clients since the start.
    pub clients_total: Count,
    /// The most clients at a time.
    pub clients_peak: Count,
    /// Clients that are behind now.
    pub clients_behind: Count,
    /// Publishers that wait for room in the backlog now.
    pub publishers_waiting: Count,
    /// Messages published.
    pub messages: Count,
    /// Messages handed to the kernel, one for each client that got it.
    pub deliveries: Count,
    /// Bytes read from WebSocket clients.
    pub bytes_in: Count,
    /// Bytes written to WebSocket clients.
    pub bytes_out: Count,
    /// Bytes in the backlog now, index included.
    pub backlog_bytes: Count,
    /// Messages that were posted over HTTP.
    pub posts: Count,
    /// The memory of posted messages that are under way now, in bytes.
    pub posts_bytes: Count,
    /// HTTP requests answered by the page.
    pub http_requests: Count,
    /// Pending connections dropped for newer ones: idle ones, and slow readers.
    pub pending_dropped: Count,
    /// Accepts that failed.
    pub accept_errors: Count,
    /// Times the page's HTTP server had to be started anew.
    pub http_restarts: Count,
    closed: [Count; CloseReason::ALL.len()],
    /// One for each status that says no, whether anybody knows it yet or not.
    refused: [Count; STATUSES_OF_REFUSALS],
}

/// The first status that says no (RFC 9110 section 15), and how many there can be.
const FIRST_REFUSAL: u16 = 400;
const STATUSES_OF_REFUSALS: usize = 200;

impl Counters {
    /// Starts counting.
    pub fn new() -> Self {
        Self {
            started_secs: clock::boot_secs(),
            channels: Count::default(),
            clients: Count::default(),
            clients_total: Count::default(),
            clients_peak: Count::default(),
            clients_behind: Count::default(),
            publishers_waiting: Count::default(),
            messages: Count::default(),
            deliveries: Count::default(),
            bytes_in: Count::default(),
            bytes_out: Count::default(),
            backlog_bytes: Count::default(),
            posts: Count::default(),
            posts_bytes: Count::default(),
            http_requests: Count::default(),
            pending_dropped: Count::default(),
            accept_errors: Count::default(),
            http_restarts: Count::default(),
            closed: Default::default(),
            refused: std::array::from_fn(|_| Count::default()),
        }
    }

    /// How many WebSockets ended for this reason.
    pub fn closed(&self, reason: CloseReason) -> &Count {
        &self.closed[reason as usize]
    }

    /// The names of all reasons, each with how many WebSockets ended for it.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CloseReason::ALL.into_iter().map(|reason| (reason.key(), self.closed(reason).get()))
    }

    /// All statuses that say no, each with how many requests were refused with it.
    pub fn refused_by_status(&self) -> impl Iterator<Item = (u16, u64)> {
        (FIRST_REFUSAL..).zip(self.refused.iter().map(Count::get))
    }

    /// How many requests were refused with this status; `None` for a status that is no refusal.
    pub fn refused(&self, status: u16) -> Option<&Count> {
        self.refused.get(usize::from(status.checked_sub(FIRST_REFUSAL)?))
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let counters = Counters::new();
        for (nth, reason) in CloseReason::ALL.into_iter().enumerate() {
            counters.closed(reason).add(nth as u64 + 1);
        }
        for (nth, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(counters.closed(reason).get(), nth as u64 + 1);
        }
    }

    #[test]
    fn every_status_that_says_no_has_its_own_counter_and_no_other_has_one() {
        let counters = Counters::new();
        for status in 400..600 {
            counters.refused(status).expect("it says no").add(u64::from(status));
        }
        assert!(counters.refused_by_status().eq((400..600).map(|status| (status, u64::from(status)))));
        for status in [0, 101, 200, 304, 399, 600, u16::MAX] {
            assert!(counters.refused(status).is_none(), "{status}");
        }
    }
}
