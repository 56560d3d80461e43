//! The program: flags in, an exit code out.
//!
//! 0: stopped as asked · 1: could not start or was ended at once · 2: a flag is wrong.

use std::io::{self, Write};
use std::process::ExitCode;

use foghorn::cli::serve::serve;
use foghorn::config::flags::Args;
use foghorn::server::run::{Ended, StartError};

const FAILED: u8 = 1;
const BAD_FLAG: u8 = 2;

fn main() -> ExitCode {
    let args = Args::read(&std::env::args_os().skip(1).collect::<Vec<_>>()).unwrap_or_else(|error| error.exit());
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
