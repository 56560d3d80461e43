//! Codes: who may come into a channel, and who may send there.

pub mod code_settings;
pub mod codes;
pub mod guesses;
