//! `foghorn send` and `foghorn listen`: the binary as a client. In reading order:
//!
//! - [`room`]: who else is in a channel
//! - [`addresses`]: where a client goes, with which code
//! - [`send`], [`listen`]: what they do while all is well
//! - [`refused`]: what they say when they cannot come in
//! - [`send_faults`], [`listen_faults`]: networks that break, servers that end, signals
//! - [`cursor`], [`exec`]: a script that is restarted, and a command for each message
//! - [`strangers`]: servers that are no Foghorn

mod addresses;
mod cursor;
mod exec;
mod listen;
mod listen_faults;
mod refused;
mod room;
mod send;
mod send_faults;
mod strangers;
