//! The stream given to tungstenite: reads from the socket, a bounded number of bytes in each turn; writes go to the control
//! bytes.
//!
//! Leaves what the bytes mean to tungstenite. What must stay true: nothing here writes to the socket; whatever a client has sent,
//! when it falls silent between two messages it holds no more memory than before the first.
//!
//! tungstenite's buffer is small, one for each client, and grows with a message for good. So the socket is read in large pieces into
//! one buffer of the thread, from which tungstenite gets its small ones; and after a large message the WebSocket is made
//! anew, at a place where the old one holds nothing.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use smol::io::{AsyncRead, AsyncWrite};

use crate::broadcast::transport::Transport;
use crate::config::limits::{READ_BUFFER_BYTES, TURN_BYTES_MAX};
use crate::telemetry::counters::Counters;
use crate::ws::frame_tracker::FrameTracker;

/// If tungstenite is handed no more than this at once, and no large frame, its buffer keeps its first size.
const SMALL_PIECE_BYTES: usize = READ_BUFFER_BYTES / 4;

thread_local! {
    /// What the thread reads into. Between two turns it is here, and empty.
    static SCRATCH: Cell<Box<[u8]>> = Cell::default();
}

/// The stream that tungstenite gets: it reads from the socket and writes to the control bytes.
#[derive(Debug)]
pub struct Reader {
    transport: Rc<Transport>,
    counters: Arc<Counters>,
    message_bytes_max: usize,
    /// How many bytes may still be handed out in this turn. tungstenite reads until a message is complete, which endless fragments
    /// never are.
    turn_left_bytes: usize,
    /// What was read: within a turn in the thread's buffer, else in one of its own.
    unread: Box<[u8]>,
    /// Where in `unread` the bytes are that tungstenite has not got yet.
    unread_at: usize,
    unread_end: usize,
    frames: FrameTracker,
    has_grown: bool,
}

impl Reader {
    /// Reads what comes over `transport`, after `read_ahead`.
    pub fn new(
        transport: Rc<Transport>,
        counters: Arc<Counters>,
        message_bytes_max: usize,
        read_ahead: Vec<u8>,
    ) -> Self {
        Self {
            transport,
            counters,
            message_bytes_max,
            turn_left_bytes: TURN_BYTES_MAX,
            unread_at: 0,
            unread_end: read_ahead.len(),
            unread: read_ahead.into_boxed_slice(),
            frames: FrameTracker::default(),
            has_grown: false,
        }
    }

    /// Makes the WebSocket that reads from here.
    pub fn into_websocket(self) -> WebSocketStream<Self> {
        let config = websocket_config(self.message_bytes_max);
        let made = pin!(WebSocketStream::from_raw_socket(self, Role::Server, Some(config)));
        match made.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(websocket) => websocket,
            Poll::Pending => unreachable!("without a handshake there is nothing to wait for"),
        }
    }

    /// Makes the WebSocket anew, without the memory that the old one has grown to. Only where
    /// [`is_after_large`](Self::is_after_large) or [`can_shrink`](Self::can_shrink) says so.
    pub fn renew(websocket: WebSocketStream<Self>) -> WebSocketStream<Self> {
        let mut reader = websocket.into_inner();
        reader.has_grown = false;
        reader.into_websocket()
    }

    /// Whether the WebSocket has just given out a large message and holds nothing behind it. `messages_taken` were taken from it.
    pub fn is_after_large(&self, messages_taken: u32) -> bool {
        self.frames.is_after_large() && self.frames.messages() == messages_taken
    }

    /// Whether the WebSocket has grown and holds nothing, now that it has said that it wants more: before, it may hold control frames,
    /// which nobody counts.
    pub fn can_shrink(&self, messages_taken: u32) -> bool {
        self.has_grown
            && self.unread_at == self.unread_end
            && self.frames.is_between_messages()
            && self.frames.messages() == messages_taken
    }

    /// The code of the client's Close frame, if it has given one.
    pub fn close_code(&self) -> Option<u16> {
        self.frames.close_code()
    }

    /// Gives the thread's buffer back before the client's task waits: what is left in it, the client keeps as its own.
    pub fn release_scratch(&mut self) {
        if self.has_scratch() {
            let left = Box::from(&self.unread[self.unread_at..self.unread_end]);
            SCRATCH.set(std::mem::replace(&mut self.unread, left));
            self.unread_end -= std::mem::take(&mut self.unread_at);
        }
    }

    /// Whether `unread` is the thread's buffer: what a client keeps as its own is shorter.
    fn has_scratch(&self) -> bool {
        self.unread.len() == TURN_BYTES_MAX
    }

    /// Reads a large piece from the socket.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        if !self.has_scratch() {
            self.unread = SCRATCH.take();
        }
        if self.unread.is_empty() {
            self.unread = vec![0; TURN_BYTES_MAX].into_boxed_slice();
        }
        // A client whose message waits keeps what was read behind it: no more than a message.
        let bytes_max = self.turn_left_bytes.min(self.message_bytes_max.max(READ_BUFFER_BYTES));
        let read = self.transport.socket().poll_read(cx, &mut self.unread[..bytes_max]);
        self.unread_at = 0;
        self.unread_end = 0;
        if let Poll::Ready(Ok(bytes)) = read {
            self.unread_end = bytes;
            self.transport.note_heard();
            self.counters.bytes_in.add(bytes as u64);
        }
        read
    }
}

