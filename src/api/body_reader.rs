//! Reads the body of a request from its socket.
//!
//! Leaves where it ends to `http::body`, and the memory that it takes to `bodies`. What must stay true: what follows a body stays in the
//! connection's buffer, which never gets long, and who is slow has only so much time.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use smol::future::{self, FutureExt, poll_fn};

use crate::api::bodies::{Bodies, Body};
use crate::config::limits::{BODY_BYTES_PER_SEC, BODY_TIMEOUT, TURN_BYTES_MAX};
use crate::http::body::{BodyDecoder, Framing};
use crate::http::refusal::{BODY_DISPLACED, BODY_TOO_SLOW, Refusal};
use crate::http::response::write_all;
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;

/// Asks a client for the body that it keeps back until then (RFC 9110 section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

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

/// Reads them all.
pub struct BodyReader {
    bodies: Bodies,
    /// What is read, on its way into its body. Nobody keeps anything here.
    piece: RefCell<Vec<u8>>,
}

impl BodyReader {
    /// For these bodies.
    pub fn new(bodies: Bodies) -> Self {
        Self { bodies, piece: RefCell::default() }
    }

    /// Ready when no body is under way.
    pub fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        self.bodies.poll_empty(cx)
    }

    /// Reads a body, of which the first bytes may be in `buffer`; what follows it is there afterwards. `None`: the client has closed the
    /// connection.
    ///
    /// # Errors
    /// If it is too large, too slow, wrong, or has to go for another one.
    pub async fn read(
        &self,
        socket: &Async<TcpSocket>,
        buffer: &mut Vec<u8>,
        expected: Expected,
    ) -> Result<Option<Body<'_>>, Refusal> {
        let Expected { framing, bytes_max, waits_for_continue } = expected;
        let mut decoder = BodyDecoder::new(framing, bytes_max)?;
        let mut body = self.bodies.begin(match framing {
            Framing::None => 0,
            Framing::Length(bytes) => usize::try_from(bytes).map_or(bytes_max, |bytes| bytes.min(bytes_max)),
            Framing::Chunked => bytes_max,
        });
        let has_begun = !buffer.is_empty();
        let taken = body.add(&mut decoder, buffer)?;
        buffer.drain(..taken);
        let began = clock::now();
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
            wait_for_more(&body, socket, due(began, body.came_bytes())).await?;
            if !self.read_more(&mut body, socket, &mut decoder, buffer)? {
                return Ok(None);
            }
            if !decoder.is_complete() {
                // More may be here already: without this, it would be no turn of anybody else's.
                future::yield_now().await;
            }
        }
        body.complete();
        Ok(Some(body))
    }

    /// Reads what is there, up to [`TURN_BYTES_MAX`]. False: the client has closed the connection.
    fn read_more(
        &self,
        body: &mut Body<'_>,
        socket: &Async<TcpSocket>,
        decoder: &mut BodyDecoder,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Refusal> {
        let mut piece = self.piece.borrow_mut();
        piece.resize(TURN_BYTES_MAX, 0);
        let readable_bytes = usize::try_from(decoder.readable_bytes()).map_or(piece.len(), |its| its.min(piece.len()));
        match socket.try_read(|mut socket| socket.read(&mut piece[..readable_bytes])) {
            Ok(0) => Ok(false),
            Ok(bytes) => {
                let came = &piece[..bytes];
                let taken = body.add(decoder, came)?;
                buffer.extend_from_slice(&came[taken..]);
                Ok(true)
            }
            Err(error) => Ok(error.kind() == io::ErrorKind::WouldBlock),
        }
    }
}

/// When a body has to be complete of which so many bytes have come. What is promised buys no time.
fn due(began: Instant, bytes: usize) -> Instant {
    began + BODY_TIMEOUT + Duration::from_millis((bytes as u64).saturating_mul(1000) / BODY_BYTES_PER_SEC)
}

/// Waits until there is something to read, or the body has to go.
async fn wait_for_more(body: &Body<'_>, socket: &Async<TcpSocket>, due: Instant) -> Result<(), Refusal> {
    let displaced = async {
        poll_fn(|cx| body.poll_displaced(cx)).await;
        Err(BODY_DISPLACED)
    };
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

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("bodies", &self.bodies).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
