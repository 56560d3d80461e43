//! The end of a connection, such that the last bytes arrive.
//!
//! A socket that is closed with bytes unread makes the kernel send a reset, which overtakes what was sent and takes it away
//! from the client. What must stay true: a client that goes on sending costs the others no more than its turn.

use std::io::{self, ErrorKind, Read};

use smol::future::{self, FutureExt};

use crate::config::limits::{CLOSING_TIMEOUT, LINGER_BYTES_MAX};
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;

/// What is read at a time, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Shuts down writing, then reads and discards until the client closes, [`CLOSING_TIMEOUT`] is over or [`LINGER_BYTES_MAX`] bytes
/// have come.
pub async fn end(socket: &Async<TcpSocket>) {
    socket.get_ref().shut_down_writing();
    discard(socket).or(Timer::after(CLOSING_TIMEOUT)).await;
}

async fn discard(socket: &Async<TcpSocket>) {
    let mut left_bytes = LINGER_BYTES_MAX;
    loop {
        socket.readable().await;
        match socket.try_read(read_unseen) {
            Ok(0) => return,
            Ok(read) if read >= left_bytes => return,
            Ok(read) => left_bytes -= read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        future::yield_now().await;
    }
}

/// On the stack, for the time of one call: in the task it would be there for each connection that ends.
fn read_unseen(mut socket: &TcpSocket) -> io::Result<usize> {
    socket.read(&mut [0; CHUNK_BYTES])
}
