//! A server from its start to its end: what each connection wants, and who has a place.

pub mod admission;
pub mod dispatch;
pub mod route;
pub mod run;
