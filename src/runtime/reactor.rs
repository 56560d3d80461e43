//! What wakes the tasks of the one thread: sockets that are ready, timers that are due, and other threads.
//!
//! smol brings a reactor for programs of many threads. Its helper thread takes the reactor over whenever this thread is busy,
//! so that the next message comes by way of two more switches between threads, and every socket is armed anew after every
//! event. This one is for one thread and does neither: a socket is registered once, edge-triggered (`epoll(7)`). What must
//! stay true: an edge is told once, so whoever is told `WouldBlock` by a socket, or gets or gives less than it could, notes
//! that here, and nobody uses a socket in any other way.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use slab::Slab;
use smol::future::poll_fn;
use smol::io::{AsyncRead, AsyncWrite};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// Events that are taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;

/// Waits longer than some weeks need a call that older kernels lack (`epoll_wait(2)`).
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// What the kernel tells of a socket, once for each time that it happens.
const INTEREST: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// After these a read has more to tell, even if it gave less than it could.
const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// The key of the descriptor by which other threads wake this one.
const UNPARK_KEY: u64 = u64::MAX;

thread_local! {
    static REACTOR: OnceCell<Rc<Reactor>> = const { OnceCell::new() };
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

struct Reactor {
    epoll: OwnedFd,
    unpark: Arc<Unpark>,
    sources: RefCell<Slab<Rc<Source>>>,
    /// Whom to wake when, and a number to tell timers of the same moment apart.
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_timer: Cell<u64>,
}

impl Reactor {
    fn of_this_thread() -> io::Result<Rc<Self>> {
        REACTOR.with(|cell| {
            if let Some(reactor) = cell.get() {
                return Ok(Rc::clone(reactor));
            }
            let reactor = Self::new()?;
            Ok(Rc::clone(cell.get_or_init(|| Rc::new(reactor))))
        })
    }

    fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered too: each write to it is an edge, and nobody has to read it.
        epoll::add(&epoll, &event, EventData::new_u64(UNPARK_KEY), EventFlags::IN | EventFlags::ET)?;
        let unpark = Arc::new(Unpark { is_due: AtomicBool::new(false), is_parked: AtomicBool::new(false), event });
        let (sources, timers, next_timer) = Default::default();
        Ok(Self { epoll, unpark, sources, timers, next_timer })
    }

    /// Waits until something happens, and wakes whom it is about.
    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        self.unpark.is_parked.store(true, Ordering::SeqCst);
        let timeout = if self.unpark.is_due.load(Ordering::SeqCst) { Some(Duration::ZERO) } else { self.next_due_in() };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        events.clear();
        let waited = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref());
        self.unpark.is_parked.store(false, Ordering::SeqCst);
        match waited {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.iter() {
            let Event { flags, data } = *event;
            // None: the descriptor of other threads.
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
        Some(first.saturating_duration_since(Instant::now()).min(WAIT_MAX))
    }

    fn take_due(&self) -> Option<Waker> {
        let mut timers = self.timers.borrow_mut();
        let first = timers.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }
}

/// Wakes the thread of the reactor, from any thread.
struct Unpark {
    /// Somebody was woken since the last poll.
    is_due: AtomicBool,
    /// The thread waits in the kernel, or is about to.
    is_parked: AtomicBool,
    event: OwnedFd,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::SeqCst) && self.is_parked.load(Ordering::SeqCst) {
            // It fails only when it counts 2^64 wakes that nobody has seen.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

/// What is known of a socket.
struct Source {
    reading: Side,
    writing: Side,
    has_ended: Cell<bool>,
}

impl Source {
    fn note(&self, flags: EventFlags) {
        let has_ended = flags.intersects(ENDED);
        if has_ended {
            self.has_ended.set(true);
        }
        if has_ended || flags.contains(EventFlags::IN) {
            self.reading.wake();
        }
        if has_ended || flags.contains(EventFlags::OUT) {
            self.writing.wake();
        }
    }
}

/// One direction of a socket.
struct Side {
    is_ready: Cell<bool>,
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

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_ready.get() {
            return Poll::Ready(());
        }
        let known = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(known.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }
}

/// A socket whose readiness is known. At most one task may wait for each of its directions.
pub struct Async<T> {
    socket: T,
    source: Rc<Source>,
    key: usize,
    reactor: Rc<Reactor>,
}

impl<T: AsFd> Async<T> {
    /// Registers a socket with the reactor of this thread.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(socket: T) -> io::Result<Self> {
        SockRef::from(&socket).set_nonblocking(true)?;
        let reactor = Reactor::of_this_thread()?;
        // What there is to read already, the kernel tells as the first edge.
        let source =
            Rc::new(Source { reading: Side::new(false), writing: Side::new(true), has_ended: Cell::new(false) });
        let key = reactor.sources.borrow_mut().insert(Rc::clone(&source));
        let registered = Self { socket, source, key, reactor };
        epoll::add(&registered.reactor.epoll, &registered.socket, EventData::new_u64(key as u64), INTEREST)?;
        Ok(registered)
    }
}

