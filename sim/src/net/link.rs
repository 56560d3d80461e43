//! What a connection's way is like.
//!
//! Leaves how bytes pass to `wire`. What must stay true: it is a plain value.

use std::ops::Range;
use std::time::Duration;

/// The way of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// How long a segment is under way, in each direction. Segments stay in order.
    pub latency: Range<Duration>,
    /// How much the server may have under way or unread at the client, in bytes.
    pub to_client_bytes: usize,
    /// The same for the client.
    pub to_server_bytes: usize,
    /// The largest segment: data arrives in these, each an edge.
    pub segment_bytes_max: usize,
    /// Which of the server's two listeners.
    pub listener: usize,
    /// The server writes short, without need, in one of so many writes; 0 is never.
    pub short_one_in: u32,
}

impl Link {
    /// How long so many bytes take to a server that reads them as they come: there is room for as much as the server's window takes
    /// when word of that has come back.
    pub fn transfer_max(&self, bytes: usize) -> Duration {
        let windows = u32::try_from(bytes / self.to_server_bytes.max(1)).unwrap_or(u32::MAX).saturating_add(1);
        self.latency.end.saturating_mul(windows.saturating_mul(2))
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(200)..Duration::from_millis(3),
            to_client_bytes: 128 * 1024,
            to_server_bytes: 64 * 1024,
            segment_bytes_max: 64 * 1024,
            listener: 0,
            short_one_in: 64,
        }
    }
}
