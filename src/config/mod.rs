//! What can be set, and every limit that cannot.

pub mod client_flags;
pub mod client_limits;
pub mod fd_budget;
pub(crate) mod flag_values;
pub mod flags;
pub(crate) mod hidden_codes;
pub mod limits;
pub(crate) mod redis_flags;
pub mod redis_url;
pub mod reload_limits;
pub mod settings;
