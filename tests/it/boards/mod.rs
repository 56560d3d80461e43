//! Several boards are one hub: servers that share their channels at a real Redis.

mod failing;
mod resuming;
mod sharing;
