//! One client's socket: what comes in is read from it, and the flush writes to it.
//!
//! Leaves to others what is written and when. What must stay true: control bytes (the handshake's answer, pongs, pings,
//! the Close frame) wait here, in their order, until the writer is between two frames; nobody writes past the writer.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use async_executor::Task;

use crate::access::codes::Right;
use crate::broadcast::connection_id::ConnectionId;
use crate::broadcast::ended_connections::Known;
use crate::config::limits::{CONTROL_BYTES_MAX, UNSENT_BYTES_MAX};
use crate::hub::close_reason::CloseReason;
use crate::hub::record::Origin;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The socket took this many bytes, and would perhaps take more.
    Bytes(usize),
    /// The socket is full.
    Full,
    /// The connection is broken; the client's task will see it too, when it reads.
    Broken,
}

/// A client's socket, its control bytes, and why its connection has to end.
pub struct Transport {
    socket: Async<TcpSocket>,
    /// Where the client is, for the log.
    pub peer: SocketAddr,
    /// Whether the client may send messages.
    pub may_send: bool,
    control: RefCell<Vec<u8>>,
    /// The hello's `id`, by which it can be replaced, if it can.
    pub(super) connection_id: Cell<Option<ConnectionId>>,
    /// The right that it has shown by a code, if it can be replaced.
    pub(super) by_code: Cell<Option<Right>>,
    /// How many messages of it are in the log.
    taken: Cell<u64>,
    ending: Cell<Option<CloseReason>>,
    waker: Cell<Option<Waker>>,
    /// Its slot in the channel, while it is a subscriber.
    pub(super) slot: Cell<Option<usize>>,
    /// Whether its message waits for room in the backlog.
    pub(super) publish_blocked: Cell<bool>,
    /// Whether it would be told of something that is not in a file yet.
    held: Cell<bool>,
    /// How many messages of its channel had set out when its last one had, of those that do not come into the log at once.
    pub(super) staged_until: Cell<u64>,
    /// Whether its task waits for a file, and does not read.
    pub(super) awaits_file: Cell<bool>,
    /// Whether the socket took no more, or it is [held](Self::hold), so that [`Transport::write_ready`] waits for it.
    pub(super) write_blocked: Cell<bool>,
    /// The task that waits until the socket takes more. It ends with the transport.
    pub(super) write_ready: Cell<Option<Task<()>>>,
    /// The heartbeat sweep in which something was last heard.
    pub(super) heard_sweep: Cell<u32>,
    heard: Cell<bool>,
    tail_bytes: Cell<usize>,
    is_aborted: Cell<bool>,
}

impl Transport {
    /// Takes a connected socket over, with the first control bytes to write: the handshake's answer.
    pub fn new(socket: Async<TcpSocket>, peer: SocketAddr, first: Vec<u8>, may_send: bool) -> Self {
        socket.get_ref().set_unsent_bytes_max(UNSENT_BYTES_MAX);
        Self {
            socket,
            peer,
            may_send,
            control: RefCell::new(first),
            connection_id: Cell::new(None),
            by_code: Cell::new(None),
            taken: Cell::new(0),
            ending: Cell::new(None),
            waker: Cell::new(None),
            slot: Cell::new(None),
            publish_blocked: Cell::new(false),
            held: Cell::new(false),
            staged_until: Cell::new(0),
            awaits_file: Cell::new(false),
            write_blocked: Cell::new(false),
            write_ready: Cell::new(None),
            heard_sweep: Cell::new(0),
            heard: Cell::new(false),
            tail_bytes: Cell::new(0),
            is_aborted: Cell::new(false),
        }
    }

    /// The socket, for waiting until it is readable or writable.
    pub fn socket(&self) -> &Async<TcpSocket> {
        &self.socket
    }

