//! From the start of a server to its end: puts the parts together, runs them, drains.
//!
//! Leaves connections to `dispatch`, and binding sockets to the caller. What must stay true: `run` returns only when every client
//! was served, its time was over, or the server was told to stop at once; and nothing of it is left
//! then, on disk or in the process.

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use async_executor::LocalExecutor;
use bytesize::ByteSize;
use log::{info, warn};
use smol::future::{self, FutureExt, poll_fn};
use smol::stream::{Stream, StreamExt};

use crate::access::code_settings;
use crate::api::metrics::Metrics;
use crate::api::publish::Posts;
use crate::api::shared_copies::SharedCopies;
use crate::broadcast::broadcaster::Broadcaster;
use crate::config::fd_budget::FdBudget;
use crate::config::limits::{DESCRIPTORS_FOR_REDIS, DESCRIPTORS_FOR_STATE, DRAIN_TIMEOUT, RECEIVE_BYTES_MAX_32_BIT};
use crate::config::reload_limits::{DESCRIPTORS_FOR_RELOAD, reload_streams_max};
use crate::config::settings::{Config, Limits};
use crate::http::host_policy::HostPolicy;
use crate::http::response::ResponseSender;
use crate::hub::channel_name::ChannelName;
use crate::net::listener;
use crate::os::host_name::host_name;
use crate::os::search_domains::{RESOLV_CONF, SearchDomains};
use crate::os::{addresses, systemd};
use crate::page::backend::Backend;
use crate::page::frontend::Frontend;
use crate::page::page_server::PageServer;
use crate::page::private_folder::runtime_folders;
use crate::page::status::Status;
use crate::runtime::reactor;
use crate::runtime::socket::Async;
use crate::runtime::spawner::Spawner;
use crate::runtime::tcp::Listener;
use crate::runtime::timer::Timer;
use crate::server::admission::Admission;
use crate::server::dispatch::Dispatch;
use crate::server::permission::Permissions;
#[cfg(feature = "redis")]
use crate::server::shared;
use crate::server::state;
use crate::server::www;
use crate::telemetry::counters::Counters;
use crate::telemetry::refusals::Refusals;

/// Why the server could not start. It shows itself as a sentence that says what to do.
#[derive(Debug)]
pub enum StartError {
    /// A flag has a value that cannot work.
    Config(String),
    /// Something that it needs is not there.
    Unavailable(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Config(sentence) | Self::Unavailable(sentence)) = self;
        f.write_str(sentence)
    }
}

impl std::error::Error for StartError {}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All connections were closed in order, or had their time for it.
    Drained,
    /// It was told to stop at once.
    AtOnce,
}

/// Serves these sockets until `stop` yields: the first item starts the drain, a second item ends the server at once.
///
/// # Errors
/// If it cannot start.
pub fn run(
    listeners: Vec<impl Into<Listener>>,
    config: Config,
    stop: impl Stream<Item = ()> + Unpin,
) -> Result<Ended, StartError> {
    let host_policy = host_policy(&config)?;
    let variable = |name: &str| env::var_os(name);
    let codes = code_settings::codes(&config, variable).map_err(StartError::Config)?;
    if let Some((level, sentence)) = &config.notice {
        log::log!(*level, "{sentence}");
    }
    if let Some(warning) = code_settings::mistaken(&codes, variable) {
        warn!("{warning}");
    }
    if let Some(summary) = codes.summary() {
        info!("{summary}");
    }
    let (resources, reload) = www::open(&config).map_err(StartError::Unavailable)?;
    let counters = Arc::new(Counters::new());
    let Limits { message_bytes_max, backlog_bytes, clients_per_ip_max, .. } = config.limits;
    let refusals = Rc::new(Refusals::default());
    let status =
        Status { counters: Arc::clone(&counters), refusals: Rc::clone(&refusals), message_bytes_max, backlog_bytes };

    let executor = Rc::new(LocalExecutor::new());
    let spawner = Spawner::new(&executor);
    let config = Arc::new(config);
    let kept: BTreeSet<ChannelName> = codes.named().cloned().collect();
    #[cfg(feature = "redis")]
    let state = match &config.redis {
        Some(redis) => shared::open(redis).map_err(|error| {
            StartError::Unavailable(format!(
                "there are no threads for --redis ({error}): allow more (ulimit -u, TasksMax=)"
            ))
        })?,
        None => state::open(&config, &kept),
    };
    #[cfg(not(feature = "redis"))]
    let state = state::open(&config, &kept);
    let broadcaster = Broadcaster::new(Arc::clone(&config), kept, Arc::clone(&counters), spawner.clone(), state);
    let broadcaster = Rc::new(broadcaster.map_err(|_| {
        StartError::Unavailable(format!(
            "there is no memory for --backlog {}: lower it",
            ByteSize(backlog_bytes as u64)
        ))
    })?);
    let is_baked_in = resources.www.is_none();
    let page_server = PageServer::start(runtime_folders(|name| env::var_os(name)), resources)
        .map_err(|error| StartError::Unavailable(error.to_string()))?;
    let budget = fd_budget(&config);
    let reload = reload.map(|reload| reload.with_places(reload_streams_max(budget.pending)));
    let backend = Rc::new(Backend::new(Arc::clone(&page_server), Arc::clone(&counters), budget.http_in_flight));
    let dispatch = Rc::new(Dispatch {
        host_policy,
        permissions: Permissions::new(codes),
        search_domains: SearchDomains::of(RESOLV_CONF),
        admission: Rc::new(Admission::new(budget, clients_per_ip_max, Arc::clone(&counters))),
        broadcaster,
        posts: Posts::new(message_bytes_max, &counters),
        frontend: Frontend::new(status, is_baked_in, Rc::clone(&backend), reload),
        copies: SharedCopies::new(message_bytes_max),
        metrics: Metrics::new(Arc::clone(&counters), message_bytes_max, backlog_bytes),
        sender: ResponseSender::new(),
        counters,
        refusals,
        spawner,
    });
    let listeners = listeners.into_iter().map(Into::into).collect();
    let ended = reactor::block_on(executor.run(serve(listeners, dispatch, backend, stop)));
    // All tasks, and the connections that they have.
    drop(executor);
    page_server.close();
    let unavailable = |sentence: String| StartError::Unavailable(sentence);
    let served = ended.map_err(|error| {
        unavailable(format!(
            "cannot wait for what happens at sockets ({error}): start it again, on a kernel that has epoll"
        ))
    })?;
    served.map_err(|error| {
        unavailable(format!(
            "cannot take the listening sockets into use ({error}): raise the limit of open files (ulimit -n)"
        ))
    })
}

