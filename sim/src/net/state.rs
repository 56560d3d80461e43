//! What is known of a connection at its two ends and in between.
//!
//! Leaves what happens to it to `connection`. What must stay true: what was sent arrives no earlier than the least latency.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use crate::net::connection::Passing;
use crate::net::link::Link;
use crate::net::pipe::Pipe;
use crate::net::timeline::Nanos;

pub(super) struct State {
    pub(super) random: Rng,
    pub(super) latency: [Nanos; 2],
    pub(super) phase: Phase,
    pub(super) to_server: Pipe,
    pub(super) to_client: Pipe,
    /// What the server's window has no room for.
    pub(super) waiting: VecDeque<u8>,
    pub(super) client: ClientEnd,
    pub(super) server: ServerEnd,
    pub(super) is_vanished: bool,
    pub(super) is_disturbed: bool,
    pub(super) stalled_until: Nanos,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Open,
    Refused,
}

#[derive(Default)]
pub(super) struct ClientEnd {
    pub(super) wants_end: bool,
    pub(super) closed_at: Option<Nanos>,
    pub(super) is_reset: bool,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are as independent as the flags of a socket")]
pub(super) struct ServerEnd {
    pub(super) key: Option<u64>,
    /// The edge waits to be told.
    pub(super) is_pending: bool,
    pub(super) is_closed: bool,
    pub(super) is_shut: bool,
    /// What is told once.
    pub(super) error: Option<i32>,
    pub(super) is_broken: bool,
    pub(super) wants_room: bool,
    pub(super) resets_at_close: bool,
    pub(super) user_timeout: Option<Nanos>,
    pub(super) keepalive: Option<Nanos>,
    pub(super) expiry_is_set: bool,
}

impl State {
    pub(super) fn new(link: &Link, random: Rng) -> Self {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).expect("a short time");
        let latency = [nanos(link.latency.start), nanos(link.latency.end).max(nanos(link.latency.start) + 1)];
        Self {
            random,
            latency,
            phase: Phase::Connecting,
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            waiting: VecDeque::new(),
            client: ClientEnd::default(),
            server: ServerEnd::default(),
            is_vanished: false,
            is_disturbed: false,
            stalled_until: 0,
        }
    }

    /// When something that is sent now arrives.
    pub(super) fn arrival(&mut self, now: Nanos) -> Nanos {
        now + self.random.u64(self.latency[0]..self.latency[1])
    }

    /// Something that stands on the timeline comes to nothing.
    pub(super) fn unschedule(&mut self, passing: Passing) {
        match passing {
            Passing::ToServer => self.to_server.is_scheduled = false,
            Passing::ToClient => self.to_client.is_scheduled = false,
            _ => {}
        }
    }

    pub(super) fn behind_all_to_server(&mut self, now: Nanos) -> Nanos {
        let at = self.arrival(now);
        self.to_server.last_at().max(at)
    }

    pub(super) fn behind_all_to_client(&mut self, now: Nanos) -> Nanos {
        let at = self.arrival(now);
        self.to_client.last_at().max(at)
    }

    /// Whether the kernel would say that the socket can be written to: a third is free.
    pub(super) fn has_good_room(&self, link: &Link) -> bool {
        link.to_client_bytes.saturating_sub(self.to_client.len()) * 3 >= link.to_client_bytes
    }

    pub(super) fn client_is_reset(&mut self) -> bool {
        if self.client.is_reset || self.client.closed_at.is_some() {
            return false;
        }
        self.client.is_reset = true;
        self.waiting = VecDeque::new();
        self.to_server.lose_flight();
        // Some kernels forget what was not read, others keep it.
        if self.random.bool() {
            self.to_client.lose_all();
        } else {
            self.to_client.lose_flight();
        }
        true
    }
}
