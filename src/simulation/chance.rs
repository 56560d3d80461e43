//! What is left to chance, decided by a seed.
//!
//! What must stay true: the same seed and the same calls give the same results.

use std::cell::Cell;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Has this seed decide what is left to chance in this thread, from the beginning, until the world is left.
pub fn seed(seed: u64) {
    fastrand::seed(seed);
    SEED.set(Some(seed));
}

pub(super) fn leave() {
    SEED.set(None);
}

/// The seed, in place of a key that nobody can guess.
pub fn key() -> Option<u64> {
    SEED.get()
}
