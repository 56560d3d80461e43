//! All channels and everybody who is connected: joining, publishing, leaving, and the end.
//!
//! Knows no handshake and no reading, leaves writing to `flush`, and clients that come back to `replacing`. What must stay true: a client
//! that has left its channel is sent only the tail of its current frame and its control bytes, and if it counts messages, none of its own
//! is published any more; only who joins or publishes makes a channel.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, TryReserveError};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use smol::future::poll_fn;

use crate::broadcast::channels::Channels;
use crate::broadcast::connection_id::{ConnectionId, Key};
use crate::broadcast::ended_connections::{EndedConnections, Known};
use crate::broadcast::keeper::Keeper;
use crate::broadcast::kept_state::KeptState;
use crate::broadcast::live_channel::{Client, ClientRef, LiveChannel, Subscribers};
#[cfg(feature = "redis")]
use crate::broadcast::relay::Relay;
use crate::broadcast::transport::Transport;
use crate::config::settings::Config;
use crate::hub::channel::{Joined, Start};
use crate::hub::channel_name::ChannelName;
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::Frame;
use crate::hub::publishing::Published;
use crate::runtime::boot_clock::BootClock;
use crate::runtime::clock;
use crate::runtime::spawner::Spawner;
use crate::storage::restored::{Restored, RestoredConnection};
use crate::telemetry::counters::Counters;

/// The channels and their clients, and what the flush needs to write to them.
pub struct Broadcaster {
    config: Arc<Config>,
    pub(super) counters: Arc<Counters>,
    pub(super) spawner: Spawner,
    channels: Channels,
    /// What of them is kept in files, if anything is.
    pub(super) keeper: Option<Rc<Keeper>>,
    /// The way to the log that all boards share, if there is one.
    #[cfg(feature = "redis")]
    pub(super) relay: Option<Rc<Relay>>,
    /// Why nothing is, although it should be: the folder, and a sentence.
    pub(super) unusable_state: Option<(String, String)>,
    /// Channels for which there is something for the flush to do.
    pub(super) dirty: RefCell<Vec<Rc<LiveChannel>>>,
    /// Empty, and the memory for the next of these.
    pub(super) flushing: Cell<Vec<Rc<LiveChannel>>>,
    /// Channels in which somebody waits for somebody else.
    pub(super) in_review: RefCell<Vec<Rc<LiveChannel>>>,
    /// The time by which messages are dated, read once for each flush.
    pub(super) now_secs: Cell<i32>,
    pub(super) clock: BootClock,
    pub(super) flush_waker: Cell<Option<Waker>>,
    /// The task that waits for the next flush.
    pub(super) flush_watcher: Cell<Option<Waker>>,
    /// Clients that can be replaced by their next connection, by an id that nobody else can guess.
    pub(super) by_connection_id: RefCell<HashMap<ConnectionId, ClientRef>>,
    pub(super) connection_ids: Key,
    /// Messages from outside that wait.
    pub(super) posts_waiting: Cell<usize>,
    /// Those that could, and have ended.
    pub(super) ended: RefCell<EndedConnections>,
    /// The heartbeat's last sweep.
    pub(super) sweep: Cell<u32>,
    stopping: Cell<bool>,
    /// The frame tails kept for clients that are leaving, in bytes. Each is a copy, so the sum is bounded: all clients could be
    /// closed in the middle of a large message at once.
    all_tails_bytes: Cell<usize>,
}

impl Broadcaster {
    /// Nobody is connected. Channels that are to be `kept` never give way to another.
    ///
    /// # Errors
    /// If there is no memory for the backlog of the main channel.
    pub fn new(
        config: Arc<Config>,
        kept: BTreeSet<ChannelName>,
        counters: Arc<Counters>,
        spawner: Spawner,
        state: KeptState,
    ) -> Result<Self, TryReserveError> {
        let clock = BootClock::new();
        #[cfg(feature = "redis")]
        let relay = if let KeptState::Shared(relay) = &state { Some(Rc::clone(relay)) } else { None };
        let (keeper, restored, unusable_state) = match state {
            #[cfg(feature = "redis")]
            KeptState::Shared(_) => (None, Restored::default(), None),
            KeptState::Off => (None, Restored::default(), None),
            KeptState::Unusable { folder, problem } => (None, Restored::default(), Some((folder, problem))),
            KeptState::On(keeper, restored) => (Some(keeper), restored, None),
        };
        let mut ended = EndedConnections::default();
        for RestoredConnection { id, channel, taken } in restored.connections {
            ended.add(ConnectionId::of_number(id), channel, Known { taken, by_code: None }, clock::now());
        }
        let channels =
            Channels::new(config.limits.clone(), kept, Arc::clone(&counters), keeper.clone(), restored.channels)?;
        #[cfg(feature = "redis")]
        let channels = if let Some(relay) = &relay { channels.shared(Rc::clone(relay)) } else { channels };
        Ok(Self {
            channels,
            keeper,
            #[cfg(feature = "redis")]
            relay,
            unusable_state,
            dirty: RefCell::default(),
            flushing: Cell::default(),
            in_review: RefCell::default(),
            now_secs: Cell::new(clock.secs()),
            clock,
            config,
            counters,
            spawner,
            flush_waker: Cell::new(None),
            flush_watcher: Cell::new(None),
            by_connection_id: RefCell::default(),
            connection_ids: Key::new(),
            posts_waiting: Cell::new(0),
            ended: RefCell::new(ended),
            sweep: Cell::new(0),
            stopping: Cell::new(false),
            all_tails_bytes: Cell::new(0),
        })
    }

