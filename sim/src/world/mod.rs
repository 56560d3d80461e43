//! The world around the server: what happens in it, and what the server has of it.

pub mod course;
pub mod disk;
pub mod faulting;
mod formula;
pub mod kernel;
pub mod simulated;
pub mod stage;
pub mod stop;
#[cfg(test)]
mod tests;
