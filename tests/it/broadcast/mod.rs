//! What goes from one client to all, and what a client may cost the others. In reading order:
//!
//! - [`fan_out`]: one room, one order, messages unchanged
//! - [`resume`]: coming back without a gap
//! - [`slow_consumers`], [`floods`], [`heartbeat`]: clients that are slow, greedy or silent

mod fan_out;
mod floods;
mod heartbeat;
mod resume;
mod slow_consumers;
