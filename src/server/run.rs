//! From the start of a server to its end: puts the parts together, runs them, drains.
//!
//! Leaves connections to `dispatch`, and binding sockets to whoever calls it. What must stay true: when [`run`] returns, nobody
//! who is told so was forgotten, and nothing is left behind on disk.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use log::{info, warn};
use smol::LocalExecutor;
use smol::future::{self, FutureExt, poll_fn};
use smol::stream::{Stream, StreamExt};

use crate::broadcast::broadcaster::Hall;
use crate::config::flags::{Config, DRAIN_TIMEOUT, Limits, Places, RECEIVE_BYTES_MAX_32_BIT};
use crate::http::backend::Relay;
use crate::http::host_policy::Access;
use crate::http::page_server::Site;
use crate::net::listener;
use crate::os::{addresses, systemd};
use crate::runtime::reactor::{self, Async, Timer};
use crate::server::dispatch::{Door, Guests};
use crate::telemetry::counters::Stats;

/// Why the server could not start. Its words say what to do.
#[derive(Debug)]
pub enum StartError {
    /// A flag has a value that cannot work.
    Config(String),
    /// Something that it needs is not there.
    Missing(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Config(sentence) | Self::Missing(sentence)) = self;
        f.write_str(sentence)
    }
}

impl std::error::Error for StartError {}

/// Whether everybody got what was theirs at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All connections were closed in order, or had their time for it.
    Drained,
    /// It was told to stop at once.
    AtOnce,
}

/// Serves these sockets until `stop` says so: its first item starts the drain, its second ends it at once.
///
/// # Errors
/// If it cannot start.
pub fn run(
    listeners: Vec<TcpListener>,
    config: Config,
    stop: impl Stream<Item = ()> + Unpin,
) -> Result<Ended, StartError> {
    let access = access_rules(&config)?;
    let www = config.www.as_deref().map(check_www).transpose()?;
    let stats = Arc::new(Stats::new());
    let limits = &config.limits;
    let folders = runtime_folders();
    let site = Site::start(folders, www, Arc::clone(&stats), limits.message_bytes_max, limits.backlog_bytes);
    let site = site.map_err(|error| {
        StartError::Missing(format!(
            "cannot make a private socket for the page ({error}): set RUNTIME_DIRECTORY to a folder that can be written to"
        ))
    })?;

    let places = places(limits);
    let executor = Rc::new(LocalExecutor::new());
    let hall = Rc::new(Hall::new(Arc::new(config), Arc::clone(&stats), Rc::clone(&executor)));
    let door = Rc::new(Door {
        access,
        hall,
        relay: Relay::new(Arc::clone(&site), Arc::clone(&stats), places.http),
        stats,
        places,
        executor: Rc::clone(&executor),
        guests: Guests::default(),
    });
    let ended = reactor::block_on(executor.run(serve(listeners, door, stop))).and_then(|ended| ended);
    site.close();
    ended.map_err(|error| StartError::Missing(format!("cannot take the listening sockets into use: {error}")))
}

async fn serve(
    listeners: Vec<TcpListener>,
    door: Rc<Door>,
    mut stop: impl Stream<Item = ()> + Unpin,
) -> io::Result<Ended> {
    let bound: Vec<SocketAddr> = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let executor = &door.executor;
    let mut accepting = Vec::new();
    for listener in listeners {
        let taking = Rc::clone(&door);
        let take = move |socket, peer| taking.take(socket, peer);
        accepting.push(executor.spawn(listener::accept_all(Async::new(listener)?, Arc::clone(&door.stats), take)));
    }
    let mut vital = vec![executor.spawn(Rc::clone(&door.hall).run_flush())];
    if let Some(heartbeat) = door.hall.config().limits.heartbeat {
        vital.push(executor.spawn(Rc::clone(&door.hall).run_heartbeat(heartbeat)));
    }
    let looked_at = Rc::clone(&door.hall);
    let has_changed = async move || looked_at.changed().await;
    executor.spawn(systemd::report_status(Arc::clone(&door.stats), has_changed)).detach();
    let watched = Rc::clone(&door);
    let is_well = async move || watched.relay.answer(true, "/status", "localhost", None, None, false).await.is_ok();
    executor.spawn(systemd::feed_watchdog(is_well)).detach();
    addresses::say(&bound);
    systemd::notify_ready();

    // These never end. If one panics, awaiting it passes the panic on: the process ends and is started anew, where it would
    // otherwise live on and accept nobody, or send nothing.
    let failed = poll_fn(|cx| {
        let mut tasks = vital.iter_mut().chain(accepting.iter_mut());
        if tasks.any(|task| Pin::new(task).poll(cx).is_ready()) { Poll::Ready(()) } else { Poll::Pending }
    });
    let asked_to_stop = async {
        if stop.next().await.is_none() {
            future::pending::<()>().await;
        }
    };
    asked_to_stop.or(failed).await;
    systemd::notify_stopping();
    drop(accepting);
    door.hall.stop();
    let drained = async {
        let all_served = async {
            door.hear_newcomers().await;
            poll_fn(|cx| door.poll_empty(cx)).await;
        };
        all_served.or(Timer::after(DRAIN_TIMEOUT)).await;
        Ended::Drained
    };
    let at_once = poll_fn(|cx| match stop.poll_next(cx) {
        Poll::Ready(Some(())) => Poll::Ready(Ended::AtOnce),
        _ => Poll::Pending,
    });
    Ok(drained.or(at_once).await)
}

fn access_rules(config: &Config) -> Result<Access, StartError> {
    let own_name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    Access::new(own_name.as_deref().map(str::trim), &config.allow_hosts, &config.allow_origins)
        .map_err(StartError::Config)
}

fn check_www(www: &Path) -> Result<&Path, StartError> {
    match fs::read_dir(www) {
        Ok(_) => Ok(www),
        Err(error) => Err(StartError::Missing(format!(
            "cannot serve --www {} ({error}): give a folder that exists and can be read",
            www.display()
        ))),
    }
}

/// Where the private socket may go: `RUNTIME_DIRECTORY` of `systemd.exec(5)`, a user's own, the one for temporary files.
fn runtime_folders() -> Vec<PathBuf> {
    let named = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    named.chain([std::env::temp_dir()]).collect()
}

/// Raises the limit of open files as far as it goes, and shares the descriptors out.
fn places(limits: &Limits) -> Places {
    let descriptors = rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap_or(1024);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let wanted = limits.clients_max;
    let in_memory = if cfg!(target_pointer_width = "32") {
        (RECEIVE_BYTES_MAX_32_BIT / limits.message_bytes_max).max(1)
    } else {
        wanted
    };
    if in_memory < wanted {
        // No warning: with the default flags that is how it is on such a machine.
        info!("{in_memory} clients fit into 32-bit addresses with this --max-message; lower it for {wanted}");
    }
    let places = Places::within(descriptors, wanted.min(in_memory));
    if places.clients < wanted.min(in_memory) {
        let clients = places.clients;
        warn!(
            "only {clients} clients fit into the limit of {descriptors} open files; raise it (ulimit -n, LimitNOFILE=) for {wanted}"
        );
    }
    places
}