    /// Writes frames with one system call, made inline, see [`TcpSocket::send`].
    #[expect(clippy::inline_always, reason = "measured; left to itself the compiler decides anew with every change")]
    #[inline(always)]
    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> Written {
        match self.socket.try_write(|socket| socket.send(slices)) {
            Ok(bytes) => Written::Bytes(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Written::Full,
            Err(_) => Written::Broken,
        }
    }

    /// Leaves the socket alone until `write_ready` has seen that it takes more.
    pub(super) fn block_writes(&self, write_ready: Task<()>) {
        // It may have taken a part, which the reactor does not know of.
        self.socket.note_full();
        self.write_blocked.set(true);
        self.write_ready.set(Some(write_ready));
    }

    /// Has nothing written to it until it is [released](Self::release).
    pub(super) fn hold(&self) {
        self.held.set(true);
        self.write_blocked.set(true);
    }

    /// Lets it be written to.
    pub(super) fn release(&self) {
        self.held.set(false);
        self.write_blocked.set(false);
        self.wake();
    }

    /// Notes whether its task waits for a file, and so does not read.
    pub fn note_awaiting_file(&self, does: bool) {
        self.awaits_file.set(does);
    }

    /// Whether it would be told of something that is not in a file yet.
    pub fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Whether the flush may write new frames to it directly: not blocked, not ending, no control bytes.
    pub(super) fn takes_unflushed(&self) -> bool {
        !self.write_blocked.get() && self.ending.get().is_none() && !self.has_control()
    }

    /// Whether control bytes wait.
    pub fn has_control(&self) -> bool {
        !self.control.borrow().is_empty()
    }

    /// How many control bytes wait.
    #[cfg(test)]
    pub(super) fn control_bytes(&self) -> usize {
        self.control.borrow().len()
    }

    /// Whether more control bytes wait than a client that reads would leave.
    pub fn has_too_much_control(&self) -> bool {
        self.control.borrow().len() > CONTROL_BYTES_MAX
    }

    /// Adds control bytes behind those that wait.
    pub fn push_control(&self, bytes: &[u8]) {
        self.control.borrow_mut().extend_from_slice(bytes);
    }

    /// Puts what is missing of a frame that is out in part before all control bytes: nothing may come between.
    pub(super) fn push_frame_tail(&self, frame_tail: &[u8]) {
        self.tail_bytes.set(frame_tail.len());
        self.control.borrow_mut().splice(..0, frame_tail.iter().copied());
    }

    /// The length of the frame's tail that was pushed.
    pub(super) fn tail_bytes(&self) -> usize {
        self.tail_bytes.get()
    }

    /// Notes that the rest of the current frame is lost, so nothing more can be written, not even a Close frame.
    pub fn abort(&self) {
        self.is_aborted.set(true);
    }

    /// Whether nothing can be written any more.
    pub fn is_aborted(&self) -> bool {
        self.is_aborted.get()
    }

    /// Writes control bytes, as many as the socket takes, and frees their memory when all are out.
    pub(super) fn write_control(&self) -> Written {
        let mut control = self.control.borrow_mut();
        let written = self.write(&[IoSlice::new(&control)]);
        if let Written::Bytes(bytes) = written {
            if bytes == control.len() {
                *control = Vec::new();
            } else {
                control.drain(..bytes);
            }
        }
        written
    }

    /// Writes all control bytes, waiting for the socket. For the end of a connection that has left the channel.
    ///
    /// # Errors
    /// If the connection is broken, or its client would be told of something that is in no file to the end.
    pub async fn finish_control(&self) -> io::Result<()> {
        if self.is_held() {
            return Err(ErrorKind::TimedOut.into());
        }
        // The client may be asleep and take this much later: now the kernel may hold what is left.
        self.socket.get_ref().set_unsent_bytes_max(u32::MAX);
        while self.has_control() {
            match self.write_control() {
                Written::Bytes(_) => {}
                Written::Full => self.socket.writable().await,
                Written::Broken => return Err(ErrorKind::BrokenPipe.into()),
            }
        }
        Ok(())
    }

    /// Tells the client's task to end the connection. The first reason counts.
    pub(super) fn end(&self, reason: CloseReason) {
        if self.ending.get().is_none() {
            self.ending.set(Some(reason));
        }
        self.wake();
    }

    /// Wakes the client's task, for it to look at [`poll_ending`](Self::poll_ending) and `publish_blocked` anew.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when the connection has to end; else the task is woken when something has changed.
    pub fn poll_ending(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Some(reason) = self.ending.get() {
            return Poll::Ready(reason);
        }
        self.wake_with(cx);
        Poll::Pending
    }

    /// Has this task woken by the next [`wake`](Self::wake).
    pub fn wake_with(&self, cx: &Context<'_>) {
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    }

    /// The reason for which the connection has to end, if it has to.
    pub(super) fn ending(&self) -> Option<CloseReason> {
        self.ending.get()
    }

    /// Notes that a message of it is in the log.
    pub(super) fn note_taken(&self) {
        self.taken.set(self.taken.get() + 1);
    }

    /// Notes that one of these is not, after all.
    #[cfg(feature = "redis")]
    pub(super) fn note_refused(&self) {
        self.taken.set(self.taken.get().saturating_sub(1));
    }

    /// What the record of its next message says of where it comes from.
    pub(super) fn next_origin(&self) -> Option<Origin> {
        self.connection_id.get().map(|id| Origin { connection: id.number(), taken: self.taken.get() + 1 })
    }

    /// What its client may be told when it comes back.
    pub(super) fn known(&self) -> Known {
        Known { taken: self.taken.get(), by_code: self.by_code.get() }
    }

    /// Notes that something was received.
    pub fn note_heard(&self) {
        self.heard.set(true);
    }

    /// Whether something was received since the last call.
    pub(super) fn take_heard(&self) -> bool {
        self.heard.take()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("peer", &self.peer).field("slot", &self.slot).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use socket2::SockRef;

    use super::*;
    use crate::runtime::reactor::block_on;

    /// A transport over real TCP, and its client.
    fn transport(first: &[u8]) -> (Transport, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = listener.accept().unwrap();
        (Transport::new(Async::new(socket.into()).unwrap(), peer, first.to_vec(), true), client)
    }

    #[test]
    fn control_bytes_that_are_out_hold_no_memory() {
        let (transport, mut client) = transport(&[1; 500]);
        transport.push_control(&[2; 500]);
        assert_eq!(transport.write_control(), Written::Bytes(1000));
        assert_eq!(transport.control.borrow().capacity(), 0);
        let mut bytes = [0; 1000];
        client.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [[1; 500], [2; 500]].concat()[..]);
    }

    #[test]
    fn new_frames_go_directly_to_nobody_who_is_held_or_full_or_ending_or_lacks_control_bytes() {
        let (transport, mut client) = transport(b"hello");
        assert!(!transport.takes_unflushed(), "the hello goes before");
        assert_eq!(transport.write_control(), Written::Bytes(5));
        client.read_exact(&mut [0; 5]).unwrap();
        assert!(transport.takes_unflushed());
        transport.hold();
        assert!(!transport.takes_unflushed());
        transport.release();
        assert!(transport.takes_unflushed());
        transport.write_blocked.set(true);
        assert!(!transport.takes_unflushed());
        transport.write_blocked.set(false);
        transport.end(CloseReason::Silent);
        assert!(!transport.takes_unflushed());
    }

    #[test]
    fn who_reads_may_leave_so_many_control_bytes_and_no_more() {
        let (transport, _client) = transport(&[0; CONTROL_BYTES_MAX]);
        assert!(!transport.has_too_much_control());
        transport.push_control(b"x");
        assert!(transport.has_too_much_control());
    }

    #[test]
    fn a_connection_that_is_gone_is_broken_and_not_full() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = Async::new(TcpStream::from(OwnedFd::from(ours)).into()).unwrap();
        let transport = Transport::new(socket, ([127, 0, 0, 1], 1).into(), b"hello".to_vec(), true);
        drop(theirs);
        assert_eq!(transport.write_control(), Written::Broken);
        assert!(block_on(transport.finish_control()).unwrap().is_err());
    }

