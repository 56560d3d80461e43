//! A server from its start to its end, and every connection until it is known what it wants.

pub mod dispatch;
pub mod run;
