//! A board's link to Redis: what its one thread has of it. Orders go in, what became of them comes out, and so does what was read.
//!
//! Leaves the work to two threads, the writer's and the reader's, each with a connection of its own. What must stay true: nothing here waits,
//! but for the next event.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io, thread};

use smol::channel::{self, Receiver, Sender};

use crate::config::limits::REDIS_REPLIES_WAITING_MAX;
use crate::config::redis_url::RedisUrl;
use crate::engine::keys::Keys;
use crate::engine::order::{Event, Order, ReadEvent, ReadOrder, Ticket};
use crate::engine::order_queue::OrderQueue;
use crate::engine::reader::Reader;
use crate::engine::writer::Writer;

/// The link. When it is dropped, it ends.
pub struct Link {
    queue: Arc<OrderQueue>,
    events: Receiver<Event>,
    read_orders: Sender<ReadOrder>,
    read_events: Receiver<ReadEvent>,
    is_reader_woken: Arc<AtomicBool>,
    last_ticket: Cell<Ticket>,
    /// Connections that have been told.
    connections: Cell<u64>,
}

impl Link {
    /// Starts to connect to this server, with this before each key there, as the board of this number.
    ///
    /// # Errors
    /// If there are no threads for it.
    pub fn start(url: RedisUrl, prefix: String, board: u64) -> io::Result<Self> {
        let keys = Keys { prefix, board };
        let (tell, events) = channel::unbounded();
        let (read_orders, to_read) = channel::unbounded();
        let (tell_read, read_events) = channel::bounded(REDIS_REPLIES_WAITING_MAX);
        let queue = Arc::new(OrderQueue::new(tell));
        let is_reader_woken = Arc::<AtomicBool>::default();
        // From here on: if there is only one thread to be had, it ends with this.
        let link = Self {
            queue: Arc::clone(&queue),
            events,
            read_orders,
            read_events,
            is_reader_woken: Arc::clone(&is_reader_woken),
            last_ticket: Cell::default(),
            connections: Cell::default(),
        };
        let reader = Reader {
            url: url.clone(),
            keys: keys.clone(),
            orders: to_read,
            is_woken: is_reader_woken,
            events: tell_read,
        };
        thread::Builder::new().name("redis-reader".into()).spawn(move || reader.run())?;
        let writer = Writer { url, keys, queue };
        thread::Builder::new().name("redis-writer".into()).spawn(move || writer.run())?;
        Ok(link)
    }

    /// Has an order carried out, on the connection that the last [`Event::Up`] was of. What becomes of it is told as [`Event::Done`] with this
    /// ticket; orders come back as they were given.
    pub fn submit(&self, order: Order) -> Ticket {
        let ticket = self.last_ticket.get() + 1;
        self.last_ticket.set(ticket);
        self.queue.submit(self.connections.get(), Some(ticket), order);
        ticket
    }

    /// Waits for the next event. Can be given up at any time; nothing is lost. After the [`end`](Self::end) there may be none any more.
    pub async fn next_event(&self) -> Event {
        let Ok(event) = self.events.recv().await else { return smol::future::pending().await };
        if let Event::Up { .. } = event {
            self.connections.set(self.connections.get() + 1);
            // What was to wake it may have been lost with the last one.
            self.is_reader_woken.store(false, Ordering::SeqCst);
        }
        event
    }

    /// Asks for something to be read; or no longer.
    pub fn read(&self, order: ReadOrder) {
        // It waits for this one, or reads: then it would go on for a while before it looks.
        let _ = self.read_orders.try_send(order);
        if !self.is_reader_woken.swap(true, Ordering::SeqCst) {
            self.queue.submit(self.connections.get(), None, Order::WakeReader);
        }
    }

    /// Waits for the next that the reader has to tell. Can be given up at any time; nothing is lost.
    pub async fn next_read(&self) -> ReadEvent {
        let Ok(event) = self.read_events.recv().await else { return smol::future::pending().await };
        event
    }

    /// Nothing more is asked for. What was submitted before is still sent, if there is a connection. Does not wait for it.
    pub fn end(&self) {
        self.is_reader_woken.store(false, Ordering::SeqCst);
        self.read(ReadOrder::End);
        self.queue.end();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("connections", &self.connections.get()).finish_non_exhaustive()
    }
}
