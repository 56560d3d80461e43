//! Requests and responses, whatever they are about: heads and bodies, who may come in, refusals, sending.

pub mod body;
pub mod byte_range;
pub mod conditions;
pub mod cors;
pub mod head;
pub mod host;
pub mod host_policy;
pub mod offered_code;
pub mod origin;
pub mod query;
pub mod refusal;
pub mod response;
pub mod short_answer;
