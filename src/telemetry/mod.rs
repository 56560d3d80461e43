//! What is counted and what is logged.

pub mod counters;
pub mod log;
pub mod refusals;
