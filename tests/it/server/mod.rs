//! The process and its clients as a whole. In reading order:
//!
//! - [`run`]: the start, the drain, the end
//! - [`admission`]: who is let in when there are too many, and who has to go
//! - [`footprint`]: what clients cost the process

mod admission;
mod footprint;
mod run;
