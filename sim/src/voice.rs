//! The server's log on the terminal, with the simulated time, for who replays a seed.
//!
//! Leaves what is logged to the server. What must stay true: nothing is formatted unless it was asked for.

use std::cell::Cell;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// What stands before each line from now on.
pub fn set_now(now: Duration) {
    NOW.set(now);
}

struct Voice;

/// Has the log shown from now on.
pub fn speak() {
    static VOICE: Voice = Voice;
    if log::set_logger(&VOICE).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl Log for Voice {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = NOW.get();
        println!("{now:>14.6?} {} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}
