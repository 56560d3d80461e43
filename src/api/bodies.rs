//! The bodies that are under way: reading one, and the memory that all of them share.
//!
//! Leaves where a body ends to `http::body`, and what becomes of it to others. What must stay true: all bodies together never have more
//! memory than they may; what counts is what has come, so that a promise costs nothing; and whoever sends fast is never the one who
//! has to go.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;
use smol::future::{self, FutureExt, poll_fn};

use crate::config::limits::{BODIES_BYTES_MAX, BODY_BYTES_PER_SEC, BODY_TIMEOUT, TURN_BYTES_MAX};
use crate::http::body::{BodyDecoder, Framing};
use crate::http::refusal::{BODY_DISPLACED, BODY_TOO_SLOW, BUSY, Refusal};
use crate::http::response::write_all;
use crate::runtime::socket::Async;
use crate::runtime::timer::Timer;

/// Asks a client for the body that it keeps back until then (RFC 9110 section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// All bodies under way.
pub struct Bodies {
    bytes_max: usize,
    /// The memory of all, in bytes.
    bytes: Cell<usize>,
    under_way: RefCell<Slab<UnderWay>>,
    /// How often some body went on.
    steps: Cell<u64>,
    /// What is read, on its way into its body. Nobody keeps anything here.
    piece: RefCell<Vec<u8>>,
}

/// One body. It lies here and not in its task, so that its memory is free at the moment when another one needs it.
struct UnderWay {
    bytes: Vec<u8>,
    state: State,
    /// When it last went on, as a number of [`Bodies::steps`].
    last_step: u64,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has to come on, or to go when another one needs the place.
    Coming,
    /// It is complete.
    Whole,
    /// It had to go.
    Displaced,
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Where it ends.
    pub framing: Framing,
    /// How large it may be.
    pub bytes_max: usize,
    /// Whether the client waits for a word before it sends it.
    pub waits_for_continue: bool,
}

impl Bodies {
    /// With room for two of the largest messages at least.
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            bytes_max: BODIES_BYTES_MAX.max(message_bytes_max.saturating_mul(2)),
            bytes: Cell::new(0),
            under_way: RefCell::default(),
            steps: Cell::new(0),
            piece: RefCell::default(),
        }
    }

    /// Reads a body, of which the first bytes may be in `buffer`; what follows it is there afterwards. `None`: the client has closed the
    /// connection.
    ///
    /// # Errors
    /// If it is too large, too slow, wrong, or has to go for another one.
    pub async fn read(
        &self,
        socket: &Async<TcpStream>,
        buffer: &mut Vec<u8>,
        expected: Expected,
    ) -> Result<Option<Body<'_>>, Refusal> {
        let Expected { framing, bytes_max, waits_for_continue } = expected;
        let mut decoder = BodyDecoder::new(framing, bytes_max)?;
        let mut body = self.begin(match framing {
            Framing::None => 0,
            Framing::Length(bytes) => usize::try_from(bytes).map_or(bytes_max, |bytes| bytes.min(bytes_max)),
            Framing::Chunked => bytes_max,
        });
        let has_begun = !buffer.is_empty();
        let taken = body.add(&mut decoder, buffer)?;
        buffer.drain(..taken);
        let began = Instant::now();
        if waits_for_continue && !has_begun && !decoder.is_complete() {
            let too_slow = async {
                Timer::at(began + BODY_TIMEOUT).await;
                Err(io::ErrorKind::TimedOut.into())
            };
            if write_all(socket, CONTINUE).or(too_slow).await.is_err() {
                return Ok(None);
            }
        }
        while !decoder.is_complete() {
            body.wait_for_more(socket, due(began, body.len())).await?;
            if !body.read_more(socket, &mut decoder, buffer)? {
                return Ok(None);
            }
            if !decoder.is_complete() {
                // More may be here already: without this, it would be no turn of anybody else's.
                future::yield_now().await;
            }
        }
        body.set_state(State::Whole);
        Ok(Some(body))
    }

    fn begin(&self, bytes_max: usize) -> Body<'_> {
        let body = UnderWay { bytes: Vec::new(), state: State::Coming, last_step: self.next_step(), waker: None };
        Body { bodies: self, key: self.under_way.borrow_mut().insert(body), bytes_max, taken_bytes: 0 }
    }

    fn next_step(&self) -> u64 {
        self.steps.set(self.steps.get() + 1);
        self.steps.get()
    }

    /// Makes room for so many bytes more of a body: as long as there is too little, the one that has stood still for longest goes.
    fn make_room(&self, key: usize, more_bytes: usize) -> Result<(), Refusal> {
        let mut under_way = self.under_way.borrow_mut();
        while self.bytes.get() + more_bytes > self.bytes_max {
            let can_go = |(its, body): &(usize, &mut UnderWay)| {
                *its != key && body.state == State::Coming && body.bytes.capacity() > 0
            };
            let (_, slowest) =
                under_way.iter_mut().filter(can_go).min_by_key(|(_, body)| body.last_step).ok_or(BUSY)?;
            self.bytes.set(self.bytes.get() - slowest.bytes.capacity());
            slowest.bytes = Vec::new();
            slowest.state = State::Displaced;
            if let Some(waker) = slowest.waker.take() {
                waker.wake();
            }
        }
        Ok(())
    }
}

