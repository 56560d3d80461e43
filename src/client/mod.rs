//! The same program as a client of a hub: where it is, how it is spoken to, and what becomes of what it says.

pub mod address;
mod connection;
pub mod cursor_file;
pub(crate) mod failure;
pub(crate) mod handling;
mod hello;
pub(crate) mod incoming;
pub(crate) mod input;
mod lines;
pub(crate) mod link;
mod opening;
pub(crate) mod printing;
mod resource;
pub mod running_command;
pub mod signals;
pub(crate) mod unconfirmed;
pub(crate) mod waiting;
mod wire;
