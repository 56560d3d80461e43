//! Why there can be no page.
//!
//! Leaves ending the program to others. What must stay true: each sentence says what to do.

use std::fmt;
use std::io;

use crate::page::private_folder::PARENT_BYTES_MAX;

/// Why there can be no page. It shows itself as a sentence.
#[derive(Debug)]
pub enum PageError {
    /// No folder takes its private socket; the error says for each why.
    Socket(io::Error),
    /// There are too few threads.
    Threads(io::Error),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(
                f,
                "cannot make a private socket for the page ({error}): set RUNTIME_DIRECTORY to a folder that can be \
                 written to, by an absolute path of at most {PARENT_BYTES_MAX} bytes"
            ),
            Self::Threads(error) => {
                write!(f, "cannot start the page's threads ({error}): raise their limit (ulimit -u, TasksMax=)")
            }
        }
    }
}

impl std::error::Error for PageError {}
