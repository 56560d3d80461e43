//! Deliveries and their latencies, for all clients of a load together.
//!
//! The clock is read once per read from a socket, not once per message, and messages with one and the same send time
//! are recorded as one: at seven million deliveries a second a clock read for each would make the load the bottleneck.

use std::time::Instant;

use hdrhistogram::Histogram;

/// A latency beyond this is recorded as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Counts deliveries and remembers how long they took.
#[derive(Debug)]
pub struct Meter {
    clock: Instant,
    now_ns: u64,
    delivered: u64,
    checked: u64,
    latency_ns: Histogram<u64>,
    run_sent_ns: u64,
    run_length: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            clock: Instant::now(),
            now_ns: 0,
            delivered: 0,
            checked: 0,
            latency_ns: Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are constants and valid"),
            run_sent_ns: 0,
            run_length: 0,
        }
    }
}

impl Meter {
    /// Nanoseconds since this load started.
    pub fn clock_ns(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// To be called when bytes have just been read.
    pub fn begin_read(&mut self) {
        self.now_ns = self.clock_ns();
    }

    /// To be called for each message in the bytes just read.
    #[inline]
    pub fn delivery(&mut self, sent_ns: u64) {
        if sent_ns != self.run_sent_ns {
            self.end_read();
            self.run_sent_ns = sent_ns;
        }
        self.run_length += 1;
    }

    /// To be called for each message that came to a client that is only checked.
    #[inline]
    pub fn checked_delivery(&mut self) {
        self.checked += 1;
    }

    /// To be called when all messages of a read have been reported.
    pub fn end_read(&mut self) {
        if self.run_length > 0 {
            let latency_ns = self.now_ns.saturating_sub(self.run_sent_ns).max(1);
            self.latency_ns.saturating_record_n(latency_ns, self.run_length);
            self.delivered += self.run_length;
            self.run_length = 0;
        }
    }

    /// All deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// All deliveries so far to clients that are only checked.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Forgets the latencies so far, so that a warm-up does not count. Deliveries stay counted.
    pub fn forget_latencies(&mut self) {
        self.latency_ns.reset();
    }

    /// The latency in microseconds that this share (0.99, say) of the deliveries kept to.
    pub fn latency_us(&self, share: f64) -> f64 {
        self.latency_ns.value_at_quantile(share) as f64 / 1000.0
    }

    /// The longest latency in microseconds.
    pub fn latency_max_us(&self) -> f64 {
        self.latency_ns.max() as f64 / 1000.0
    }
}
