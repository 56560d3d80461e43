//! Foghorn: a WebSocket broadcaster for a local network, with its page.
//!
//! The map of the house, from the top down; imports run downward only:
//!
//! - `cli`: what the program does, by its first word
//! - `server`: a server from its start to its end, and what each connection wants
//! - `ws`: one WebSocket connection, from its handshake to its close
//! - `page`: what lies at which address, and the server that has it, behind ours
//! - `http`: request heads, who may come in, refusals, sending
//! - `broadcast`: who is connected, and the one who writes to them all
//! - `net`: listening sockets, the end of a connection
//! - `os`: signals, systemd, the machine's addresses
//! - `telemetry`: counters, the log
//! - `hub`: the heart, without I/O: the shared log, and how far each subscriber has got with it
//! - `runtime`: what wakes the tasks of the one thread
//! - `config`: flags, and every limit
//!
//! A connection's way: `net::listener` accepts it, `server::dispatch` reads a head from it, `server::route` says what it wants,
//! `ws::join` makes it a subscriber, `ws::session` publishes what it sends, and `broadcast::flush` writes to it what
//! `hub::channel` has for it.
//!
//! One thread runs all but the page. Its state is plain data without locks; the page's threads see the counters only.

#![warn(missing_docs, missing_debug_implementations)]

pub(crate) mod broadcast;
pub mod cli;
pub mod config;
pub mod http;
pub mod hub;
pub(crate) mod net;
pub(crate) mod os;
pub mod page;
pub(crate) mod runtime;
pub mod server;
pub mod telemetry;
pub mod ws;
