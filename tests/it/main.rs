//! Integration tests: the real binary, on a free port, over real sockets.
//!
//! Each file is one chapter of the specification, and each test one sentence of it. In reading order:
//!
//! - [`harness`]: starts and ends servers, and speaks raw HTTP and WebSocket, rules broken included
//! - [`broadcast`], [`resume`]: what a client sees
//! - [`http`]: the page, and folders in its place
//! - [`refusals`], [`protocol`]: what is not let in, by its status, and what ends a connection, by its close code
//! - [`pressure`], [`limits`]: slow, silent and greedy clients, and very many of them
//! - [`lifecycle`], [`systemd`]: from the start to the end of the process
//! - [`tables`]: that README, flags and limits say the same
//! - [`house`]: that the code is laid out as CONTRIBUTING says, and that its walls stand
//!
//! `FOGHORN_BIN` names another binary to test, and `FOGHORN_RUNNER` a command to start it with, such as
//! `qemu-aarch64-static -L /some/root`.

mod broadcast;
mod harness;
mod house;
mod http;
mod lifecycle;
mod limits;
mod pressure;
mod protocol;
mod refusals;
mod resume;
mod systemd;
mod tables;