/// Every setting of tungstenite, on purpose.
pub fn websocket_config(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // Control frames go to the transport's control bytes at once, which are bounded there.
        .write_buffer_size(0)
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
        .accept_unmasked_frames(false)
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.turn_left_bytes == 0 {
            this.turn_left_bytes = TURN_BYTES_MAX;
            this.release_scratch();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.unread_at == this.unread_end {
            match this.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                ended => {
                    this.turn_left_bytes = TURN_BYTES_MAX;
                    this.release_scratch();
                    return ended;
                }
            }
        }
        let unread = &this.unread[this.unread_at..this.unread_end];
        let bytes_max = unread.len().min(buffer.len()).min(this.turn_left_bytes);
        let bytes = this.frames.follow(&unread[..bytes_max]);
        buffer[..bytes].copy_from_slice(&unread[..bytes]);
        this.unread_at += bytes;
        this.turn_left_bytes -= bytes;
        this.has_grown |= bytes > SMALL_PIECE_BYTES || this.frames.is_after_large();
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncWrite for Reader {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.push_control(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use smol::future;
    use smol::io::AsyncReadExt;
    use smol::stream::StreamExt;
    use socket2::SockRef;

    use super::*;
    use crate::runtime::reactor::block_on;
    use crate::runtime::socket::Async;

    fn reader() -> (Reader, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = Async::new(TcpStream::from(OwnedFd::from(ours)).into()).unwrap();
        let transport = Rc::new(Transport::new(socket, ([127, 0, 0, 1], 1).into(), Vec::new(), true));
        (Reader::new(transport, Arc::new(Counters::new()), 1 << 20, Vec::new()), theirs)
    }

    #[test]
    fn the_thread_has_one_buffer_for_all_clients_and_for_each_time() {
        let mut used = Vec::new();
        block_on(async {
            for _ in 0..2 {
                let (mut reader, mut peer) = reader();
                for _ in 0..3 {
                    peer.write_all(b"\x82\x80\0\0\0\0").unwrap();
                    assert_eq!(reader.read(&mut [0; 100]).await.unwrap(), 6);
                    used.push(reader.unread.as_ptr());
                }
                assert!(future::poll_once(reader.read(&mut [0; 100])).await.is_none(), "there is no more");
                assert_eq!(reader.unread.len(), 0, "it is given back");
            }
        })
        .unwrap();
        assert!(used.iter().all(|buffer| *buffer == used[0]), "{used:?}");
    }

    #[test]
    fn what_is_left_when_the_client_waits_is_its_own_and_comes_next() {
        let (mut reader, mut peer) = reader();
        let (mut other, mut its_peer) = self::reader();
        block_on(async {
            let sent: Vec<u8> = [b"\x82\xe4\0\0\0\0", &[7; 100][..]].concat();
            peer.write_all(&sent).unwrap();
            let mut received = vec![0; 20];
            assert_eq!(reader.read(&mut received).await.unwrap(), 20);
            reader.release_scratch();
            assert_eq!(reader.unread.len(), sent.len() - 20);
            its_peer.write_all(&[9; 1000]).unwrap();
            assert_eq!(other.read(&mut [0; 1000]).await.unwrap(), 1000);
            received.resize(sent.len(), 0);
            reader.read_exact(&mut received[20..]).await.unwrap();
            assert!(received == sent);
        })
        .unwrap();
    }

    /// A client's frame, masked with zeros.
    fn frame(first: u8, payload_bytes: u16) -> Vec<u8> {
        let length = payload_bytes.to_be_bytes();
        [&[first, 0xfe, length[0], length[1], 0, 0, 0, 0][..], &vec![b'x'; payload_bytes.into()]].concat()
    }

    /// The length of the next message.
    async fn next(websocket: &mut WebSocketStream<Reader>) -> usize {
        websocket.next().await.unwrap().unwrap().len()
    }

    async fn has_no_more(websocket: &mut WebSocketStream<Reader>) -> bool {
        future::poll_once(websocket.next()).await.is_none()
    }

    #[test]
    fn behind_a_large_message_the_websocket_can_be_made_anew_when_that_was_taken() {
        let (reader, mut peer) = reader();
        block_on(async {
            peer.write_all(&[frame(0x81, 600), frame(0x81, 126)].concat()).unwrap();
            let mut websocket = reader.into_websocket();
            assert_eq!(next(&mut websocket).await, 600);
            let reader = websocket.get_ref();
            assert!(reader.is_after_large(1) && !reader.is_after_large(0), "one was taken");
            let mut websocket = Reader::renew(websocket);
            assert_eq!(next(&mut websocket).await, 126);
            assert!(!websocket.get_ref().is_after_large(2), "it was small");
        })
        .unwrap();
    }

    #[test]
    fn a_websocket_that_has_grown_is_made_anew_when_nothing_is_left_in_it() {
        let (reader, mut peer) = reader();
        block_on(async {
            let small = frame(0x81, u16::try_from(SMALL_PIECE_BYTES - 8).unwrap());
            let mut websocket = reader.into_websocket();
            for (taken, sent) in [(1, frame(0x81, 126)), (2, small.clone())] {
                peer.write_all(&sent).unwrap();
                assert_eq!(next(&mut websocket).await, sent.len() - 8);
                assert!(has_no_more(&mut websocket).await);
                assert!(!websocket.get_ref().can_shrink(taken), "it has not grown");
            }

            peer.write_all(&[&small[..], &small, &small[..3]].concat()).unwrap();
            for taken in 3..5 {
                assert_eq!(next(&mut websocket).await, small.len() - 8);
                assert!(!websocket.get_ref().can_shrink(taken), "it has a part of a message");
            }
            assert!(has_no_more(&mut websocket).await);
            assert!(!websocket.get_ref().can_shrink(4), "a part of a message has come");
            peer.write_all(&small[3..]).unwrap();
            assert_eq!(next(&mut websocket).await, small.len() - 8);
            assert!(has_no_more(&mut websocket).await);
            assert!(websocket.get_ref().can_shrink(5) && !websocket.get_ref().can_shrink(4), "five were taken");
            assert!(!Reader::renew(websocket).get_ref().can_shrink(5));
        })
        .unwrap();
    }

    #[test]
    fn a_turn_has_so_many_bytes_and_the_next_one_as_many() {
        let (mut reader, mut peer) = reader();
        let mut buffer = [0; READ_BUFFER_BYTES];
        block_on(async {
            let head = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
            SockRef::from(&peer).set_send_buffer_size(4 * TURN_BYTES_MAX).unwrap();
            peer.write_all(&[&head[..], &vec![b'x'; 2 * TURN_BYTES_MAX]].concat()).unwrap();
            reader.transport.socket().readable().await;
            for _ in 0..2 {
                let mut turn_bytes = 0;
                while let Some(read) = future::poll_once(reader.read(&mut buffer)).await {
                    turn_bytes += read.unwrap();
                }
                assert_eq!(turn_bytes, TURN_BYTES_MAX);
            }
        })
        .unwrap();
    }

    #[test]
    fn the_code_of_a_close_is_known_although_tungstenite_does_not_know_it() {
        let (reader, mut peer) = reader();
        block_on(async {
            peer.write_all(b"\x88\x82\0\0\0\0\x03\xf6").unwrap();
            let mut websocket = reader.into_websocket();
            assert_eq!(websocket.get_ref().close_code(), None);
            websocket.next().await.unwrap().unwrap();
            assert_eq!(websocket.get_ref().close_code(), Some(1014));
        })
        .unwrap();
    }
}
