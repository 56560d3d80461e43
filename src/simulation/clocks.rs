//! What the clocks say to a thread that simulates.
//!
//! Leaves reading them to `runtime::clock`. What must stay true: they are this thread's only, and stand still until somebody sets them.

use std::cell::{Cell, OnceCell};
use std::time::{Duration, Instant, SystemTime};

/// What all clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Since some moment, the same for the whole simulation; it never goes back, and stands still while the machine sleeps.
    pub monotonic: Duration,
    /// Since the machine was started; it goes on while the machine sleeps.
    pub boot: Duration,
    /// Since 1970; it jumps.
    pub unix: Duration,
}

thread_local! {
    static CLOCKS: Cell<Option<Clocks>> = const { Cell::new(None) };
    /// The moment at which the simulated `monotonic` is 0: nobody can make an [`Instant`] from nothing.
    static BEGINNING: OnceCell<Instant> = const { OnceCell::new() };
}

/// Has the clocks of this thread say this, until they are set again or the world is left.
pub fn set_clocks(clocks: Clocks) {
    CLOCKS.set(Some(clocks));
}

pub(super) fn leave() {
    CLOCKS.set(None);
}

/// The moment of a clock that never jumps, if the clocks are simulated.
pub fn now() -> Option<Instant> {
    let clocks = CLOCKS.get()?;
    Some(BEGINNING.with(|beginning| *beginning.get_or_init(Instant::now)) + clocks.monotonic)
}

/// The moment of the clock of the day, if the clocks are simulated.
pub fn system_now() -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + CLOCKS.get()?.unix)
}

/// How long ago the machine was started, if the clocks are simulated.
pub fn since_boot() -> Option<Duration> {
    Some(CLOCKS.get()?.boot)
}
