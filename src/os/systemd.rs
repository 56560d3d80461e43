//! From the start to the end of the process: signals, and what the service manager is told.
//!
//! Knows nothing of rooms and pages. What must stay true: without systemd all of this is silent and costs nothing.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, info};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use smol::stream::{self, Stream, StreamExt};

use crate::runtime::reactor::{Async, Timer};
use crate::telemetry::counters::Stats;

/// How often the service manager is told the number of clients and messages at the most.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// SIGTERM and SIGINT: the first item asks the server to stop, the second to do so at once.
///
/// # Errors
/// If the signals cannot be watched.
pub fn stop_signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let terminated = arrivals_of(SIGTERM)?.inspect(|()| info!("stopping (terminated)"));
    let interrupted = arrivals_of(SIGINT)?.inspect(|()| info!("stopping (interrupted); once more ends it at once"));
    Ok(stream::or(terminated, interrupted))
}

/// Each arrival of a signal. Its handler may do no more than write to a socket, whose other end is read here.
fn arrivals_of(signal: i32) -> io::Result<impl Stream<Item = ()> + Unpin> {
    let (told, tells) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal, tells)?;
    let told = Async::new(told)?;
    Ok(stream::poll_fn(move |cx| told.poll_read(cx, &mut [0]).map(|read| read.ok().map(drop))))
}

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

/// Tells the service manager how many are there, for `systemctl status`, when `has_changed` says that there is something
/// to tell. Ends at once where there is none.
pub async fn report_status(stats: Arc<Stats>, has_changed: impl AsyncFn()) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let mut last = String::new();
    loop {
        let now = format!("{} clients, {} messages", stats.clients.get(), stats.messages.get());
        if now != last {
            notify(&[NotifyState::Status(&now)]);
            last = now;
        }
        Timer::after(STATUS_INTERVAL).await;
        has_changed().await;
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
