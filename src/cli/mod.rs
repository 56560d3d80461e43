//! What the program does, by its first word; today it only serves.

pub mod serve;
