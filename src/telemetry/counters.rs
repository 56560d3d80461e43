//! Counters and gauges, written by the main thread and read by the page's threads.
//!
//! Leaves to others how they are shown. What must stay true: only one thread writes, so that an addition is a plain
//! load and store and costs the broadcast nothing (`fetch_add` would lock the bus on every delivery).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::hub::close_reason::CloseReason;

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
    /// The monotonic start, for the uptime.
    pub started: Instant,
    /// The short random name of this run of the server, so that a client knows whether numbers go on.
    pub epoch: String,
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
    /// HTTP requests answered by the page.
    pub http_requests: Count,
    /// Pending connections dropped for newer ones: idle ones, and slow readers.
    pub pending_dropped: Count,
    /// Accepts that failed.
    pub accept_errors: Count,
    /// Times the page's HTTP server had to be started anew.
    pub http_restarts: Count,
    closed: [Count; CloseReason::ALL.len()],
    refused: [Count; REFUSALS.len()],
}

/// The statuses of refused requests that are counted.
pub const REFUSALS: [u16; 11] = [400, 403, 404, 405, 408, 411, 413, 426, 429, 431, 503];

impl Counters {
    /// Starts counting.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            epoch: std::iter::repeat_with(|| fastrand::char('a'..='z')).take(6).collect(),
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
            http_requests: Count::default(),
            pending_dropped: Count::default(),
            accept_errors: Count::default(),
            http_restarts: Count::default(),
            closed: Default::default(),
            refused: Default::default(),
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

    /// The statuses that are counted, each with how many requests were refused with it.
    pub fn refused_by_status(&self) -> impl Iterator<Item = (u16, u64)> {
        REFUSALS.into_iter().zip(self.refused.iter().map(Count::get))
    }

    /// How many requests were refused with this status, if it is one of [`REFUSALS`].
    pub fn refused(&self, status: u16) -> Option<&Count> {
        REFUSALS.iter().position(|&refusal| refusal == status).map(|nth| &self.refused[nth])
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
    fn an_epoch_is_short_and_plain() {
        let epoch = Counters::new().epoch;
        assert!(epoch.len() == 6 && epoch.bytes().all(|byte| byte.is_ascii_lowercase()), "{epoch}");
    }
}
