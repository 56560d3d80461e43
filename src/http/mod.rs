//! Requests and responses, whatever they are about: heads, who may come in, refusals, sending.

pub mod head;
pub mod host;
pub mod host_policy;
pub mod origin;
pub mod refusal;
pub mod response;
