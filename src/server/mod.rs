//! A server from its start to its end: its connections up to their upgrade, their requests, their limits.

pub mod address;
pub mod admission;
pub mod answered;
pub mod answering;
pub mod dispatch;
pub mod permission;
pub mod refusing;
pub mod route;
pub mod run;
#[cfg(feature = "redis")]
pub mod shared;
pub mod state;
pub mod www;
