//! How the process's limit of open files is shared out.
//!
//! Leaves raising that limit to whoever starts the server. What must stay true: all shares together fit into the limit, so that
//! accepting a connection, or opening a file for it, does not fail for want of a descriptor.

use crate::config::limits::{
    DESCRIPTORS_PER_HTTP, DESCRIPTORS_PER_SLOW_READER, DESCRIPTORS_RESERVED, HTTP_IN_FLIGHT_MAX, PENDING_MAX,
    SLOW_READERS_MAX,
};

/// How many connections of which kind fit into the process's limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdBudget {
    /// HTTP requests in flight.
    pub http_in_flight: usize,
    /// Connections that are not WebSockets (yet).
    pub pending: usize,
    /// Those of them who are slow to take their answer.
    pub slow_readers: usize,
    /// WebSocket clients.
    pub clients: usize,
}

impl FdBudget {
    /// Shares `descriptors` out: first what the page needs, then a quarter for pending, the rest for clients.
    pub fn within(descriptors: usize, clients_max: usize) -> Self {
        let http_in_flight = (descriptors / 16).clamp(1, HTTP_IN_FLIGHT_MAX);
        let connections =
            descriptors.saturating_sub(DESCRIPTORS_RESERVED + http_in_flight * DESCRIPTORS_PER_HTTP).max(2);
        let pending = (connections / 4).clamp(1, PENDING_MAX);
        let slow_readers = (connections / 8).clamp(1, SLOW_READERS_MAX);
        // A slow reader is a pending connection too: what it needs beside its connection is counted here.
        let for_readers = slow_readers * (DESCRIPTORS_PER_SLOW_READER - 1);
        let clients = connections.saturating_sub(pending + for_readers).max(1).min(clients_max);
        Self { http_in_flight, pending, slow_readers, clients }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_fit_into_any_limit_of_open_files() {
        for descriptors in [64, 256, 1024, 20_000, 1 << 20] {
            let budget = FdBudget::within(descriptors, 1 << 20);
            let taken = DESCRIPTORS_RESERVED
                + budget.http_in_flight * DESCRIPTORS_PER_HTTP
                + budget.pending
                + budget.slow_readers * (DESCRIPTORS_PER_SLOW_READER - 1)
                + budget.clients;
            assert!(taken <= descriptors && budget.clients > 0, "{descriptors}: {budget:?}");
        }
    }

    #[test]
    fn few_clients_are_all_let_in() {
        assert_eq!(
            FdBudget::within(20_000, 4096),
            FdBudget { http_in_flight: 32, pending: 1024, slow_readers: 128, clients: 4096 }
        );
    }
}
