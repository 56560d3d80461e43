//! What goes from one client to all, and what a client may cost the others. In reading order:
//!
//! - [`fan_out`]: all clients, one order, messages unchanged
//! - [`channels`]: rooms of their own
//! - [`resume`]: coming back without a gap
//! - [`taken`]: knowing what got through
//! - [`frame_tails`]: nothing comes between the parts of a frame
//! - [`slow_consumers`], [`floods`], [`heartbeat`]: clients that are slow, greedy or silent

mod channels;
mod fan_out;
mod floods;
mod frame_tails;
mod heartbeat;
mod resume;
mod slow_consumers;
mod taken;