    /// Lets a client in. `first` makes its first frame, behind the answer to the handshake and before any message.
    pub fn join(&self, client: &Client, echo: bool, start: Start, first: impl FnOnce(&Joined, usize) -> Vec<u8>) {
        self.let_in(client, |channel, transport| channel.join(transport, echo, start), first);
    }

    /// [`join`](Self::join), in whatever way a client joins its channel.
    pub(super) fn let_in(
        &self,
        client @ Client { transport, live }: &Client,
        join: impl FnOnce(&mut Subscribers, Rc<Transport>) -> Joined,
        first: impl FnOnce(&Joined, usize) -> Vec<u8>,
    ) {
        let mut channel = live.channel.borrow_mut();
        let joined = join(&mut channel, Rc::clone(transport));
        transport.push_control(&first(&joined, channel.len()));
        transport.slot.set(Some(joined.slot));
        transport.heard_sweep.set(self.sweep.get());
        live.pending_writes.borrow_mut().push(joined.slot);
        live.report(&channel, &self.counters);
        self.counters.clients_total.add(1);
        self.counters.clients_peak.set(self.counters.clients_peak.get().max(self.counters.clients.get()));
        if self.stopping.get() {
            transport.end(CloseReason::ServerStops);
        }
        self.hold(client);
        self.mark_dirty(live);
    }

    /// Removes a client from its channel. The tail of its current frame goes before its other control bytes. A message that still waits
    /// for room is taken back if the client counts messages, else it is published in its turn. The caller calls
    /// [`forget`](Self::forget) when the connection is closed.
    pub fn leave(&self, Client { transport, live }: &Client) {
        let mut channel = live.channel.borrow_mut();
        self.unsubscribe(live, &mut channel, transport);
    }

    /// [`leave`](Self::leave), for callers that have borrowed the channel already.
    pub(super) fn unsubscribe(&self, live: &Rc<LiveChannel>, channel: &mut Subscribers, transport: &Transport) {
        let Some(slot) = transport.slot.take() else { return };
        // Who counts is told what got through when it comes back, and sends the rest again: nothing may follow on its own.
        if transport.publish_blocked.get() && transport.connection_id.get().is_some() {
            channel.withdraw(slot);
        }
        let (_, frame_tail) = channel.leave(slot);
        let all_tails_bytes = self.all_tails_bytes.get() + frame_tail.len();
        if all_tails_bytes <= self.config.limits.backlog_bytes {
            self.all_tails_bytes.set(all_tails_bytes);
            transport.push_frame_tail(&frame_tail);
        } else {
            transport.abort();
        }
        transport.write_ready.set(None);
        live.report(channel, &self.counters);
        self.channels.note_use(&live.name);
        self.mark_dirty(live);
    }

    /// Notes that a client which has left holds no tail of a frame any more.
    pub(super) fn give_back_tail(&self, transport: &Transport) {
        self.all_tails_bytes.set(self.all_tails_bytes.get() - transport.tail_bytes());
    }

    /// Publishes a client's message, at once or when the backlog has room for it: then the client's task has to
    /// [wait](Self::wait_until_published) before it publishes another.
    pub fn publish(&self, Client { transport, live }: &Client, frame: Frame) -> Published {
        let Some(slot) = transport.slot.get() else { return Published::Now };
        self.mark_dirty(live);
        let published = live.channel.borrow_mut().publish(slot, frame, self.now_secs.get(), transport.next_origin());
        transport.publish_blocked.set(published == Published::Later);
        if published == Published::Now {
            transport.note_taken();
            if self.shares() {
                transport.staged_until.set(live.channel.borrow().staged().0);
            }
        }
        published
    }

    /// Waits until a client's message is in the backlog, or its connection has to end.
    pub async fn wait_until_published(&self, transport: &Transport) {
        poll_fn(|cx| match transport.poll_ending(cx) {
            Poll::Pending if transport.publish_blocked.get() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Has a client's control bytes written with the next flush.
    pub fn schedule(&self, Client { transport, live }: &Client) {
        if let Some(slot) = transport.slot.get() {
            live.pending_writes.borrow_mut().push(slot);
            self.mark_dirty(live);
        }
    }

    /// Tells everybody that the server stops, now and when they come later.
    pub fn stop(&self) {
        self.stopping.set(true);
        for live in self.channels.all() {
            for (_, transport) in live.channel.borrow().iter() {
                transport.end(CloseReason::ServerStops);
            }
        }
    }

    /// Has the flush run after all tasks that are ready.
    pub(super) fn mark_dirty(&self, live: &Rc<LiveChannel>) {
        if live.is_dirty.replace(true) {
            return;
        }
        let mut dirty = self.dirty.borrow_mut();
        if dirty.is_empty() {
            self.now_secs.set(self.clock.secs());
        }
        dirty.push(Rc::clone(live));
        if let Some(waker) = self.flush_waker.take() {
            waker.wake();
        }
    }

    /// Waits for the next flush, after which the figures may be other ones.
    pub async fn wait_for_flush(&self) {
        let mut is_first = true;
        poll_fn(|cx| {
            if !std::mem::take(&mut is_first) {
                return Poll::Ready(());
            }
            self.flush_watcher.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Whether there is a log that all boards share.
    #[cfg_attr(not(feature = "redis"), expect(clippy::unused_self, reason = "there can be none"))]
    pub fn shares(&self) -> bool {
        #[cfg(feature = "redis")]
        return self.relay.is_some();
        #[cfg(not(feature = "redis"))]
        false
    }

    /// The channels.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The figures.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

impl fmt::Debug for Broadcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcaster").field("channels", &self.channels).finish_non_exhaustive()
    }
}
