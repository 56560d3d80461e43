//! A connection's bytes on the client's side: what has come and was not dealt with, and what goes out only bit by bit.
//!
//! Leaves what they mean to others. What must stay true: nothing is dropped, and nothing changes its place.

use std::time::Duration;

use crate::net::wire::{Wire, WireState};

/// Of what was dealt with, so much may lie before the rest.
const DONE_BYTES_MAX: usize = 64 * 1024;

/// How slowly something is sent: so many bytes, each time after so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trickle {
    /// So many bytes.
    pub bytes: usize,
    /// After so long.
    pub every: Duration,
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    /// The wire.
    pub wire: Wire,
    inbox: Vec<u8>,
    done: usize,
    outbox: Vec<u8>,
    trickle: Option<Trickle>,
    next_at: Duration,
}

impl Line {
    /// One whose bytes go out at once, or as slowly.
    pub fn new(wire: Wire, trickle: Option<Trickle>) -> Self {
        Self { wire, inbox: Vec::new(), done: 0, outbox: Vec::new(), trickle, next_at: Duration::ZERO }
    }

    /// Receives what has come, up to so many bytes. Returns how many.
    pub fn receive(&mut self, bytes_max: usize) -> usize {
        self.wire.receive(&mut self.inbox, bytes_max)
    }

    /// What has come and was not dealt with.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.inbox[self.done..]
    }

    /// Notes that so many bytes more were dealt with.
    #[inline]
    pub fn consume(&mut self, bytes: usize) {
        self.done += bytes;
        if self.done == self.inbox.len() {
            self.inbox.clear();
            self.done = 0;
        } else if self.done > DONE_BYTES_MAX {
            self.inbox.drain(..self.done);
            self.done = 0;
        }
    }

    /// Sends bytes, at once or in their turn.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.trickle.is_some() || !self.outbox.is_empty() {
            self.outbox.extend_from_slice(bytes);
        } else {
            self.wire.send(bytes);
        }
    }

    /// Sends what is due of what goes out bit by bit. Returns when more is.
    pub fn trickle(&mut self, now: Duration) -> Option<Duration> {
        let trickle = self.trickle.filter(|_| !self.outbox.is_empty())?;
        if self.next_at <= now {
            let bytes = trickle.bytes.min(self.outbox.len());
            self.wire.send(&self.outbox[..bytes]);
            self.outbox.drain(..bytes);
            self.next_at = now + trickle.every;
        }
        (!self.outbox.is_empty()).then_some(self.next_at)
    }

    /// How much was sent and is not with the server's machine, or on its way there, in bytes.
    pub fn unsent_bytes(&self) -> usize {
        self.outbox.len() + self.wire.unsent_bytes()
    }

    /// What is known of the connection.
    pub fn state(&self) -> WireState {
        self.wire.state()
    }
}
