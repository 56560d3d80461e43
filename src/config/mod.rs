//! What can be set, and what cannot.

pub mod flags;
