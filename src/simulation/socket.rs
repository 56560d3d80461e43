//! Sockets that are not the kernel's.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

/// A listening socket of the world, for `server::run::run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Which of the world's it is.
    pub nth: usize,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The server's end of a connection. Dropped, it is closed.
///
/// It behaves as a TCP socket that never blocks, whose events come edge-triggered (`epoll(7)`, `tcp(7)`).
pub trait Socket: fmt::Debug {
    /// Reads, as `recv(2)`.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing yet; what has become of the connection.
    fn receive(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Writes, as `sendmsg(2)` with `MSG_NOSIGNAL`.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing; what has become of the connection.
    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends the end behind all that was written.
    ///
    /// # Errors
    /// What has become of the connection.
    fn shut_down_writing(&self) -> io::Result<()>;

    /// The address of this end.
    fn local_addr(&self) -> SocketAddr;

    /// What has become of the connection, once (`SO_ERROR`).
    fn take_error(&self) -> Option<io::Error>;

    /// Sets an option.
    fn set(&self, option: SocketOption);

    /// The reactor knows it by this key from now on, and wants its events. What holds of it already is the first.
    fn registered(&self, key: u64);

    /// It wants no more of them.
    fn deregistered(&self);
}

/// What the server sets at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOption {
    /// How many bytes that were not sent the kernel may hold before it takes no more (`TCP_NOTSENT_LOWAT`).
    UnsentBytesMax(u32),
    /// Its close is a reset, and what was not sent is lost (`SO_LINGER` of 0).
    ResetAtClose,
    /// For how long bytes may stay unacknowledged before it is an error (`TCP_USER_TIMEOUT`).
    UserTimeout(Duration),
    /// After how long a silence it is probed, and again after each answer that does not come (`SO_KEEPALIVE`, `TCP_KEEPIDLE`,
    /// `TCP_KEEPINTVL`).
    KeepaliveAfter(Duration),
    /// What is written is sent at once (`TCP_NODELAY`).
    NoDelay,
}
