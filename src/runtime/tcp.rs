//! What the server does with TCP sockets, the kernel's or a simulator's.
//!
//! Leaves waiting to `socket`. What must stay true: the server does nothing else with them, so that a simulator can stand in for the
//! kernel.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
#[cfg(feature = "simulation")]
use std::rc::Rc;
use std::time::Duration;

use rustix::net::SendFlags;
use socket2::{SockRef, TcpKeepalive};

use crate::runtime::poller::{Handle, Pollable};
#[cfg(feature = "simulation")]
use crate::simulation::entered;
#[cfg(feature = "simulation")]
use crate::simulation::socket::{self, SocketOption};

/// Our end of a connection. A socket that refuses an option works all the same.
#[derive(Debug)]
pub struct TcpSocket(Connection);

#[derive(Debug)]
enum Connection {
    Kernel(TcpStream),
    #[cfg(feature = "simulation")]
    Simulated(Rc<dyn socket::Socket>),
}

impl TcpSocket {
    /// Writes all of it by one call, made inline: through a function, libc's or ours, a delivery takes a fifth longer on the benchmark
    /// machine.
    ///
    /// # Errors
    /// As `send(2)`.
    #[expect(clippy::inline_always, reason = "measured; left to itself the compiler decides anew with every change")]
    #[inline(always)]
    pub fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            Connection::Kernel(socket) => match slices {
                [one] => Ok(rustix::net::send(socket, one, SendFlags::NOSIGNAL)?),
                many => Ok(rustix::io::writev(socket, many)?),
            },
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => socket.send(slices),
        }
    }

    /// Sends the end behind all that was written.
    pub fn shut_down_writing(&self) {
        // One that is broken has no need of it.
        let _ = match &self.0 {
            Connection::Kernel(socket) => socket.shutdown(Shutdown::Write),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => socket.shut_down_writing(),
        };
    }

    /// The address of ours that the peer has used.
    ///
    /// # Errors
    /// As `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Connection::Kernel(socket) => socket.local_addr(),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => Ok(socket.local_addr()),
        }
    }

    /// What has become of the connection, once.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.handle().take_error()
    }

    /// Has what is written sent at once.
    pub fn set_nodelay(&self) {
        let _ = match &self.0 {
            Connection::Kernel(socket) => socket.set_nodelay(true),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => simulate(&**socket, SocketOption::NoDelay),
        };
    }

    /// Has the kernel take no more while it holds so many bytes that were not sent.
    pub fn set_unsent_bytes_max(&self, bytes_max: u32) {
        let _ = match &self.0 {
            Connection::Kernel(socket) => SockRef::from(socket).set_tcp_notsent_lowat(bytes_max),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => simulate(&**socket, SocketOption::UnsentBytesMax(bytes_max)),
        };
    }

    /// Has the connection break when the peer leaves bytes unacknowledged for so long.
    pub fn set_user_timeout(&self, timeout: Duration) {
        let _ = match &self.0 {
            Connection::Kernel(socket) => SockRef::from(socket).set_tcp_user_timeout(Some(timeout)),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => simulate(&**socket, SocketOption::UserTimeout(timeout)),
        };
    }

    /// Has the kernel ask whether the peer is there after so long a silence, and again and again. It counts in seconds.
    pub fn set_keepalive_after(&self, silence: Duration) {
        let silence = silence.max(Duration::from_secs(1));
        let _ = match &self.0 {
            Connection::Kernel(socket) => {
                let keepalive = TcpKeepalive::new().with_time(silence).with_interval(silence);
                SockRef::from(socket).set_tcp_keepalive(&keepalive)
            }
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => simulate(&**socket, SocketOption::KeepaliveAfter(silence)),
        };
    }

    /// Has the kernel send a reset in place of an end.
    pub fn set_reset_at_close(&self) {
        let _ = match &self.0 {
            Connection::Kernel(socket) => SockRef::from(socket).set_linger(Some(Duration::ZERO)),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => simulate(&**socket, SocketOption::ResetAtClose),
        };
    }

    /// The kernel's socket, for a test to look at.
    #[cfg(test)]
    pub fn kernel(&self) -> &TcpStream {
        match &self.0 {
            Connection::Kernel(socket) => socket,
            #[cfg(feature = "simulation")]
            Connection::Simulated(_) => panic!("it is not the kernel's"),
        }
    }
}

#[cfg(feature = "simulation")]
#[expect(clippy::unnecessary_wraps, reason = "the kernel can refuse")]
fn simulate(socket: &dyn socket::Socket, option: SocketOption) -> io::Result<()> {
    socket.set(option);
    Ok(())
}

impl From<TcpStream> for TcpSocket {
    fn from(socket: TcpStream) -> Self {
        Self(Connection::Kernel(socket))
    }
}

impl Pollable for TcpSocket {
    fn handle(&self) -> Handle<'_> {
        match &self.0 {
            Connection::Kernel(socket) => Handle::Kernel(socket.as_fd()),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => Handle::Simulated(&**socket),
        }
    }
}

impl Read for &TcpSocket {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Connection::Kernel(socket) => (&mut &*socket).read(buffer),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => socket.receive(buffer),
        }
    }
}

impl Write for &TcpSocket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Connection::Kernel(socket) => (&mut &*socket).write(bytes),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => socket.send(&[IoSlice::new(bytes)]),
        }
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            Connection::Kernel(socket) => (&mut &*socket).write_vectored(slices),
            #[cfg(feature = "simulation")]
            Connection::Simulated(socket) => socket.send(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener(Listening);

#[derive(Debug)]
enum Listening {
    Kernel(TcpListener),
    #[cfg(feature = "simulation")]
    Simulated(socket::Listener),
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// As `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Listening::Kernel(listener) => listener.local_addr(),
            #[cfg(feature = "simulation")]
            Listening::Simulated(listener) => Ok(listener.address),
        }
    }

    /// Accepts a connection, and says who it is from.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub fn accept(&self) -> io::Result<(TcpSocket, SocketAddr)> {
        match &self.0 {
            Listening::Kernel(listener) => listener.accept().map(|(socket, peer)| (socket.into(), peer)),
            #[cfg(feature = "simulation")]
            Listening::Simulated(listener) => {
                let world = entered::world().ok_or_else(|| io::Error::other("the world was left"))?;
                world.accept(listener.nth).map(|(socket, peer)| (TcpSocket(Connection::Simulated(socket)), peer))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Listening::Kernel(listener))
    }
}

#[cfg(feature = "simulation")]
impl From<socket::Listener> for Listener {
    fn from(listener: socket::Listener) -> Self {
        Self(Listening::Simulated(listener))
    }
}

impl Pollable for Listener {
    fn handle(&self) -> Handle<'_> {
        match &self.0 {
            Listening::Kernel(listener) => Handle::Kernel(listener.as_fd()),
            #[cfg(feature = "simulation")]
            Listening::Simulated(listener) => Handle::SimulatedListener(listener.nth),
        }
    }
}
