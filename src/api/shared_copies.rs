//! Copies of what may be large, for those who do not take it at once: one for each message that is sent as it is, whoever reads it.
//!
//! Leaves to `last` and `metrics` what it is. What must stay true: all copies together have no more than so many bytes at any moment, however
//! slow their readers are; who takes all of one turn's bytes at once is never cut short.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use smol::future::{self, FutureExt, poll_fn};

use crate::config::limits::{
    FLUSH_BYTES_MAX, RESPONSE_STALL_TIMEOUT, RESPONSE_UNSENT_BYTES_MAX, SHARED_COPIES_BYTES_MIN,
};
use crate::hub::channel_name::ChannelName;
use crate::hub::position::Position;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;

/// Of what there is a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyOf {
    /// A message, by its place.
    Message(ChannelName, Position),
    /// The figures of a moment: each of them has a number of its own.
    Figures(u64),
}

/// All copies.
#[derive(Debug)]
pub struct SharedCopies {
    bytes_max: usize,
    /// Those that somebody reads, the oldest first.
    copies: RefCell<VecDeque<Rc<SharedCopy>>>,
}

#[derive(Debug)]
struct SharedCopy {
    of: CopyOf,
    /// `None` when it was given up.
    bytes: RefCell<Option<Vec<u8>>>,
    /// Who reads it: the tasks that wait for their sockets.
    readers: RefCell<Slab<Option<Waker>>>,
}

impl SharedCopies {
    /// No copies yet, and never more than there is room for two messages of so many bytes, or for all figures.
    pub fn new(message_bytes_max: usize) -> Rc<Self> {
        let bytes_max = SHARED_COPIES_BYTES_MIN.max(2 * message_bytes_max);
        Rc::new(Self { bytes_max, copies: RefCell::default() })
    }

    /// A reader of a part of something that has so many bytes. The copy is made if nobody reads one: the oldest others are given up for it.
    pub fn read(
        self: &Rc<Self>,
        of: CopyOf,
        bytes_len: usize,
        part: Range<usize>,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Reader {
        let mut copies = self.copies.borrow_mut();
        let known = copies.iter().find(|copy| copy.of == of).cloned();
        let copy = known.unwrap_or_else(|| {
            let mut held_bytes: usize = copies.iter().map(|copy| copy.len()).sum();
            while held_bytes + bytes_len > self.bytes_max {
                let Some(oldest) = copies.pop_front() else { break };
                held_bytes -= oldest.len();
                oldest.give_up();
            }
            let copy = SharedCopy { of, bytes: RefCell::new(Some(make())), readers: RefCell::default() };
            let copy = Rc::new(copy);
            copies.push_back(Rc::clone(&copy));
            copy
        });
        let slot = copy.readers.borrow_mut().insert(None);
        Reader { copies: Rc::clone(self), copy, slot, part }
    }
}

impl SharedCopy {
    fn len(&self) -> usize {
        self.bytes.borrow().as_ref().map_or(0, Vec::len)
    }

