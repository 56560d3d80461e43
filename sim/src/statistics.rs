//! What was counted, in one scenario and in many.
//!
//! Leaves printing to `main`. What must stay true: a figure of many is the sum of those of each, or the largest.

use std::time::Duration;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Scenarios.
    pub seeds: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Messages that clients were given.
    pub deliveries: u64,
    /// How often the server was started, beside the first time.
    pub restarts: u64,
    /// Kills within a step of `--state`.
    pub torn_steps: u64,
    /// How often the server has waited.
    pub waits: u64,
    /// In how many of these waits time has passed.
    pub sleeps: u64,
    /// What has happened.
    pub events: u64,
    /// The most memory that a server had, in bytes.
    pub server_bytes_max: usize,
}

impl Figures {
    /// Adds those of another scenario.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.deliveries += other.deliveries;
        self.restarts += other.restarts;
        self.torn_steps += other.torn_steps;
        self.waits += other.waits;
        self.sleeps += other.sleeps;
        self.events += other.events;
        self.server_bytes_max = self.server_bytes_max.max(other.server_bytes_max);
    }

    /// For people, with the real time that it took.
    pub fn line(&self, took: Duration) -> String {
        let ratio = self.simulated.as_secs_f64() / took.as_secs_f64().max(1e-9);
        format!(
            "{} seeds, {:.1} h simulated in {:.1} s ({ratio:.0} times real time), {} deliveries, {} restarts ({} within a step of --state), {} events, server at most {} KiB",
            self.seeds,
            self.simulated.as_secs_f64() / 3600.0,
            took.as_secs_f64(),
            self.deliveries,
            self.restarts,
            self.torn_steps,
            self.events,
            self.server_bytes_max / 1024,
        )
    }
}
