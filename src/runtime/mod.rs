//! What wakes the tasks of the one thread.

pub mod boot_clock;
pub mod reactor;
pub mod socket;
pub mod spawner;
pub mod timer;

#[cfg(test)]
mod tests;
