//! What can be set, and every limit that cannot.

pub mod fd_budget;
pub(crate) mod flag_values;
pub mod flags;
pub mod limits;
pub mod settings;
