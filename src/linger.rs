//! The end of a connection, such that the last words are heard.
//!
//! A socket that is closed with bytes unread makes the kernel send a reset, which overtakes what was sent and takes it away
//! from the client. What must stay true: a client that goes on sending costs the others no more than its turn.

use std::net::{Shutdown, TcpStream};

use smol::future::{self, FutureExt};
use smol::io::AsyncReadExt;
use smol::{Async, Timer};

use crate::config::{CLOSING_TIMEOUT, LINGER_BYTES_MAX};

/// What is read at a time, in bytes. On the heap, since it would make every task larger for all its life.
const CHUNK_BYTES: usize = 16 * 1024;

/// Says that nothing more will be sent, and reads what still comes, unseen, until the client has closed too or
/// [`CLOSING_TIMEOUT`] is over.
pub async fn end(socket: &Async<TcpStream>) {
    let _ = socket.get_ref().shutdown(Shutdown::Write);
    let timeout = async {
        Timer::after(CLOSING_TIMEOUT).await;
    };
    discard(socket).or(timeout).await;
}

async fn discard(mut socket: &Async<TcpStream>) {
    let mut unseen = vec![0; CHUNK_BYTES];
    let mut left_bytes = LINGER_BYTES_MAX;
    while let Ok(read @ 1..) = socket.read(&mut unseen).await {
        left_bytes = left_bytes.saturating_sub(read);
        if left_bytes == 0 {
            return;
        }
        future::yield_now().await;
    }
}
