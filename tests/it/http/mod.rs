//! Requests and responses. In reading order:
//!
//! - [`head`], [`host_policy`]: what is not let in: malformed, ambiguous, too large, too slow; foreign
//! - [`response`]: answers on their way to slow readers

mod head;
mod host_policy;
mod response;
