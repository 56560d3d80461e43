//! What the programs of this crate that hold facts against each other have in common: `kills`, which kills one server, and `boards`, where several
//! share one Redis.
//!
//! | module | what it is |
//! |---|---|
//! | [`server_process`] | a server under test, started and killed |
//! | [`wire`] | how clients speak with it |
//! | [`stream`] | what comes in a stream over HTTP |
//! | [`message`] | what is said |
//! | [`told`] | who was told what |

pub mod message;
pub mod server_process;
pub mod stream;
pub mod told;
pub mod wire;
