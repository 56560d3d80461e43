//! What was said, in files that outlive the process.

pub mod boot;
pub mod channel_reading;
pub mod checked_text;
pub mod connection_reading;
pub mod connection_record;
pub mod damage;
pub mod extent;
pub mod file_name;
pub mod folder;
pub mod job;
pub mod mark;
pub mod opening;
pub mod read_buffer;
pub mod restored;
pub mod segment;
pub mod segment_reading;
mod stale_files;
mod steps;
pub mod store;
pub mod worker;
pub mod writer;
