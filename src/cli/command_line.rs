//! The command line, by its first word: a server's, or one of a client.
//!
//! Leaves to `config` what flags there are. What must stay true: where the first word is a client's, nothing of the server is read, its variables
//! least of all.

use std::ffi::{OsStr, OsString};
use std::iter;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::client_flags::{ListenArgs, SendArgs};
use crate::config::flags::Args;

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// `foghorn`, `foghorn serve`.
    Serve(Box<Args>),
    /// `foghorn send`.
    Send(SendArgs),
    /// `foghorn listen`.
    Listen(ListenArgs),
}

impl Command {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// If a word or a value cannot work; asking for help or for the version is such an error, too.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let Some((first, others)) = words.split_first() else { return serve(words, &["--help"]) };
        match first.to_str() {
            Some("send") => SendArgs::read(others).map(Self::Send),
            Some("listen") => ListenArgs::read(others).map(Self::Listen),
            Some("serve") => serve(others, &["help", "serve"]),
            // `help`, or a word that is none of ours.
            Some(word) if !word.starts_with('-') => Err(said_by_clap(words)),
            _ => serve(words, &["--help"]),
        }
    }
}

/// Reads the flags of a server. Who asks for help gets that of these words, which has the commands where it is the whole program's.
fn serve(flags: &[OsString], help: &[&str]) -> Result<Command, clap::Error> {
    let error = match Args::read(flags) {
        Ok(args) => return Ok(Command::Serve(Box::new(args))),
        Err(error) => error,
    };
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.as_str(),
        _ => "",
    };
    match error.kind() {
        ErrorKind::DisplayHelp => Err(said_by_clap(help)),
        kind @ ErrorKind::UnknownArgument if ["send", "listen"].contains(&unknown) => {
            let sentence = format!("{unknown} is a command only as the first word, with its own flags behind it");
            Err(program().error(kind, sentence))
        }
        _ => Err(error),
    }
}

/// The program with all that it can do, as help, manual page and completions show it.
pub fn program() -> clap::Command {
    let serve = Args::command().name("serve").about("Serve; the same as no command");
    let commands = [SendArgs::command(), ListenArgs::command(), serve];
    Args::command().subcommands(commands).args_conflicts_with_subcommands(true)
}

/// What clap says to words that ask for help or are wrong.
fn said_by_clap(words: &[impl AsRef<OsStr>]) -> clap::Error {
    let words = words.iter().map(AsRef::as_ref);
    let said = program().try_get_matches_from(iter::once(OsStr::new("foghorn")).chain(words)).err();
    said.unwrap_or_else(|| program().error(ErrorKind::InvalidSubcommand, "this is no command of foghorn"))
}
