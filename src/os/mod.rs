//! What the machine and its service manager tell, and what they are told.

pub mod addresses;
pub mod host_name;
pub mod search_domains;
pub mod signals;
pub mod systemd;
pub mod terminal_code;
