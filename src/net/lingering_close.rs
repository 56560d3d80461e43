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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::runtime::reactor;

    fn pair() -> (TcpSocket, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0.into(), client)
    }

    #[test]
    fn it_reads_on_until_the_client_has_sent_all_and_closes() {
        let (ours, mut client) = pair();
        let (more, may_send) = smol::channel::bounded::<()>(1);
        let sending = thread::spawn(move || {
            client.write_all(b"first").unwrap();
            may_send.recv_blocking().unwrap();
            // More than the kernel has room for: somebody takes it.
            client.write_all(&vec![b'x'; LINGER_BYTES_MAX / 2]).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            client.read_to_end(&mut Vec::new())
        });
        reactor::block_on(async {
            let socket = Async::new(ours).unwrap();
            socket.readable().await;
            let mut discarded = std::pin::pin!(discard(&socket));
            // It has seen that there is no more by then.
            for _ in 0..3 {
                assert!(future::poll_once(&mut discarded).await.is_none(), "the client has closed nothing");
            }
            more.send(()).await.unwrap();
            discarded.await;
            end(&socket).await;
        })
        .unwrap();
        assert_eq!(sending.join().unwrap().unwrap(), 0, "an end without a reset");
    }

    #[test]
    fn a_client_that_goes_on_sending_is_left_after_so_many_bytes() {
        let (ours, mut client) = pair();
        let sending = thread::spawn(move || {
            let mut sent = 0;
            while let Ok(bytes) = client.write(&[0; CHUNK_BYTES]) {
                sent += bytes;
            }
            sent
        });
        reactor::block_on(async { end(&Async::new(ours).unwrap()).await }).unwrap();
        let sent = sending.join().unwrap();
        // What lies in the kernel was sent, too.
        assert!(sent < 2 * LINGER_BYTES_MAX, "{sent} bytes");
    }
}
