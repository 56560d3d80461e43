//! The command line: [`commands`], the server's [`flags`], and of these [`codes`].

mod codes;
mod commands;
mod flags;
