//! `foghorn`: from the settings to a running server.
//!
//! Leaves exit codes to `main`. What must stay true: logging starts before anything can go wrong, and signals are watched before
//! anybody can connect.

use crate::config::settings::Config;
use crate::net::listener;
use crate::os::signals;
use crate::server::run::{Ended, StartError, run};
use crate::telemetry::log;

/// Serves until a signal says so.
///
/// # Errors
/// If it cannot start.
pub fn serve(config: Config) -> Result<Ended, StartError> {
    let unavailable = |error: String| StartError::Unavailable(error);
    log::start(config.log_level).map_err(|error| {
        unavailable(format!("cannot start the log ({error}): raise the limit of threads (ulimit -u, TasksMax=)"))
    })?;
    let stop = signals::stop_signals().map_err(|error| {
        unavailable(format!("cannot watch for signals ({error}): raise the limit of open files (ulimit -n)"))
    })?;
    let mut listeners = listener::inherited().map_err(|error| unavailable(error.to_string()))?;
    if listeners.is_empty() {
        listeners = listener::bind(&config.listen).map_err(|error| unavailable(error.to_string()))?;
    }
    run(listeners, config, stop)
}
