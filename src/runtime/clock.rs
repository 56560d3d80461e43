//! What the clocks say.
//!
//! What must stay true: nobody else of the server reads a clock, so that a simulator can have it be any time.

use std::time::{Duration, Instant, SystemTime};

/// This moment, by a clock that never jumps.
pub fn now() -> Instant {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::simulation::clocks::now() {
        return now;
    }
    Instant::now()
}

/// How long ago a moment was; nothing for one to come.
pub fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

/// This moment, by the clock of the day. It jumps.
pub fn system_now() -> SystemTime {
    #[cfg(feature = "simulation")]
    if let Some(now) = crate::simulation::clocks::system_now() {
        return now;
    }
    SystemTime::now()
}

/// Seconds since 1970, as the clock of the day has them. It jumps.
pub fn unix_secs() -> u64 {
    system_now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds since the machine was started (`sysinfo(2)`, which counts by `CLOCK_BOOTTIME`): enough for 68 years.
/// Moments before it have numbers below 0.
pub fn boot_secs() -> i32 {
    #[cfg(feature = "simulation")]
    if let Some(boot) = crate::simulation::clocks::since_boot() {
        return i32::try_from(boot.as_secs()).unwrap_or(i32::MAX);
    }
    i32::try_from(rustix::system::sysinfo().uptime).unwrap_or(i32::MAX)
}