impl<T> Async<T> {
    /// The socket, for all but reading and writing.
    pub fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Waits until a read may find something.
    pub async fn readable(&self) {
        poll_fn(|cx| self.source.reading.poll(cx)).await;
    }

    /// Waits until a write may be taken.
    pub async fn writable(&self) {
        poll_fn(|cx| self.source.writing.poll(cx)).await;
    }

    /// Reads without waiting.
    ///
    /// # Errors
    /// What `operation` returns; `WouldBlock` if there is nothing yet.
    pub fn try_read<R>(&self, operation: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let result = operation(&self.socket);
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.source.reading.is_ready.set(false);
        }
        result
    }

    /// Writes without waiting.
    ///
    /// # Errors
    /// What `operation` returns; `WouldBlock` if the socket takes nothing.
    #[expect(clippy::inline_always, reason = "the flush sends through it, see `Link::write`")]
    #[inline(always)]
    pub fn try_write<R>(&self, operation: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let result = operation(&self.socket);
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.note_full();
        }
        result
    }

    /// Notes that the socket has taken less than it was offered.
    pub fn note_full(&self) {
        self.source.writing.is_ready.set(false);
    }

    /// Reads into `buffer` when there is something.
    pub fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>
    where
        for<'a> &'a T: Read,
    {
        let side = &self.source.reading;
        while side.poll(cx).is_ready() {
            match self.try_read(|mut socket| socket.read(buffer)) {
                Ok(bytes) => {
                    // Less than could be had means that there is no more (`epoll(7)`), but for an end that came with it.
                    if bytes < buffer.len() && !self.source.has_ended.get() {
                        side.is_ready.set(false);
                    }
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}

impl Async<TcpListener> {
    /// Accepts a connection.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub async fn accept(&self) -> io::Result<(Async<TcpStream>, SocketAddr)> {
        loop {
            self.readable().await;
            match self.try_read(TcpListener::accept) {
                Ok((socket, peer)) => return Ok((Async::new(socket)?, peer)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Async<UnixStream> {
    /// Connects, which takes no time with a socket of the same machine.
    ///
    /// # Errors
    /// If nobody listens there; `WouldBlock` if too many wait already to be accepted.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Self::new(OwnedFd::from(socket).into())
    }
}

impl<T> AsyncRead for &Async<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Async::poll_read(&self, cx, buffer)
    }
}

impl<T> AsyncWrite for &Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while self.source.writing.poll(cx).is_ready() {
            match self.try_write(|mut socket| socket.write(bytes)) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                result => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<T> Drop for Async<T> {
    fn drop(&mut self) {
        // The kernel forgets a socket that is closed, which comes next.
        self.reactor.sources.borrow_mut().remove(self.key);
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

/// Ready at a moment. To be awaited in the thread of the reactor.
#[derive(Debug)]
pub struct Timer {
    at: Instant,
    number: Option<u64>,
}

impl Timer {
    /// Ready this long after now.
    pub fn after(duration: Duration) -> Self {
        Self::at(Instant::now() + duration)
    }

    /// Ready at this moment, or at once if it has passed.
    pub fn at(at: Instant) -> Self {
        Self { at, number: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= Instant::now() {
            return Poll::Ready(());
        }
        let reactor = Reactor::of_this_thread().expect("whoever polls it runs in block_on");
        let number = *self.number.get_or_insert_with(|| {
            let number = reactor.next_timer.get();
            reactor.next_timer.set(number + 1);
            number
        });
        reactor.timers.borrow_mut().insert((self.at, number), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        if let Ok(reactor) = Reactor::of_this_thread() {
            reactor.timers.borrow_mut().remove(&(self.at, number));
        }
    }
}

#[cfg(test)]
mod tests;
