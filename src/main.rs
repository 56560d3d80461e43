//! The program: words in, an exit code out.
//!
//! A server: 0: stopped as asked · 1: could not start or was ended at once · 2: a flag is wrong.
//!
//! A client: 0: all is done · 1: it failed · 2: a flag or the address is wrong; `send` also 3: something was not sent · 4: of something nobody
//! knows whether it got through.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use foghorn::cli::command_line::Command;
use foghorn::cli::listen::listen;
use foghorn::cli::outcome::Outcome;
use foghorn::cli::send::send;
use foghorn::cli::serve::serve;
use foghorn::config::flags::Args;
use foghorn::server::run::{Ended, StartError};

const FAILED: u8 = 1;
const BAD_FLAG: u8 = 2;
const UNSENT: u8 = 3;
const UNSURE: u8 = 4;

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match Command::read(&words).unwrap_or_else(|error| error.exit()) {
        Command::Send(args) => end_client(send(args)),
        Command::Listen(args) => end_client(listen(args)),
        Command::Serve(args) => run_server(*args),
    }
}

fn run_server(args: Args) -> ExitCode {
    let ended = args.try_into().map_err(StartError::Config).and_then(serve);
    log::logger().flush();
    match ended {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce) => ExitCode::from(FAILED),
        Err(error) => {
            // Without `eprintln!`, which panics where nobody can read it.
            let _ = writeln!(io::stderr(), "foghorn: {error}");
            ExitCode::from(if matches!(error, StartError::Config(_)) { BAD_FLAG } else { FAILED })
        }
    }
}

fn end_client(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::from(FAILED),
        Outcome::WrongUse => ExitCode::from(BAD_FLAG),
        Outcome::Unsent => ExitCode::from(UNSENT),
        Outcome::Unsure => ExitCode::from(UNSURE),
    }
}
