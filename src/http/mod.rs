//! Requests: who may come in, what they ask, and the page that answers.

pub mod backend;
pub mod head;
pub mod host_policy;
pub mod open_files;
pub mod page_request;
pub mod page_server;
pub mod qr_code;
pub mod refusal;
pub mod representation;
pub mod resources;
pub mod response;
pub mod static_files;
pub mod status;
