//! Foghorn: a message hub for a local network, over WebSocket and HTTP, with its page.
//!
//! The map of the house, from the top down; imports run downward only:
//!
//! - `cli`: what the program does, by its first word
//! - `client`: the same program as a client of a hub: where it is, and how it is spoken to
//! - `server`: a server from its start to its end, and what each connection wants
//! - `ws`: one WebSocket connection, from its handshake to its close
//! - `api`: what a channel does for plain HTTP requests, and the figures for programs that watch
//! - `page`: what lies at which address, and the server that has it, behind ours
//! - `http`: request heads and bodies, who may come in, refusals, sending
//! - `broadcast`: the channels with their clients, and the flush that writes to all of them
//! - `net`: listening sockets, the end of a connection
//! - `os`: signals, systemd, the machine's addresses
//! - `storage`: what was said, in files that outlive the process
//! - `engine`: channels that several boards share, in Redis
//! - `access`: codes: who may come into a channel, and who may send there
//! - `telemetry`: counters, the log
//! - `hub`: the core without I/O: the backlog, and each subscriber's cursor into it (connections are above, in `broadcast`)
//! - `runtime`: what wakes the tasks of the one thread, and what the clocks say
//! - `config`: flags, and every limit
//! - `simulation`: what a simulator hands in: clocks, chance, sockets, a disk; in no release
//!
//! A connection's way: `net::listener` accepts it, `server::dispatch` reads a request head, `server::route` decides page,
//! request to a channel or WebSocket, and asks `server::permission` where that needs a code, `ws::join` subscribes it, `ws::session`
//! publishes its messages, `hub::delivery` chooses what it gets next, `broadcast::flush` writes that. A stream over HTTP goes by
//! `api::stream` and `hub::stream_delivery` instead.
//!
//! One thread runs all connections, and its own state has no locks. Beside it: the page's threads (they share the socket path, the
//! open files and, with `--www`, the queue of requests that need the disk), the log's thread, up to `DISK_READS_MAX` threads that
//! read files, one that makes a QR code, with `--reload` one that watches the folder, and with `--state` on a disk one that writes there.

#![warn(missing_docs, missing_debug_implementations)]

#[cfg(not(target_os = "linux"))]
compile_error!("Foghorn is for Linux only; elsewhere, run it in a Linux container or virtual machine.");

pub mod access;
pub mod api;
pub(crate) mod broadcast;
pub mod cli;
pub mod client;
pub mod config;
#[cfg(feature = "redis")]
pub mod engine;
pub mod http;
pub mod hub;
pub(crate) mod net;
pub(crate) mod os;
pub mod page;
pub(crate) mod runtime;
pub mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod storage;
pub mod telemetry;
pub mod ws;