async fn serve(
    listeners: Vec<Listener>,
    dispatch: Rc<Dispatch>,
    backend: Rc<Backend>,
    mut stop: impl Stream<Item = ()> + Unpin,
) -> io::Result<Ended> {
    let bound: Vec<SocketAddr> = listeners.iter().map(Listener::local_addr).collect::<io::Result<_>>()?;
    let spawner = &dispatch.spawner;
    let mut accepting = Vec::new();
    for listener in listeners {
        let taking = Rc::clone(&dispatch);
        let take = move |socket, peer| taking.handle(socket, peer);
        accepting.push(spawner.spawn(listener::accept_all(
            Async::new(listener)?,
            Arc::clone(&dispatch.counters),
            take,
        )));
    }
    let mut vital = vec![spawner.spawn(Rc::clone(&dispatch.broadcaster).run_flush())];
    vital.push(spawner.spawn(Rc::clone(&dispatch.broadcaster).run_keeping()));
    #[cfg(feature = "redis")]
    vital.push(spawner.spawn(Rc::clone(&dispatch.broadcaster).run_relay()));
    if let Some(heartbeat) = dispatch.broadcaster.config().limits.heartbeat {
        vital.push(spawner.spawn(Rc::clone(&dispatch.broadcaster).run_heartbeat(heartbeat)));
    }
    let watched_for_status = Rc::clone(&dispatch.broadcaster);
    let changed = async move || watched_for_status.wait_for_flush().await;
    spawner.spawn(systemd::report_status(Arc::clone(&dispatch.counters), changed)).detach();
    if let Some(reload) = dispatch.frontend.reload.clone() {
        spawner.spawn(async move { reload.run().await }).detach();
    }
    let watched = Rc::clone(&backend);
    spawner.spawn(async move { backend.run_restarts().await }).detach();
    let is_well = async move || watched.is_alive().await;
    spawner.spawn(systemd::feed_watchdog(is_well)).detach();
    addresses::say(&bound);
    let ready = spawner.spawn(systemd::notify_ready());

    // These tasks never end. Awaiting one that has panicked repeats the panic, so the process ends and systemd restarts it.
    // Otherwise it would run on without accepting or without sending.
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
    drop(ready);
    systemd::notify_stopping();
    drop(accepting);
    dispatch.broadcaster.stop();
    if let Some(reload) = &dispatch.frontend.reload {
        reload.stop();
    }
    let drained = async {
        let all_served = async {
            dispatch.admission.wait_for_first_requests().await;
            poll_fn(|cx| {
                // Both, since a post that has come is answered.
                let has_posts = dispatch.posts.poll_empty(cx).is_pending();
                let is_empty = dispatch.admission.poll_empty(cx).is_ready() && !has_posts;
                if is_empty { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        };
        all_served.or(Timer::after(DRAIN_TIMEOUT)).await;
        Ended::Drained
    };
    let at_once = poll_fn(|cx| match stop.poll_next(cx) {
        Poll::Ready(Some(())) => Poll::Ready(Ended::AtOnce),
        _ => Poll::Pending,
    });
    let ended = drained.or(at_once).await;
    dispatch.broadcaster.end_keeping();
    #[cfg(feature = "redis")]
    dispatch.broadcaster.end_relay();
    Ok(ended)
}

fn host_policy(config: &Config) -> Result<HostPolicy, StartError> {
    HostPolicy::new(host_name().as_deref(), &config.allow_hosts, &config.allow_origins).map_err(StartError::Config)
}

/// Raises the limit of open files as far as it goes, and shares the descriptors out.
fn fd_budget(config: &Config) -> FdBudget {
    let limits = &config.limits;
    let descriptors = rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap_or(1024);
    let for_state = if config.state.is_some() { DESCRIPTORS_FOR_STATE } else { 0 };
    let for_redis = if config.redis.is_some() { DESCRIPTORS_FOR_REDIS } else { 0 };
    let for_reload = if config.reload { DESCRIPTORS_FOR_RELOAD } else { 0 };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let descriptors = descriptors.saturating_sub(for_state + for_redis + for_reload);
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
    let budget = FdBudget::within(descriptors, wanted.min(in_memory));
    if budget.clients < wanted.min(in_memory) {
        let clients = budget.clients;
        warn!(
            "only {clients} clients fit into the limit of {descriptors} open files; raise it (ulimit -n, LimitNOFILE=) for {wanted}"
        );
    }
    budget
}
