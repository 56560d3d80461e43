//! What the machine and its service manager are told and tell.

pub mod addresses;
pub mod systemd;
