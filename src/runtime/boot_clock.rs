//! A clock that goes on while the machine sleeps, and never jumps: a Pi has no battery for the clock of the day.
//!
//! What must stay true: it never goes back.

use rustix::time::{ClockId, clock_gettime};

/// Seconds since the machine was started (`CLOCK_BOOTTIME`, `clock_gettime(2)`): enough for 136 years.
pub fn boot_secs() -> u32 {
    u32::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(u32::MAX)
}
