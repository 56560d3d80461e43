//! What the system around the process gives and wants to know: [`systemd`].

mod systemd;
