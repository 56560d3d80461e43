//! Drives Foghorn and other WebSocket broadcasters with the same loads and shows them side by side.
//!
//! One subject a file, in reading order. What must stay true: a file uses only files that stand before it here, so there
//! is no circle; `tests/imports.rs` checks it.
//!
//! The connections of a load:
//! - [`socketio`]: packets that socket.io puts around a message
//! - [`wire`]: the bytes; stamped messages out, a counting reader in
//! - [`events`]: the same of event streams
//! - [`tally`]: what makes a run void
//! - [`meter`]: deliveries and their latencies
//! - [`client`]: one connection
//! - [`fleet`]: all of them behind one epoll
//!
//! The servers:
//! - [`process`]: what the kernel says about a server's CPU time and memory
//! - [`cores`]: which core runs what
//! - [`server`]: one server, from its start to its end
//! - [`peers`]: the table of all that can be measured
//! - [`redis`]: a Redis server for boards to share
//!
//! A run of one load against one server:
//! - [`load`]: its kind and sizes
//! - [`outcome`]: its figures, or why it is void
//! - [`statistics`]: the middle of many values, and ratios
//! - `loads::measurement`: the measured stretch, and what the server did in it
//! - `loads::lockstep`: the next message when all have the last; small and big ones
//! - `loads::pipelined`: several publishers, many messages in flight
//! - `loads::paced`: a fixed rate
//! - `loads::idle`: silent clients, by WebSocket or by event stream
//! - `loads::sides`: two loads on one server by turns
//! - `loads::streams`: receivers by event stream beside as many by WebSocket
//! - `loads::channels`: many channels beside one
//! - `loads::arrivals`: clients that come and go, storms of them
//! - `loads::answers`: HTTP answers out of a stream
//! - `loads::visit`: a visit to the page, and what belongs to it
//! - `loads::pages`: visits, one after the other
//! - `loads::kept`: a connection for many requests
//! - `loads::posts`: messages that are posted, over kept connections and over new ones
//! - `loads::forgotten`: channels that come and go
//! - `loads::page_requests`: what one warm request costs
//! - `loads::page_storm`: phones that open the page at once
//! - `loads::boards`: clients on two boards that share a Redis server
//! - [`loads::contender`]: a load in slices, for two servers in turns
//! - [`loads`]: which of these files does which kind
//!
//! Many runs, and what people see of them:
//! - [`results`]: the files that keep them
//! - [`plots`]: the sweeps as SVG
//! - [`report`]: the tables
//! - [`suite`]: all loads against all servers, in alternating rounds
//! - [`duel`]: two servers closely, in slices
//! - [`turns`]: one load for several servers in turns
//! - [`boards`]: two boards on one Redis server, for several kinds of them in turns
//!
//! `main.rs` (the command line) and `bin/` (two servers of our own) are programs on top of it.

pub mod boards;
pub mod client;
pub mod cores;
pub mod duel;
pub mod events;
pub mod fleet;
pub mod load;
pub mod loads;
pub mod meter;
pub mod outcome;
pub mod peers;
pub mod plots;
pub mod process;
pub mod redis;
pub mod report;
pub mod results;
pub mod server;
pub mod socketio;
pub mod statistics;
pub mod suite;
pub mod tally;
pub mod turns;
pub mod wire;
