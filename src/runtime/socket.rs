//! Sockets whose readiness is known.
//!
//! Leaves waiting to the reactor. What must stay true: epoll reports an edge once, so every `WouldBlock` is noted here, and every
//! short read or write after which somebody waits; a call that a signal has interrupted is made again, as it says nothing of the
//! socket; sockets are read and written in no other way.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use smol::future::poll_fn;
use smol::io::{AsyncRead, AsyncWrite};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::runtime::poller::Pollable;
use crate::runtime::reactor::{Reactor, Registration, Side};
use crate::runtime::tcp::{Listener, TcpSocket};

/// A socket whose readiness is known. At most one task may wait for each of its directions.
pub struct Async<T: Pollable> {
    pub(super) registration: Registration,
    socket: T,
}

impl<T: Pollable> Async<T> {
    /// Registers a socket with the reactor of this thread.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(socket: T) -> io::Result<Self> {
        socket.handle().set_nonblocking()?;
        let registration = Reactor::of_this_thread()?.register(&socket.handle())?;
        Ok(Self { registration, socket })
    }
}

impl<T: Pollable> Async<T> {
    /// The socket, for all but reading and writing.
    pub fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Waits until a read may find something.
    pub async fn readable(&self) {
        poll_fn(|cx| self.registration.source.reading.poll(cx)).await;
    }

    /// Waits until the kernel tells of something new, such as bytes, an end or an error. What there is to read already is left there.
    pub async fn wait_for_news(&self) {
        self.registration.source.reading.is_ready.set(false);
        self.readable().await;
    }

    /// Waits until a write may be taken.
    pub async fn writable(&self) {
        poll_fn(|cx| self.registration.source.writing.poll(cx)).await;
    }

    /// Waits until the connection is broken, as by a reset. What there is to be read stays there, and its end breaks nothing.
    pub async fn broken(&self) {
        let reading = &self.registration.source.reading;
        let _unread = Unread(reading);
        while self.socket.handle().take_error().is_ok_and(|error| error.is_none()) {
            // For the next event, whether or not all that has come was read.
            reading.is_ready.set(false);
            poll_fn(|cx| reading.poll(cx)).await;
        }
    }

    /// Reads without waiting.
    ///
    /// # Errors
    /// What `operation` returns; `WouldBlock` if there is nothing yet.
    pub fn try_read<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let result = retry_interrupted(&self.socket, operation);
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.registration.source.reading.is_ready.set(false);
        }
        result
    }

    /// Writes without waiting.
    ///
    /// # Errors
    /// What `operation` returns; `WouldBlock` if the socket takes nothing.
    #[expect(clippy::inline_always, reason = "the flush sends through it, see `Transport::write`")]
    #[inline(always)]
    pub fn try_write<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let result = retry_interrupted(&self.socket, operation);
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.note_full();
        }
        result
    }

    /// Notes that the socket has taken less than it was offered.
    pub fn note_full(&self) {
        self.registration.source.writing.is_ready.set(false);
    }

    /// Reads into `buffer` when there is something.
    pub fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>
    where
        for<'a> &'a T: Read,
    {
        let side = &self.registration.source.reading;
        while side.poll(cx).is_ready() {
            match self.try_read(|mut socket| socket.read(buffer)) {
                Ok(bytes) => {
                    // Less than could be had means that there is no more (`epoll(7)`), unless something came with it.
                    if bytes < buffer.len() && !self.registration.source.reads_stop_short.get() {
                        side.is_ready.set(false);
                    }
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}

/// Leaves a direction behind as one in which something may be left to read.
struct Unread<'a>(&'a Side);

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        self.0.is_ready.set(true);
    }
}

/// Makes a call of the kernel until no signal interrupts it (`signal(7)`).
#[expect(clippy::inline_always, reason = "the flush sends through it, see `Transport::write`")]
#[inline(always)]
fn retry_interrupted<T, R>(socket: &T, mut operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
    loop {
        match operation(socket) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Async<Listener> {
    /// Accepts a connection.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub async fn accept(&self) -> io::Result<(Async<TcpSocket>, SocketAddr)> {
        loop {
            self.readable().await;
            match self.try_read(Listener::accept) {
                Ok((socket, peer)) => return Ok((Async::new(socket)?, peer)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
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

impl<T: Pollable> Drop for Async<T> {
    fn drop(&mut self) {
        self.registration.reactor.deregister(&self.socket.handle());
    }
}

impl<T: Pollable> AsyncRead for &Async<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Async::poll_read(&self, cx, buffer)
    }
}

impl<T: Pollable> AsyncWrite for &Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while self.registration.source.writing.poll(cx).is_ready() {
            match self.try_write(|mut socket| socket.write(bytes)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
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

impl<T: Pollable + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
