//! The command line: [`flags`].

mod flags;
