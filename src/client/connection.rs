//! One connection that has been greeted: frames in and out, without waiting, and whether the server is still there.
//!
//! Leaves coming back to `link`. What must stay true: a server that is silent is asked, and given up when it does not answer.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::error::Error;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Bytes, Message, WebSocket};

use crate::client::wire::Wire;
use crate::config::client_limits::{CLIENT_PING_AFTER, CLIENT_PONG_TIMEOUT, GOODBYE_TIMEOUT};

/// A connection.
#[derive(Debug)]
pub struct Connection {
    websocket: WebSocket<Wire>,
    /// What was there before the first read.
    first: Option<Message>,
    greeted_at: Instant,
    /// Whether the socket took no more.
    is_full: bool,
    pinged_at: Option<Instant>,
}

/// What came.
#[derive(Debug)]
pub enum Came {
    /// A text or a binary message.
    Message(Message),
    /// The answer to a ping that had a count.
    Pong(u64),
    /// Nothing that matters to anybody else.
    Other,
}

/// How a connection has ended.
#[derive(Debug)]
pub enum Ended {
    /// The server has said goodbye.
    Closed(Option<CloseFrame>),
    /// It has broken.
    Broken(Error),
    /// Nothing came for too long.
    Silent,
}

impl Connection {
    /// One that was greeted now. `first` is a message that has come already.
    pub fn new(websocket: WebSocket<Wire>, first: Option<Message>) -> Self {
        Self { websocket, first, greeted_at: Instant::now(), is_full: false, pinged_at: None }
    }

    /// Whether its socket took no more.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// For how long it has been there.
    pub fn age(&self) -> Duration {
        self.greeted_at.elapsed()
    }

    /// What has come, if anything has; `None` says that the socket has no more.
    ///
    /// # Errors
    /// How the connection has ended.
    pub fn next(&mut self) -> Result<Option<Came>, Ended> {
        if let Some(first) = self.first.take() {
            return Ok(Some(Came::Message(first)));
        }
        self.websocket.get_mut().begin_turn();
        match self.websocket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => return Ok(Some(Came::Message(message))),
            Ok(Message::Pong(payload)) => {
                let count = <[u8; 8]>::try_from(&payload[..]).map(u64::from_be_bytes);
                return Ok(Some(count.map_or(Came::Other, Came::Pong)));
            }
            Ok(Message::Close(frame)) => {
                // Our answer, as far as the socket takes it.
                let _ = self.websocket.flush();
                return Err(Ended::Closed(frame));
            }
            Ok(Message::Ping(_) | Message::Frame(_)) => return Ok(Some(Came::Other)),
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(Ended::Broken(error)),
        }
        if self.is_full {
            self.flush();
        }
        if Instant::now() >= self.look_again_at() {
            if self.is_asked() {
                return Err(Ended::Silent);
            }
            self.ping(Bytes::new());
            self.flush();
        }
        Ok(None)
    }

    /// When [`next`](Self::next) has to be called although nothing came.
    pub fn look_again_at(&self) -> Instant {
        match self.pinged_at.filter(|_| self.is_asked()) {
            Some(pinged_at) => pinged_at + CLIENT_PONG_TIMEOUT,
            None => self.websocket.get_ref().heard_at + CLIENT_PING_AFTER,
        }
    }

    /// Asks for a pong with this count, behind what was written before.
    pub fn ask(&mut self, count: u64) {
        self.ping(Bytes::copy_from_slice(&count.to_be_bytes()));
    }

    /// Writes a frame. What does not go out now goes with the next [`flush`](Self::flush); if the connection has broken,
    /// [`next`](Self::next) tells.
    pub fn write(&mut self, message: Message) {
        let written = self.websocket.write(message);
        self.note_written(&written);
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        let flushed = self.websocket.flush();
        self.note_written(&flushed);
    }

    /// Says goodbye, and waits a little for the answer.
    pub fn close(&mut self) {
        if self.websocket.get_mut().wait_until(Instant::now() + GOODBYE_TIMEOUT).is_err() {
            return;
        }
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let mut ended = self.websocket.close(Some(goodbye));
        while ended.is_ok() {
            ended = self.websocket.read().map(drop);
        }
    }

    fn ping(&mut self, payload: Bytes) {
        if !self.is_asked() {
            self.pinged_at = Some(Instant::now());
        }
        self.write(Message::Ping(payload));
    }

    /// Whether a ping has gone out since something was heard.
    fn is_asked(&self) -> bool {
        self.pinged_at.is_some_and(|at| at > self.websocket.get_ref().heard_at)
    }

    fn note_written(&mut self, written: &Result<(), Error>) {
        self.is_full = matches!(written, Err(error) if would_block(error));
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.websocket.get_ref().as_fd()
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}