    /// Takes its bytes back, and tells its readers.
    fn give_up(&self) {
        self.bytes.take();
        for (_, waker) in &mut *self.readers.borrow_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// Somebody who reads a copy.
#[derive(Debug)]
pub struct Reader {
    copies: Rc<SharedCopies>,
    copy: Rc<SharedCopy>,
    slot: usize,
    /// What is read of it.
    part: Range<usize>,
}

impl Reader {
    /// Sends a head and its part of the copy, with a new deadline for every piece that the client takes.
    ///
    /// # Errors
    /// If the connection breaks or stalls, or the copy is given up for a newer one.
    pub async fn send(&self, socket: &Async<TcpSocket>, mut head: &[u8]) -> io::Result<()> {
        let mut part = self.part.clone();
        if part.len() > FLUSH_BYTES_MAX {
            // Or the kernel asks for more only when a third of its own buffer is free, which takes who is slow too long.
            socket.get_ref().set_unsent_bytes_max(RESPONSE_UNSENT_BYTES_MAX);
        }
        while !head.is_empty() || !part.is_empty() {
            let stalled = async {
                Timer::after(RESPONSE_STALL_TIMEOUT).await;
                Err(ErrorKind::TimedOut.into())
            };
            let written = poll_fn(|cx| self.poll_write(cx, socket, head, part.clone())).or(stalled).await?;
            let of_head = written.min(head.len());
            head = &head[of_head..];
            part.start += written - of_head;
            if !part.is_empty() {
                // The socket may take a large message as fast as it is written, and others get their turn in between.
                future::yield_now().await;
            }
        }
        Ok(())
    }

    /// Both in one call of the kernel, so that a small message is one packet.
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        socket: &Async<TcpSocket>,
        head: &[u8],
        part: Range<usize>,
    ) -> Poll<io::Result<usize>> {
        let bytes = self.copy.bytes.borrow();
        let Some(bytes) = &*bytes else { return Poll::Ready(Err(ErrorKind::ConnectionAborted.into())) };
        let turn = part.start..part.end.min(part.start + FLUSH_BYTES_MAX);
        let slices = [IoSlice::new(head), IoSlice::new(&bytes[turn])];
        while pin!(socket.writable()).poll(cx).is_ready() {
            match socket.try_write(|mut socket| socket.write_vectored(&slices)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        self.copy.readers.borrow_mut()[self.slot] = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut readers = self.copy.readers.borrow_mut();
        readers.remove(self.slot);
        if readers.is_empty() {
            self.copies.copies.borrow_mut().retain(|copy| !Rc::ptr_eq(copy, &self.copy));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use socket2::SockRef;

    use async_executor::LocalExecutor;

    use super::*;
    use crate::runtime::reactor;

    /// What there is room for.
    const MAX: usize = SHARED_COPIES_BYTES_MIN;
    const PERCENT: usize = MAX / 100;

    fn read(copies: &Rc<SharedCopies>, number: u64, percent: usize) -> Reader {
        let bytes = percent * PERCENT;
        let reader = copies.read(CopyOf::Figures(number), bytes, 0..bytes, || vec![7; bytes]);
        assert!(copies.copies.borrow().iter().map(|copy| copy.len()).sum::<usize>() <= MAX);
        reader
    }

    fn held(copies: &SharedCopies) -> usize {
        copies.copies.borrow().iter().map(|copy| copy.len()).sum::<usize>() / PERCENT
    }

    fn has_its_copy(reader: &Reader) -> bool {
        reader.copy.bytes.borrow().is_some()
    }

    #[test]
    fn a_message_is_copied_once_for_all_who_read_it_and_no_longer_than_somebody_does() {
        let copies = SharedCopies::new(MAX / 2);
        let first = read(&copies, 1, 60);
        let second = copies.read(CopyOf::Figures(1), 60 * PERCENT, 0..1, || panic!("there is one"));
        let other = read(&copies, 2, 40);
        assert_eq!(held(&copies), 100);
        drop(first);
        assert_eq!(held(&copies), 100, "somebody still reads it");
        drop(second);
        assert_eq!(held(&copies), 40);
        let anew = read(&copies, 1, 60);
        drop((other, anew));
        assert_eq!(held(&copies), 0);
    }

    #[test]
    fn as_much_as_there_is_room_for_finds_room_beside_others() {
        let copies = SharedCopies::new(MAX / 2);
        let first = read(&copies, 1, 60);
        let rest = copies.read(CopyOf::Figures(2), MAX - 60 * PERCENT, 0..1, || vec![7; MAX - 60 * PERCENT]);
        assert!(has_its_copy(&first) && has_its_copy(&rest));
        let one_more = copies.read(CopyOf::Figures(3), 1, 0..1, || vec![7]);
        assert!(!has_its_copy(&first) && has_its_copy(&rest) && has_its_copy(&one_more));
    }

    #[test]
    fn the_oldest_copies_give_way_to_a_new_one_and_their_readers_are_woken() {
        let copies = SharedCopies::new(MAX / 2);
        let readers = [(1, 50), (2, 20), (3, 30)].map(|(key, bytes)| read(&copies, key, bytes));
        let also = read(&copies, 1, 50);
        let (sender, woken) = std::sync::mpsc::channel();
        for (key, reader) in [(1, &readers[0]), (2, &readers[1]), (3, &readers[2]), (4, &also)] {
            let sender = sender.clone();
            let waker = waker_fn(move || sender.send(key).unwrap());
            reader.copy.readers.borrow_mut()[reader.slot] = Some(waker);
        }
        let newest = read(&copies, 4, 60);
        assert_eq!(readers.each_ref().map(has_its_copy), [false, false, true], "as many as it takes");
        assert!(!has_its_copy(&also) && has_its_copy(&newest));
        let mut woken: Vec<i32> = woken.try_iter().collect();
        woken.sort_unstable();
        assert_eq!(woken, [1, 2, 4]);
        let again = read(&copies, 1, 10);
        drop((readers, also));
        assert_eq!(held(&copies), 70, "who has lost its copy takes nobody else's with it");
        assert!(has_its_copy(&again));
    }

    #[test]
    fn who_takes_all_at_once_gets_no_more_than_a_share_in_each_turn() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        SockRef::from(&ours).set_send_buffer_size(4 * FLUSH_BYTES_MAX).unwrap();
        let taken = (&ours).write(&vec![0; 8 * FLUSH_BYTES_MAX]).unwrap();
        assert!(taken > FLUSH_BYTES_MAX, "sockets here take {taken} bytes at once, so this test would show nothing");
        theirs.read_exact(&mut vec![0; taken]).unwrap();
        let socket = Async::new(TcpSocket::from(TcpStream::from(OwnedFd::from(ours)))).unwrap();
        let copies = SharedCopies::new(MAX / 2);
        let reader = read(&copies, 1, 100);
        let executor = LocalExecutor::new();
        let sending = executor.spawn(async move { reader.send(&socket, b"head").await });
        // A task that is ready all the time, and empties the socket whenever it has its turn.
        let other = executor.spawn(async move {
            let mut turns = Vec::new();
            let mut buffer = vec![0; 8 * FLUSH_BYTES_MAX];
            while turns.iter().sum::<usize>() < "head".len() + 100 * PERCENT {
                turns.extend(theirs.read(&mut buffer).ok().filter(|bytes| *bytes > 0));
                future::yield_now().await;
            }
            turns
        });
        let turns = reactor::block_on(executor.run(other)).unwrap();
        assert!(turns.iter().all(|bytes| *bytes <= "head".len() + FLUSH_BYTES_MAX), "{turns:?}");
        assert!(reactor::block_on(executor.run(sending)).unwrap().is_ok());
    }

    #[test]
    fn who_has_gone_is_found_by_what_it_is_sent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let reader = read(&SharedCopies::new(MAX / 2), 1, 100);
        let sent = reactor::block_on(async {
            let socket = Async::new(TcpSocket::from(listener.accept().unwrap().0)).unwrap();
            reader.send(&socket, b"head").await
        });
        assert!(sent.unwrap().is_err_and(|error| error.kind() != ErrorKind::TimedOut));
    }

    #[test]
    fn only_who_takes_more_than_a_share_has_a_short_way_in_the_kernel() {
        let unsent_bytes_max = |bytes: usize| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let reading = std::thread::spawn(move || client.read_exact(&mut vec![0; bytes]));
            let copies = SharedCopies::new(MAX / 2);
            let reader = copies.read(CopyOf::Figures(1), bytes, 0..bytes, || vec![7; bytes]);
            let sent = reactor::block_on(async {
                let socket = Async::new(TcpSocket::from(listener.accept().unwrap().0)).unwrap();
                reader.send(&socket, b"").await.unwrap();
                SockRef::from(socket.get_ref().kernel()).tcp_notsent_lowat().unwrap()
            });
            reading.join().unwrap().unwrap();
            sent.unwrap()
        };
        assert_ne!(unsent_bytes_max(FLUSH_BYTES_MAX), RESPONSE_UNSENT_BYTES_MAX);
        assert_eq!(unsent_bytes_max(FLUSH_BYTES_MAX + 1), RESPONSE_UNSENT_BYTES_MAX);
    }

    /// A waker that does this.
    fn waker_fn(wake: impl Fn() + Send + Sync + 'static) -> Waker {
        struct Wake<F>(F);
        impl<F: Fn() + Send + Sync> std::task::Wake for Wake<F> {
            fn wake(self: std::sync::Arc<Self>) {
                (self.0)();
            }
        }
        std::sync::Arc::new(Wake(wake)).into()
    }
}
