//! From `--redis` to the way to the log that all boards share.
//!
//! Leaves connecting to `engine`, which may take as long as it wants. What must stay true: whether Redis is there or not, the server starts.

use std::io;
use std::rc::Rc;

use log::info;

use crate::broadcast::kept_state::KeptState;
use crate::broadcast::relay::Relay;
use crate::config::settings::RedisSettings;
use crate::engine::link::Link;

/// Begins to connect, as a board that nobody else is.
///
/// # Errors
/// If there are no threads for it.
pub fn open(settings: &RedisSettings) -> io::Result<KeptState> {
    let RedisSettings { url, prefix } = settings;
    info!("channels are shared at Redis {url}; until there is a connection, the page is served and nobody can join");
    let board = fastrand::u64(..);
    let link = Link::start(url.clone(), prefix.clone(), board)?;
    Ok(KeptState::Shared(Rc::new(Relay::new(link, url.to_string(), board))))
}
