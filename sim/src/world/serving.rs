//! The one place where the server itself is called.

use foghorn::config::settings::Config;
use foghorn::server::run::{Ended, StartError};
use foghorn::simulation::socket::Listener;

use crate::world::stop::Stop;

/// Runs the server on the simulated listeners.
///
/// # Errors
/// What the server ends with.
pub fn serve(_listeners: Vec<Listener>, _config: Config, _stop: Stop) -> Result<Ended, StartError> {
    todo!("once `run` takes simulated listeners")
}
