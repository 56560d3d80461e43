//! The socket that tungstenite gets: bounded in time while a connection is being opened, and never waiting after that.
//!
//! What must stay true: while there is a deadline, no read and no write ends after it; a peer that takes what we write, however slowly, is heard.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::config::client_limits::READ_PER_TURN_BYTES_MAX;

/// A socket, and when something was last heard over it.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    deadline: Option<Instant>,
    /// When the last bytes came, or the peer had made room for more of ours.
    pub heard_at: Instant,
    /// Whether the socket took no more the last time.
    is_full: bool,
    /// How many bytes may still be read in this turn: tungstenite reads on until a message is whole, which endless fragments never are.
    turn_left_bytes: usize,
}

impl Wire {
    /// Waits for its peer, but not beyond the deadline.
    pub fn until(deadline: Instant, socket: TcpStream) -> Self {
        Self { socket, deadline: Some(deadline), heard_at: Instant::now(), is_full: false, turn_left_bytes: usize::MAX }
    }

    /// Waits again, until then.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<()> {
        self.deadline = Some(deadline);
        self.turn_left_bytes = usize::MAX;
        self.socket.set_nonblocking(false)
    }

    /// Begins a turn, in which no more is read than so much.
    pub fn begin_turn(&mut self) {
        self.turn_left_bytes = READ_PER_TURN_BYTES_MAX;
    }

    /// Waits no more.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn stop_waiting(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.socket.set_nonblocking(true)
    }

    /// How long a call may take now.
    fn timeout(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }

    /// The kernel says `WouldBlock` when a timeout is over (`socket(7)`, `SO_RCVTIMEO`).
    fn in_time(&self, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.deadline.is_some() => {
                Err(ErrorKind::TimedOut.into())
            }
            other => other,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(timeout) = self.timeout()? {
            self.socket.set_read_timeout(Some(timeout))?;
        }
        if self.turn_left_bytes == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = self.socket.read(buffer);
        if let Ok(count) = &read {
            self.heard_at = Instant::now();
            self.turn_left_bytes = self.turn_left_bytes.saturating_sub(*count);
        }
        self.in_time(read)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(timeout) = self.timeout()? {
            self.socket.set_write_timeout(Some(timeout))?;
        }
        let written = self.socket.write(bytes);
        match &written {
            // Only what the peer acknowledges makes room.
            Ok(_) if std::mem::take(&mut self.is_full) => self.heard_at = Instant::now(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_full = true,
            _ => {}
        }
        self.in_time(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    #[test]
    fn a_peer_that_trickles_does_not_move_the_deadline() {
        let (ours, mut peer) = pair();
        let mut wire = Wire::until(Instant::now() + Duration::from_millis(50), ours);
        let mut ended = None;
        while ended.is_none() {
            peer.write_all(b"x").unwrap();
            ended = wire.read(&mut [0; 1]).err();
        }
        assert_eq!(ended.unwrap().kind(), ErrorKind::TimedOut);
        assert_eq!(wire.write(b"x").unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_peer_that_makes_room_is_heard_but_not_one_whose_kernel_has_room_anyway() {
        let (ours, mut peer) = pair();
        let mut wire = Wire::until(Instant::now() + Duration::from_secs(3600), ours);
        wire.stop_waiting().unwrap();
        let opened_at = wire.heard_at;
        let mut written = 0;
        while let Ok(count) = wire.write(&[0; 4096]) {
            written += count;
        }
        assert_eq!(wire.heard_at, opened_at);
        peer.read_exact(&mut vec![0; written]).unwrap();
        while wire.write(&[0]).is_err() {
            std::thread::yield_now();
        }
        assert!(wire.heard_at > opened_at);
    }

    #[test]
    fn after_it_is_open_nothing_waits() {
        let (ours, _peer) = pair();
        let mut wire = Wire::until(Instant::now() + Duration::from_secs(3600), ours);
        wire.stop_waiting().unwrap();
        assert_eq!(wire.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
