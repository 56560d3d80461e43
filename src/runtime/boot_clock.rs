//! A clock that goes on while the machine sleeps, and never jumps: a Pi has no battery for the clock of the day.
//!
//! What must stay true: it never goes back.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::runtime::clock::{self, boot_secs, unix_secs};

/// For how long a reading is as good as a new one: the clock counts in seconds, and to read it takes a call of the kernel.
const FRESH_FOR: Duration = Duration::from_millis(100);

/// How many seconds ago a moment of this clock was; 0 for one to come.
pub fn secs_since(moment_secs: i32) -> u32 {
    span_secs(moment_secs, boot_secs())
}

fn span_secs(from: i32, until: i32) -> u32 {
    u32::try_from(i64::from(until) - i64::from(from)).unwrap_or(0)
}

/// The same for whoever asks for every message.
#[derive(Debug)]
pub struct BootClock {
    read_at: Cell<Instant>,
    secs: Cell<i32>,
    began_at: Cell<u64>,
}

impl BootClock {
    /// Reads the clock for the first time.
    pub fn new() -> Self {
        Self { read_at: Cell::new(clock::now()), secs: Cell::new(boot_secs()), began_at: Cell::new(began_at()) }
    }

    /// Seconds since the machine was started, as they were a moment ago at most.
    pub fn secs(&self) -> i32 {
        let now = clock::now();
        if now.saturating_duration_since(self.read_at.get()) > FRESH_FOR {
            self.read_at.set(now);
            self.secs.set(boot_secs());
        }
        self.secs.get()
    }

    /// When this clock was at 0, as the clock of the day has it, in seconds since 1970. It stays the same for as long as that clock does not
    /// jump, wherever in their seconds the two of them are.
    pub fn began_at(&self) -> u64 {
        let began_at = began_at();
        if began_at.abs_diff(self.began_at.get()) > 1 {
            self.began_at.set(began_at);
        }
        self.began_at.get()
    }
}

fn began_at() -> u64 {
    unix_secs().saturating_sub(boot_secs().unsigned_abs().into())
}

impl Default for BootClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_counts_as_the_kernel_does() {
        let uptime = || fs::read_to_string("/proc/uptime").unwrap().split('.').next().unwrap().parse::<i32>().unwrap();
        let clock = BootClock::new();
        let (before, secs, after) = (uptime(), boot_secs(), uptime());
        // One of the two rounds up.
        assert!((before..=after + 1).contains(&secs), "{before} {secs} {after}");
        assert!(secs <= clock.secs() + 1);
    }

    #[test]
    fn what_was_before_the_machine_was_started_is_so_much_older_and_nothing_is_younger_than_now() {
        assert_eq!([span_secs(-5, 7), span_secs(7, 7), span_secs(8, 7), span_secs(i32::MAX, i32::MIN)], [12, 0, 0, 0]);
        assert_eq!(span_secs(i32::MIN, i32::MAX), u32::MAX);
    }
}
