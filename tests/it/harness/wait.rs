//! Waiting for conditions. Whatever has to happen has the same time for it.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that has to happen. An emulated machine gets more.
pub fn patience() -> Duration {
    Duration::from_secs(if is_emulated() { 200 } else { 20 })
}

/// Whether the server runs behind `FOGHORN_RUNNER`.
pub fn is_emulated() -> bool {
    std::env::var_os("FOGHORN_RUNNER").is_some()
}

/// Waits until `condition` holds; fails the test if it never does.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < patience(), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
