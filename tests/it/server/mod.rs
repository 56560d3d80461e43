//! The process and its clients as a whole. In reading order:
//!
//! - [`run`]: the start, the drain, the end
//! - [`admission`]: who is let in when there are too many, and who has to go
//! - [`footprint`]: what clients cost the process
//! - [`clock`]: the clock of the day is set

mod admission;
mod clock;
mod footprint;
mod run;
