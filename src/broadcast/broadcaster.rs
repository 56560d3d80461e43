//! Everybody who is connected: joining, publishing, leaving, and the end.
//!
//! Knows no handshake and no reading, and leaves writing to `flush`. What must stay true: a client that has left the channel is
//! sent only the tail of its current frame and its control bytes.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, TryReserveError};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};

use smol::future::poll_fn;

use crate::broadcast::transport::Transport;
use crate::config::settings::Config;
use crate::hub::backlog::Backlog;
use crate::hub::channel::{Channel, Joined, Published, Start};
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::Frame;
use crate::runtime::spawner::Spawner;
use crate::telemetry::counters::Counters;

/// The channel, with the transport of each subscriber.
pub(super) type Subscribers = Channel<Rc<Transport>>;

/// The connected clients, and what the flush needs to write to them.
pub struct Broadcaster {
    config: Arc<Config>,
    pub(super) counters: Arc<Counters>,
    pub(super) spawner: Spawner,
    pub(super) channel: RefCell<Subscribers>,
    /// Slots to write to in the next flush although nothing new was published: they have control bytes, more than one turn's
    /// bytes, or a socket that takes more again.
    pub(super) pending_writes: RefCell<Vec<usize>>,
    /// Whether there is something for the flush to do.
    pub(super) is_dirty: Cell<bool>,
    pub(super) flush_waker: Cell<Option<Waker>>,
    /// The task that waits for the next flush.
    pub(super) flush_watcher: Cell<Option<Waker>>,
    /// Clients that can be replaced by their next connection, by an id that nobody else can guess.
    by_connection_id: RefCell<HashMap<String, Weak<Transport>>>,
    connection_ids: RandomState,
    /// The heartbeat's last sweep.
    pub(super) sweep: Cell<u32>,
    stopping: Cell<bool>,
    /// The frame tails kept for clients that are leaving, in bytes. Each is a copy, so the sum is bounded: all clients could be
    /// closed in the middle of a large message at once.
    all_tails_bytes: Cell<usize>,
}

impl Broadcaster {
    /// Nobody is connected.
    ///
    /// # Errors
    /// If there is no memory for the backlog.
    pub fn new(config: Arc<Config>, counters: Arc<Counters>, spawner: Spawner) -> Result<Self, TryReserveError> {
        let capacity_bytes = Backlog::capacity_bytes_for(config.limits.backlog_bytes);
        Ok(Self {
            channel: RefCell::new(Channel::new(capacity_bytes, config.limits.patience)?),
            config,
            counters,
            spawner,
            pending_writes: RefCell::default(),
            is_dirty: Cell::new(false),
            flush_waker: Cell::new(None),
            flush_watcher: Cell::new(None),
            by_connection_id: RefCell::default(),
            connection_ids: RandomState::new(),
            sweep: Cell::new(0),
            stopping: Cell::new(false),
            all_tails_bytes: Cell::new(0),
        })
    }

    /// Lets a client in. `first` makes its first frame, which comes after the answer to the handshake and before any
    /// message.
    pub fn join(
        &self,
        transport: &Rc<Transport>,
        echo: bool,
        start: Start,
        first: impl FnOnce(Joined, usize) -> Vec<u8>,
    ) {
        let mut channel = self.channel.borrow_mut();
        let joined = channel.join(Rc::clone(transport), echo, start);
        transport.push_control(&first(joined, channel.len()));
        transport.slot.set(Some(joined.slot));
        transport.heard_sweep.set(self.sweep.get());
        self.pending_writes.borrow_mut().push(joined.slot);
        self.counters.clients.set(channel.len() as u64);
        self.counters.clients_total.add(1);
        self.counters.clients_peak.set(self.counters.clients_peak.get().max(channel.len() as u64));
        if self.stopping.get() {
            transport.end(CloseReason::ServerStops);
        }
        self.mark_dirty();
    }

