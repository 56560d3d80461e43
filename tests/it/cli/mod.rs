//! The command line: [`flags`], and of these [`codes`].

mod codes;
mod flags;
