//! What wakes the tasks of the one thread.

pub mod reactor;
