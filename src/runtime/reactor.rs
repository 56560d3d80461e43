//! What wakes the tasks of the one thread: sockets that are ready, timers that are due, and other threads.
//!
//! smol brings a reactor for programs of many threads. Its helper thread takes the reactor over whenever this thread is busy,
//! so that the next message comes by way of two more switches between threads, and every socket is armed anew after every
//! event. This one is for one thread and does neither: a socket is registered once, edge-triggered (`epoll(7)`). Leaves reading
//! and writing to `socket`. What must stay true: no wake is lost, whatever thread it comes from.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::epoll::{Event, EventFlags};
use slab::Slab;

use crate::runtime::clock;
use crate::runtime::poller::{Bell, Handle, Poller};
#[cfg(feature = "simulation")]
use crate::simulation::entered;

/// Events that are taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;

/// After these neither direction has anything to wait for.
const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

thread_local! {
    static REACTOR: OnceCell<Rc<Reactor>> = const { OnceCell::new() };
}

#[cfg(feature = "simulation")]
thread_local! {
    /// The reactor of the world that the thread was in last, and which one that was.
    static OF_WORLD: RefCell<Option<(u64, Rc<Reactor>)>> = const { RefCell::new(None) };
}

/// Runs a future, and with it all that its executor runs, until it is ready.
///
/// # Errors
/// If the kernel gives no epoll, or takes it away.
pub fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let reactor = Reactor::of_this_thread()?;
    let waker = Waker::from(Arc::clone(&reactor.unpark));
    let mut future = pin!(future);
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        // From here on every wake counts. The ones before are answered by this poll, which sees what led to them because
        // this is a swap, not a store.
        reactor.unpark.is_due.swap(false, Ordering::SeqCst);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Ok(output);
        }
        reactor.wait(&mut events)?;
    }
}

pub(super) struct Reactor {
    poller: Poller,
    unpark: Arc<Unpark>,
    sources: RefCell<Slab<Rc<Source>>>,
    /// Whom to wake when, and a number to tell timers of the same moment apart.
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_timer: Cell<u64>,
}

impl Reactor {
    pub(super) fn of_this_thread() -> io::Result<Rc<Self>> {
        #[cfg(feature = "simulation")]
        if entered::world().is_some() {
            return Ok(Self::of_this_world());
        }
        REACTOR.with(|cell| {
            if let Some(reactor) = cell.get() {
                return Ok(Rc::clone(reactor));
            }
            let reactor = Self::new()?;
            Ok(Rc::clone(cell.get_or_init(|| Rc::new(reactor))))
        })
    }

    /// Each world has its own, so that what happened in an earlier one does not show in this.
    #[cfg(feature = "simulation")]
    fn of_this_world() -> Rc<Self> {
        OF_WORLD.with_borrow_mut(|known| match known {
            Some((visit, reactor)) if *visit == entered::visits() => Rc::clone(reactor),
            _ => {
                let reactor = Rc::new(Self::with(Poller::World, Bell::World));
                *known = Some((entered::visits(), Rc::clone(&reactor)));
                reactor
            }
        })
    }

    fn new() -> io::Result<Self> {
        let (poller, bell) = Poller::new()?;
        Ok(Self::with(poller, bell))
    }

    fn with(poller: Poller, bell: Bell) -> Self {
        let unpark = Arc::new(Unpark { is_due: AtomicBool::new(false), is_parked: AtomicBool::new(false), bell });
        let (sources, timers, next_timer) = Default::default();
        Self { poller, unpark, sources, timers, next_timer }
    }

    /// Has the kernel tell of this socket from now on.
    pub(super) fn register(self: &Rc<Self>, socket: &Handle<'_>) -> io::Result<Registration> {
        // What there is to read already, the kernel tells as the first edge.
        let source =
            Rc::new(Source { reading: Side::new(false), writing: Side::new(true), reads_stop_short: Cell::new(false) });
        let key = self.sources.borrow_mut().insert(Rc::clone(&source));
        let registration = Registration { source, key, reactor: Rc::clone(self) };
        registration.reactor.poller.add(socket, key as u64)?;
        Ok(registration)
    }