/// When a body has to be complete of which so many bytes have come. What is promised buys no time.
fn due(began: Instant, bytes: usize) -> Instant {
    began + BODY_TIMEOUT + Duration::from_millis((bytes as u64).saturating_mul(1000) / BODY_BYTES_PER_SEC)
}

/// A body. Its memory counts until it is dropped.
pub struct Body<'a> {
    bodies: &'a Bodies,
    key: usize,
    /// How large it can become.
    bytes_max: usize,
    /// What counts of bytes that were taken out.
    taken_bytes: usize,
}

impl Body<'_> {
    fn with<T>(&self, work: impl FnOnce(&mut UnderWay) -> T) -> T {
        work(self.bodies.under_way.borrow_mut().get_mut(self.key).expect("it is there until the drop"))
    }

    fn set_state(&mut self, state: State) {
        self.with(|its| its.state = state);
    }

    fn len(&self) -> usize {
        self.with(|its| its.bytes.len())
    }

    /// Adds what is in `input`. Returns how much of it is the body's.
    fn add(&mut self, decoder: &mut BodyDecoder, input: &[u8]) -> Result<usize, Refusal> {
        let bodies = self.bodies;
        let (len, capacity) = self.with(|its| (its.bytes.len(), its.bytes.capacity()));
        let readable_bytes = usize::try_from(decoder.readable_bytes()).unwrap_or(usize::MAX);
        let needed = len + input.len().min(readable_bytes);
        if needed > capacity {
            // Twice as much each time, so that little is copied, but no more than can still come.
            let wanted = needed.max((2 * capacity).min(self.bytes_max));
            bodies.make_room(self.key, wanted - capacity)?;
            let reserved = self.with(|its| {
                its.bytes.reserve_exact(wanted - len);
                its.bytes.capacity()
            });
            bodies.bytes.set(bodies.bytes.get() + reserved - capacity);
        }
        let step = bodies.next_step();
        self.with(|its| {
            let reserved = its.bytes.capacity();
            let taken = decoder.decode(input, &mut its.bytes)?;
            debug_assert_eq!(its.bytes.capacity(), reserved, "it has grown uncounted");
            if its.bytes.len() > len {
                its.last_step = step;
            }
            Ok(taken)
        })
    }

    /// Waits until there is something to read, or the body has to go.
    async fn wait_for_more(&self, socket: &Async<TcpStream>, due: Instant) -> Result<(), Refusal> {
        let displaced = poll_fn(|cx| {
            self.with(|its| {
                if its.state == State::Displaced {
                    return Poll::Ready(Err(BODY_DISPLACED));
                }
                its.waker = Some(cx.waker().clone());
                Poll::Pending
            })
        });
        let readable = async {
            socket.readable().await;
            Ok(())
        };
        let too_slow = async {
            Timer::at(due).await;
            Err(BODY_TOO_SLOW)
        };
        displaced.or(readable).or(too_slow).await
    }

    /// Reads what is there, up to [`TURN_BYTES_MAX`]. False: the client has closed the connection.
    fn read_more(
        &mut self,
        socket: &Async<TcpStream>,
        decoder: &mut BodyDecoder,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Refusal> {
        let mut piece = self.bodies.piece.borrow_mut();
        piece.resize(TURN_BYTES_MAX, 0);
        let readable_bytes = usize::try_from(decoder.readable_bytes()).map_or(piece.len(), |its| its.min(piece.len()));
        match socket.try_read(|mut socket| socket.read(&mut piece[..readable_bytes])) {
            Ok(0) => Ok(false),
            Ok(bytes) => {
                let came = &piece[..bytes];
                let taken = self.add(decoder, came)?;
                buffer.extend_from_slice(&came[taken..]);
                Ok(true)
            }
            Err(error) => Ok(error.kind() == io::ErrorKind::WouldBlock),
        }
    }

    /// Takes its bytes out. They count as before.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = self.with(|its| std::mem::take(&mut its.bytes));
        self.taken_bytes += bytes.capacity();
        bytes
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        let its = self.bodies.under_way.borrow_mut().remove(self.key);
        self.bodies.bytes.set(self.bodies.bytes.get() - its.bytes.capacity() - self.taken_bytes);
    }
}

impl fmt::Debug for Bodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bodies").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
