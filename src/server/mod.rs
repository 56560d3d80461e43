//! A server from its start to its end: its connections up to their upgrade, their requests, their limits.

pub mod admission;
pub mod dispatch;
pub mod route;
pub mod run;