    #[test]
    fn a_record_says_which_of_its_connections_messages_it_is_if_that_has_an_id() {
        let (transport, _client) = transport(b"");
        assert_eq!(transport.next_origin(), None);
        transport.connection_id.set(Some(ConnectionId::of_number(7)));
        for taken in 1..3 {
            assert_eq!(transport.next_origin(), Some(Origin { connection: 7, taken }));
            transport.note_taken();
        }
    }

    #[test]
    fn who_is_held_to_the_end_is_told_nothing() {
        let (transport, mut client) = transport(b"hello");
        transport.hold();
        assert!(block_on(transport.finish_control()).unwrap().is_err());
        drop(transport);
        let mut told = Vec::new();
        client.read_to_end(&mut told).unwrap();
        assert_eq!(told, b"");
    }

    #[test]
    fn the_kernel_holds_little_unsent_until_the_end_where_it_may_hold_all() {
        let (transport, _client) = transport(b"bye");
        let unsent_bytes_max = || SockRef::from(transport.socket.get_ref().kernel()).tcp_notsent_lowat().unwrap();
        assert_eq!(unsent_bytes_max(), UNSENT_BYTES_MAX);
        block_on(transport.finish_control()).unwrap().unwrap();
        assert_eq!(unsent_bytes_max(), u32::MAX);
    }
}
