//! Large files on their way from the page's server, which has found them, to the connection that sends them.
//!
//! What must stay true: files that no request takes are closed, so that no more than [`HTTP_IN_FLIGHT_MAX`] are open here.

use std::collections::BTreeMap;
use std::fs::File;

use crate::config::limits::HTTP_IN_FLIGHT_MAX;

/// Open files, each under a number of its own.
#[derive(Debug, Default)]
pub struct OpenFiles {
    files: BTreeMap<u64, File>,
    last_number: u64,
}

impl OpenFiles {
    /// Keeps a file, and returns the number by which it can be taken.
    pub fn put(&mut self, file: File) -> u64 {
        self.last_number += 1;
        self.files.insert(self.last_number, file);
        // At most `HTTP_IN_FLIGHT_MAX` requests can still take a file, so an older one was abandoned.
        if self.files.len() > HTTP_IN_FLIGHT_MAX {
            self.files.pop_first();
        }
        self.last_number
    }

    /// The file of this number, unless it was taken or has gone.
    pub fn take(&mut self, number: u64) -> Option<File> {
        self.files.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, pipe};

    #[test]
    fn a_file_that_nobody_comes_for_is_closed_when_more_follow_than_there_can_be_requests() {
        let mut files = OpenFiles::default();
        let (mut reader, writer) = pipe().unwrap();
        let forgotten = files.put(File::from(std::os::fd::OwnedFd::from(writer)));
        for _ in 0..HTTP_IN_FLIGHT_MAX {
            let number = files.put(File::open("/dev/null").unwrap());
            assert!(number > forgotten, "no number is used twice");
        }
        assert!(files.take(forgotten).is_none());
        // The writing end was closed, or this would wait for ever.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_file_is_taken_once() {
        let mut files = OpenFiles::default();
        let number = files.put(File::open("/dev/null").unwrap());
        assert!(files.take(number).is_some());
        assert!(files.take(number).is_none());
    }
}
