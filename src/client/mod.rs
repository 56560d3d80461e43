//! The same program as a client of a hub: where it is, and how it is spoken to.

pub mod address;
pub mod cursor_file;
pub mod running_command;
pub mod signals;
