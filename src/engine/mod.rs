//! Channels that several boards share, in the streams of a Redis or Valkey server.

pub mod answer_reading;
pub mod command;
pub mod connection;
pub mod entry;
pub mod keys;
pub mod link;
pub mod order;
pub mod order_queue;
pub mod problem;
pub mod read_plan;
pub mod reader;
pub mod script;
pub mod writer;
