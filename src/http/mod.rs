//! Requests, and the page that answers them.

pub mod backend;
pub mod head;
pub mod host_policy;
pub mod page_server;
