//! What can be set, and every limit that cannot.

pub mod fd_budget;
pub mod flags;
pub mod limits;
pub mod settings;
