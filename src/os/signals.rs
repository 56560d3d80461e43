//! The signals that ask the server to stop.
//!
//! What must stay true: a handler of a signal does no more than write one byte to a socket.

use std::io;
use std::os::unix::net::UnixStream;

use log::info;
use signal_hook::consts::{SIGINT, SIGTERM};
use smol::stream::{self, Stream, StreamExt};

use crate::runtime::socket::Async;

/// SIGTERM and SIGINT: the first item asks the server to stop, the second to do so at once.
///
/// # Errors
/// If the signals cannot be watched.
pub fn stop_signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let terminated = arrivals_of(SIGTERM)?.inspect(|()| info!("stopping (terminated)"));
    let interrupted = arrivals_of(SIGINT)?.inspect(|()| info!("stopping (interrupted); once more ends it at once"));
    Ok(stream::or(terminated, interrupted))
}

/// Each arrival of a signal. Its handler may do no more than write to a socket, whose other end is read here.
fn arrivals_of(signal: i32) -> io::Result<impl Stream<Item = ()> + Unpin> {
    let (told, tells) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal, tells)?;
    let told = Async::new(told)?;
    Ok(stream::poll_fn(move |cx| told.poll_read(cx, &mut [0]).map(|read| read.ok().map(drop))))
}
