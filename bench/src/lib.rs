//! Drives Foghorn and other WebSocket broadcasters with the same loads and shows them side by side.
//!
//! In reading order: [`wire`] (frames), [`tally`] (what makes a run void), [`meter`] (counts and latencies), [`client`]
//! and [`fleet`] (the load's connections), [`process`] (CPU and memory of the server), [`cores`] (which core runs
//! what), [`server`] and [`peers`] (the servers), [`load`] and [`outcome`] (what is done to them, what comes out),
//! [`loads`] (how), [`suite`] (all of it, in alternating rounds), [`duel`] (two of them, closely), [`results`] (the
//! files), [`report`], [`plots`] and [`statistics`] (for people).

pub mod client;
pub mod cores;
pub mod duel;
pub mod fleet;
pub mod load;
pub mod loads;
pub mod meter;
pub mod outcome;
pub mod peers;
pub mod plots;
pub mod process;
pub mod report;
pub mod results;
pub mod server;
pub mod statistics;
pub mod suite;
pub mod tally;
pub mod wire;
