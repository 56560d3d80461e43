//! One file of a folder on disk, as what is sent back: read, if it is small, or open to be streamed.
//!
//! Leaves finding it to `static_files`. What must stay true: nothing but a plain file is opened.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::config::limits::HTTP_BODY_BYTES_MAX;
use crate::page::representation::Representation;

/// Reads or opens the file at this path, which has no link in it.
///
/// # Errors
/// If the file system refuses it, or knows no time of its last change.
pub fn read_file(path: &Path, content_type: String) -> io::Result<Representation> {
    // Looked at before it is opened: to open a FIFO means to wait until somebody writes to it.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Representation::not_found());
    }
    let file = File::open(path)?;
    let changed_ns = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let mut found = Representation::new(content_type, Vec::new());
    found.etag = Some(format!("\"{:x}-{changed_ns:x}\"", metadata.len()));
    if metadata.len() > HTTP_BODY_BYTES_MAX as u64 {
        found.file = Some((file, metadata.len()));
    } else {
        io::Read::read_to_end(&mut io::Read::take(file, HTTP_BODY_BYTES_MAX as u64), &mut found.body)?;
    }
    Ok(found)
}
