//! What the service manager is told: ready, stopping, how many are there, and that all is well.
//!
//! Knows nothing of channels and pages. What must stay true: without systemd all of this is silent and costs nothing.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use log::debug;
use sd_notify::NotifyState;

use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// How often the service manager is told the number of clients and messages at the most.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Tells the service manager that connections are taken from now on.
pub fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells the service manager that the server is about to stop.
pub fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// `sd_notify(3)`: no socket means that nobody wants to know, and a failure is no reason to do anything else.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = tell(states) {
        debug!("the service manager cannot be told ({error})");
    }
}

fn tell(states: &[NotifyState<'_>]) -> io::Result<()> {
    let socket = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    // An abstract address, which the crate takes for a path.
    let Some(name) = socket.as_bytes().strip_prefix(b"@") else { return sd_notify::notify(states) };
    let words: String = states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
    Ok(())
}

/// Tells the service manager how many are there, for `systemctl status`, when `changed` says that there is something
/// to tell. Ends at once where there is none.
pub async fn report_status(counters: Arc<Counters>, changed: impl AsyncFn()) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let mut last = String::new();
    loop {
        let now = format!("{} clients, {} messages", counters.clients.get(), counters.messages.get());
        if now != last {
            notify(&[NotifyState::Status(&now)]);
            last = now;
        }
        Timer::after(STATUS_INTERVAL).await;
        changed().await;
    }
}

/// Tells the service manager's watchdog that all is well, as often as it wants, and only after `is_well`. Ends at once
/// where there is no watchdog (`sd_watchdog_enabled(3)`).
pub async fn feed_watchdog(is_well: impl AsyncFn() -> bool) {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    loop {
        if is_well().await {
            notify(&[NotifyState::Watchdog]);
        }
        Timer::after(timeout / 2).await;
    }
}
