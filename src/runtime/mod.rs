//! What wakes the tasks of the one thread, and what the clocks say.

pub mod boot_clock;
pub mod clock;
pub mod poller;
pub mod reactor;
pub mod socket;
pub mod spawner;
pub mod tcp;
pub mod timer;
pub mod worker_threads;

#[cfg(test)]
mod tests;
