//! Codes: who may come in, and who may send. In reading order:
//!
//! - [`asking`]: each way to use a channel, and a code in each place
//! - [`ways`]: all of them with all kinds of codes, against a table
//! - [`refused`]: what those are told who may not, and what it costs
//! - [`guessing`]: who tries codes

mod asking;
mod guessing;
mod refused;
mod ways;