    /// Has the kernel tell nothing more of this socket. It forgets a socket by itself only when nobody has it any more, and a
    /// listening socket may be another process's, too. For the others this is one more call at their close, which costs far
    /// less than the accept at their beginning, and the close has less to do then.
    pub(super) fn deregister(&self, socket: &Handle<'_>) {
        self.poller.remove(socket);
    }

    /// A number for a timer that nobody else has.
    pub(super) fn next_timer(&self) -> u64 {
        let number = self.next_timer.get();
        self.next_timer.set(number + 1);
        number
    }

    /// Has this timer's task woken at a moment.
    pub(super) fn wake_at(&self, at: Instant, timer: u64, waker: Waker) {
        self.timers.borrow_mut().insert((at, timer), waker);
    }

    /// Forgets a timer.
    pub(super) fn forget_timer(&self, at: Instant, timer: u64) {
        self.timers.borrow_mut().remove(&(at, timer));
    }

    /// How many timers are not due yet.
    #[cfg(test)]
    pub(super) fn timers_len(&self) -> usize {
        self.timers.borrow().len()
    }

    /// Waits until something happens, and wakes whom it is about.
    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        self.unpark.is_parked.store(true, Ordering::SeqCst);
        let timeout = if self.unpark.is_due.load(Ordering::SeqCst) { Some(Duration::ZERO) } else { self.next_due_in() };
        let waited = self.poller.wait(timeout, events);
        self.unpark.is_parked.store(false, Ordering::SeqCst);
        waited?;
        for event in events.iter() {
            let Event { flags, data } = *event;
            // None: the bell of other threads.
            let key = usize::try_from(data.u64()).ok();
            let source = key.and_then(|key| self.sources.borrow().get(key).map(Rc::clone));
            if let Some(source) = source {
                source.note(flags);
            }
        }
        while let Some(waker) = self.take_due() {
            waker.wake();
        }
        Ok(())
    }

    fn next_due_in(&self) -> Option<Duration> {
        let timers = self.timers.borrow();
        let ((first, _), _) = timers.first_key_value()?;
        Some(first.saturating_duration_since(clock::now()))
    }

    fn take_due(&self) -> Option<Waker> {
        let mut timers = self.timers.borrow_mut();
        let first = timers.first_entry()?;
        (first.key().0 <= clock::now()).then(|| first.remove())
    }
}

/// Wakes the thread of the reactor, from any thread.
struct Unpark {
    /// Somebody was woken since the last poll.
    is_due: AtomicBool,
    /// The thread waits in the kernel, or is about to.
    is_parked: AtomicBool,
    bell: Bell,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::SeqCst) && self.is_parked.load(Ordering::SeqCst) {
            self.bell.ring();
        }
    }
}

/// A socket's place in the reactor, while the socket lives.
pub(super) struct Registration {
    pub(super) source: Rc<Source>,
    pub(super) key: usize,
    pub(super) reactor: Rc<Reactor>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.reactor.sources.borrow_mut().remove(self.key);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What is known of a socket.
pub(super) struct Source {
    pub(super) reading: Side,
    pub(super) writing: Side,
    /// Whether a read that gave less than it could may leave something behind: an end or an error, or bytes beyond an urgent
    /// mark, at which a read stops (`tcp(7)`), even with `SO_OOBINLINE`.
    pub(super) reads_stop_short: Cell<bool>,
}

impl Source {
    fn note(&self, flags: EventFlags) {
        let has_ended = flags.intersects(ENDED);
        let is_urgent = flags.contains(EventFlags::PRI);
        if has_ended || is_urgent {
            self.reads_stop_short.set(true);
        }
        if has_ended || is_urgent || flags.contains(EventFlags::IN) {
            self.reading.wake();
        }
        if has_ended || flags.contains(EventFlags::OUT) {
            self.writing.wake();
        }
    }
}

/// One direction of a socket.
pub(super) struct Side {
    pub(super) is_ready: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Side {
    fn new(is_ready: bool) -> Self {
        Self { is_ready: Cell::new(is_ready), waker: Cell::new(None) }
    }

    fn wake(&self) {
        self.is_ready.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready if the direction is; else its task is woken when it may be.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_ready.get() {
            return Poll::Ready(());
        }
        let known = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(known.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }
}
