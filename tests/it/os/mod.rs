//! What the system around the process gives and wants to know: [`systemd`]; what a person at a terminal is told: [`addresses`].

mod addresses;
mod systemd;
