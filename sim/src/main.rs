//! A simulator: the real server, from `server::run::run` down, in one thread, over sockets, a clock, chance and a disk that a seed
//! decides, while clients hold all that they are told against a model. Hours pass in milliseconds, and a seed that fails replays exactly.
//!
//! ```sh
//! cargo run --release --manifest-path sim/Cargo.toml -- --seconds 60
//! ```
//!
//! Leaves all but the exit code to its modules. What must stay true: the seed decides everything; nothing here asks the machine's clock, or
//! iterates over what has no order, while a seed runs.

mod actor;
mod book;
mod clients;
mod net;
mod scenario;

fn main() {
    todo!("filled in with the world")
}
