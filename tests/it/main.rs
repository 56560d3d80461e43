//! Integration tests: the real binary, on a free port, over real sockets.
//!
//! Each folder is one part of the specification, each file in it a chapter, and each test a sentence. In reading order:
//!
//! - [`harness`]: starts and ends servers, and speaks raw HTTP and WebSocket, rules broken included
//! - [`broadcast`]: what a client sees, slow, silent and greedy neighbours included
//! - [`api`]: what a channel does for plain HTTP requests
//! - [`ws`]: how a WebSocket begins, and what ends it, by its close code
//! - [`http`]: what is not let in, by its status, and how an answer is sent
//! - [`access`]: codes, and who guesses them
//! - [`storage`]: what was said outlives the process; [`boards`]: several boards are one hub
//! - `engine`: the link to a real Redis, without the binary
//! - [`page`]: the built-in page, and folders in its place
//! - [`net`]: where it listens; [`server`]: start, end, and limits on connections
//! - [`os`], [`telemetry`]: what systemd gives and wants to know, and what stands in the log
//! - [`cli`]: commands, flags and environment; [`client`]: what the commands `send` and `listen` do
//! - [`papers`]: what the papers show, run as it stands there
//! - [`house`]: that papers, flags, limits and module borders say the same
//!
//! `FOGHORN_BIN` names another binary to test, and `FOGHORN_RUNNER` a command to start it with, such as
//! `qemu-aarch64-static -L /some/root`. `FOGHORN_TEST_SEED` repeats what chance has decided in a test that names its seed.

mod access;
mod api;
mod boards;
mod broadcast;
mod cli;
mod client;
#[cfg(feature = "redis")]
mod engine;
mod harness;
mod house;
mod http;
mod net;
mod os;
mod page;
mod papers;
mod server;
mod storage;
mod telemetry;
mod ws;
