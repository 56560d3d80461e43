//! The command line: flags in, an exit code out.
//!
//! 0: stopped as asked · 1: could not start or was ended at once · 2: a flag is wrong.

use std::process::ExitCode;

use clap::Parser;
use foghorn::config::flags::Args;
use foghorn::config::settings::Config;
use foghorn::net::listener;
use foghorn::os::signals;
use foghorn::telemetry;
use foghorn::{Ended, StartError};

const FAILED: u8 = 1;
const BAD_FLAG: u8 = 2;

fn main() -> ExitCode {
    let config = Config::from(Args::parse());
    let ended = start(config);
    log::logger().flush();
    match ended {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("foghorn: {error}");
            let is_flag = matches!(error.downcast_ref(), Some(StartError::Config(_)));
            ExitCode::from(if is_flag { BAD_FLAG } else { FAILED })
        }
    }
}

fn start(config: Config) -> Result<Ended, Box<dyn std::error::Error>> {
    telemetry::log::start(config.log_level)?;
    let stop = signals::stop_signals()
        .map_err(|error| format!("cannot watch for signals ({error}): raise the limit of open files (ulimit -n)"))?;
    let mut listeners = listener::inherited()?;
    if listeners.is_empty() {
        listeners = listener::bind(&config.listen)?;
    }
    Ok(foghorn::run(listeners, config, stop)?)
}
