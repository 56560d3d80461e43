//! What a simulator hands in: clocks, chance, sockets, and a disk's moods. Only with the feature `simulation`, which no release has.

pub mod chance;
pub mod clocks;
pub mod disk;
pub mod entered;
pub mod socket;
pub mod world;

#[cfg(test)]
mod tests;
