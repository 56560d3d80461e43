//! What the program does, by its first word.

pub mod command_line;
pub mod listen;
pub mod outcome;
mod prepared;
pub mod send;
pub mod serve;
mod voice;
