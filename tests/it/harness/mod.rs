//! Starts servers and speaks to them byte by byte.
//!
//! What must stay true: a test waits for conditions, up to [`patience`], and never for a time to pass; every server is
//! ended with its test, by its own process id, and must not have panicked. In reading order:
//!
//! - [`wait`]: how long anything may take
//! - [`files`]: folders to be served, and the project's own
//! - [`launch`], [`server`], [`output`]: a server that is to be started, one that runs, and what it writes;
//!   [`terminal`]: one for it to write to; [`lasting`]: one that goes on after its end
//! - [`invocation`]: `foghorn send` and `foghorn listen`, from their start to their end
//! - [`http`], [`frames`]: what goes over the wire; [`client`]: who sends and reads it, rules broken included
//! - [`stream`]: a stream over HTTP, and who reads it
//! - [`bystanders`], [`load`]: honest clients beside what a test is about, and those that are a burden
//! - [`proxy`]: a network that breaks; [`redis`]: a Redis that does; [`stranger`]: servers that are no Foghorn
//! - [`network`]: ports of the test's own, and a whole network

mod bystanders;
mod client;
mod files;
mod frames;
mod http;
mod invocation;
mod lasting;
mod launch;
mod load;
mod network;
mod output;
mod proxy;
mod redis;
mod server;
mod stranger;
mod stream;
mod terminal;
mod wait;

pub use bystanders::Bystanders;
pub use client::{Client, GREETING, get, post, refused, request};
pub use files::{Closed, LARGE_BYTES, contents, folder, folder_with_large_file, project};
pub use frames::{BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, TEXT, masked, unmasked};
pub use http::{Response, lines, post_head, request_head, upgrade_head};
pub use invocation::{Invocation, Running};
pub use lasting::{Lasting, Place, resume, with_state};
pub use launch::Launch;
pub use load::{Loop, ask_for_large_file, expect_numbered, numbered, publish_numbered, raise_own_limit, sleeper};
pub use network::{OWN_ADDRESSES, free_listener, in_own_network};
pub use output::{Finished, Lines};
pub use proxy::{At, CONFIRMATION, Cut, How, Proxy, Way};
pub use redis::{Redis, boards};
pub use server::Server;
pub use stranger::{Manner, Oddity, Stranger};
pub use stream::{Event, Stream};
pub use terminal::Terminal;
pub use wait::{eventually, is_emulated, patience};
