//! Listening sockets: bound or inherited, and the loop that accepts from them whatever happens.
//!
//! Leaves connections to whoever takes them. What must stay true: no error ends accepting.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use listenfd::ListenFd;
use log::{info, warn};
use smol::future;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::limits::{ACCEPT_BACKOFF, ACCEPT_QUEUE};
use crate::config::settings::default_listen;
use crate::runtime::socket::Async;
use crate::runtime::tcp::{Listener, TcpSocket};
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// A socket that cannot be had. It shows itself as a sentence that says what to do.
#[derive(Debug)]
pub enum ListenError {
    /// An address cannot be bound.
    Bind(SocketAddr, io::Error),
    /// The nth socket from systemd, counted from 0, is not a listening TCP socket.
    Inherit(usize, io::Error),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(address, error) => {
                let advice = match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        "another program has it (is foghorn running already?): stop that, or choose another port with --listen"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "ports below 1024 are for root: choose another with --listen, or let systemd hand the socket over"
                    }
                    io::ErrorKind::AddrNotAvailable => {
                        "this machine does not have the address: give one of its own with --listen, or [::] for all"
                    }
                    _ => "choose another address with --listen",
                };
                write!(f, "cannot listen on {address} ({error}): {advice}")
            }
            Self::Inherit(nth, error) => write!(
                f,
                "socket {nth} that was handed over (LISTEN_FDS) is not a listening TCP socket ({error}): \
                 check ListenStream in foghorn.socket"
            ),
        }
    }
}

impl std::error::Error for ListenError {}

/// The sockets that a service manager has handed over (`sd_listen_fds(3)`); none if it has not.
///
/// # Errors
/// If one of them is something else than a listening TCP socket.
pub fn inherited() -> Result<Vec<TcpListener>, ListenError> {
    let mut handed_over = ListenFd::from_env();
    let sockets = (0..handed_over.len()).map(|nth| {
        let taken = handed_over.take_tcp_listener(nth).and_then(|socket| match socket {
            Some(socket) if SockRef::from(&socket).is_listener()? => Ok(socket),
            Some(_) => Err(io::Error::other("it does not listen")),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        taken.map_err(|error| ListenError::Inherit(nth, error))
    });
    sockets.collect()
}

/// Binds these addresses, or the default ones if there are none.
///
/// # Errors
/// If one of them cannot be bound.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    if !addresses.is_empty() {
        return addresses.iter().map(|&address| bind_one(address)).collect();
    }
    let bound = default_listen().into_iter().map(|address| match bind_one(address) {
        // A kernel without IPv6 still has IPv4.
        Err(ListenError::Bind(_, error)) if error.raw_os_error() == Some(EAFNOSUPPORT) => {
            bind_one((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    });
    bound.collect()
}

/// `errno(3)`; the same number on all of Linux's architectures that we build for.
const EAFNOSUPPORT: i32 = 97;

fn bind_one(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(ACCEPT_QUEUE)?;
        Ok(socket.into())
    };
    bound().map_err(|error| ListenError::Bind(address, error))
}

/// Accepts for ever and hands connections to `take`.
pub async fn accept_all(
    listener: Async<Listener>,
    counters: Arc<Counters>,
    take: impl Fn(Async<TcpSocket>, SocketAddr),
) {
    let [first_pause, longest_pause] = ACCEPT_BACKOFF;
    let mut pause = first_pause;
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if pause != first_pause {
                    info!("accepting connections again");
                    pause = first_pause;
                }
                take(socket, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
                // Other tasks run, among them the dropped connection's, which still holds its descriptor.
                future::yield_now().await;
            }
            // This one connection was given up by its client; it says nothing about the next.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => counters.accept_errors.add(1),
            Err(error) => {
                counters.accept_errors.add(1);
                if pause == first_pause {
                    warn!("cannot accept connections ({error}); trying again until it works");
                }
                Timer::after(pause).await;
                pause = (2 * pause).min(longest_pause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_cannot_be_had_is_a_sentence_that_says_what_to_do() {
        let address = "192.168.1.5:80".parse().unwrap();
        for (kind, advice) in [
            (io::ErrorKind::AddrInUse, "another program has it"),
            (io::ErrorKind::PermissionDenied, "ports below 1024 are for root"),
            (io::ErrorKind::AddrNotAvailable, "this machine does not have the address"),
            (io::ErrorKind::OutOfMemory, "choose another address with --listen"),
        ] {
            let shown = ListenError::Bind(address, kind.into()).to_string();
            assert!(shown.starts_with("cannot listen on 192.168.1.5:80 (") && shown.contains(advice), "{shown}");
        }
        let shown = ListenError::Inherit(1, io::ErrorKind::NotFound.into()).to_string();
        assert!(shown.starts_with("socket 1 that was handed over (LISTEN_FDS) "), "{shown}");
    }
}
