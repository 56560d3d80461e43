//! What the service manager is told: ready, stopping, how many are there, and that all is well.
//!
//! Knows nothing of channels and pages. What must stay true: without systemd all of this is silent and costs nothing,
//! and a service manager that does not listen holds nobody up.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use log::debug;
use rustix::io::Errno;
use sd_notify::NotifyState;

use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// How often the service manager is told the number of clients and messages at the most.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// How soon something that matters is said again to a service manager whose queue was full.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Tells the service manager that connections are taken from now on. Ends when that is in its queue.
pub async fn notify_ready() {
    while !notify(&NotifyState::Ready) {
        Timer::after(RETRY_INTERVAL).await;
    }
}

/// Tells the service manager that the server is about to stop.
pub fn notify_stopping() {
    notify(&NotifyState::Stopping);
}

/// `sd_notify(3)`: no socket means that nobody wants to know, and a failure is no reason to do anything else. Returns
/// whether it makes no sense to try again: false if the queue of the service manager is full, or the system is short of something.
fn notify(state: &NotifyState<'_>) -> bool {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return true };
    let told = tell(&name, state);
    if let Err(error) = &told {
        debug!("the service manager cannot be told ({error})");
    }
    let is_for_now = |error: io::Error| {
        let errno = Errno::from_io_error(&error);
        error.kind() == ErrorKind::WouldBlock
            || errno.is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno))
    };
    !told.is_err_and(is_for_now)
}

/// Not by the crate, which waits for room in the queue, and takes an abstract address for a path.
fn tell(name: &OsStr, state: &NotifyState<'_>) -> io::Result<()> {
    let words = state.to_string();
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.send_to_addr(words.as_bytes(), &SocketAddr::from_abstract_name(name)?)?,
        None => socket.send_to(words.as_bytes(), name)?,
    };
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
        if now != last && notify(&NotifyState::Status(&now)) {
            last = now;
        }
        // In this order: what changes during the pause is in the next report, and no later change is needed to have it told.
        changed().await;
        Timer::after(STATUS_INTERVAL).await;
    }
}

/// Tells the service manager's watchdog that all is well, as often as it wants, and only after `is_well`. Ends at once
/// where there is no watchdog (`sd_watchdog_enabled(3)`).
pub async fn feed_watchdog(is_well: impl AsyncFn() -> bool) {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    loop {
        // It is asked anew before each attempt: an answer of long ago is no food.
        let is_refused = is_well().await && !notify(&NotifyState::Watchdog);
        let pause = timeout / 2;
        Timer::after(if is_refused { pause.min(RETRY_INTERVAL) } else { pause }).await;
    }
}