    /// Gives a client an id by which its next connection can [replace](Self::replace) it.
    pub fn assign_connection_id(&self, transport: &Rc<Transport>) -> String {
        let connection_id = format!("{:016x}", self.connection_ids.hash_one(self.counters.clients_total.get()));
        transport.connection_id.replace(connection_id.clone());
        self.by_connection_id.borrow_mut().insert(connection_id.clone(), Rc::downgrade(transport));
        connection_id
    }

    /// The address of the client with this connection id, if it is connected and has not been replaced.
    pub fn address_of(&self, connection_id: &str) -> Option<IpAddr> {
        let transport = self.by_connection_id.borrow().get(connection_id).and_then(Weak::upgrade)?;
        transport.slot.get().map(|_| transport.peer.ip())
    }

    /// Ends the client with this connection id, if it is connected, because it has reconnected. Nothing from its old connection
    /// is published after this call, so the client knows what was published. With `is_place_needed` the old connection is closed
    /// without a goodbye, which could take seconds.
    pub fn replace(&self, connection_id: &str, is_place_needed: bool) {
        let Some(transport) = self.by_connection_id.borrow().get(connection_id).and_then(Weak::upgrade) else { return };
        let mut channel = self.channel.borrow_mut();
        if let Some(slot) = transport.slot.get() {
            channel.withdraw(slot);
        }
        self.unsubscribe(&mut channel, &transport);
        if is_place_needed {
            transport.abort();
        }
        transport.end(CloseReason::Replaced);
    }

    /// Removes a client from the channel. The tail of its current frame goes before its other control bytes. The caller calls
    /// [`forget`](Self::forget) when the connection is closed.
    pub fn leave(&self, transport: &Transport) {
        let mut channel = self.channel.borrow_mut();
        self.unsubscribe(&mut channel, transport);
    }

    /// [`leave`](Self::leave), for callers that have borrowed the channel already.
    pub(super) fn unsubscribe(&self, channel: &mut Subscribers, transport: &Transport) {
        let Some(slot) = transport.slot.take() else { return };
        let (_, frame_tail) = channel.leave(slot);
        let all_tails_bytes = self.all_tails_bytes.get() + frame_tail.len();
        if all_tails_bytes <= self.config.limits.backlog_bytes {
            self.all_tails_bytes.set(all_tails_bytes);
            transport.push_frame_tail(&frame_tail);
        } else {
            transport.abort();
        }
        transport.write_ready.set(None);
        self.counters.clients.set(channel.len() as u64);
        self.mark_dirty();
    }

    /// Notes that a client which has left is gone for good.
    pub fn forget(&self, transport: &Transport) {
        self.all_tails_bytes.set(self.all_tails_bytes.get() - transport.tail_bytes());
        self.by_connection_id.borrow_mut().remove(&*transport.connection_id.borrow());
    }

    /// Publishes a client's message, at once or when the backlog has room for it: then the client's task has to
    /// [wait](Self::wait_until_published) before it publishes another.
    pub fn publish(&self, transport: &Transport, frame: Frame) -> Published {
        let Some(slot) = transport.slot.get() else { return Published::Now };
        let published = self.channel.borrow_mut().publish(slot, frame);
        self.mark_dirty();
        transport.publish_blocked.set(published == Published::Later);
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
    pub fn schedule(&self, transport: &Transport) {
        if let Some(slot) = transport.slot.get() {
            self.pending_writes.borrow_mut().push(slot);
            self.mark_dirty();
        }
    }

    /// Whether a client has got all that is published.
    pub fn is_up_to_date(&self, transport: &Transport) -> bool {
        transport.slot.get().is_none_or(|slot| self.channel.borrow().is_up_to_date(slot))
    }

    /// Tells everybody that the server stops, now and when they come later.
    pub fn stop(&self) {
        self.stopping.set(true);
        for (_, transport) in self.channel.borrow().iter() {
            transport.end(CloseReason::ServerStops);
        }
    }

    /// Has the flush run after all tasks that are ready.
    pub(super) fn mark_dirty(&self) {
        self.is_dirty.set(true);
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

    /// The number of the newest message.
    pub fn head(&self) -> u64 {
        self.channel.borrow().head()
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
        f.debug_struct("Broadcaster").field("channel", &self.channel).finish_non_exhaustive()
    }
}
