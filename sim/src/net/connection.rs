//! One connection: the rules of TCP between both its ends.
//!
//! Leaves what each end can do to `client_side` and `server_side`. What must stay true (`tcp(7)`, `epoll(7)`): what has
//! arrived is read before an error or an end is; an error is told once; an end comes behind all bytes; a write that was short is followed by
//! an edge; what is vanished stays vanished.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use fastrand::Rng;
use foghorn::simulation::world::{Event, Readiness};

use crate::net::link::Link;
use crate::net::network::{Happening, Network};
use crate::net::state::{Phase, State};
use crate::net::timeline::{Nanos, SECOND};

/// What passes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// A SYN to the server.
    Asked,
    /// Its answer, to the client.
    Answered,
    /// A reset in place of it.
    Refused,
    /// Bytes or an end, to the server.
    ToServer,
    /// Bytes or an end, to the client.
    ToClient,
    /// Word to the server that there is room again.
    Room,
    /// Word to the client that all it has sent is under way.
    Sent,
    /// A reset, to the server.
    ServerReset,
    /// A reset, to the client.
    ClientReset,
    /// Bytes or a probe were not acknowledged for too long.
    Expired,
    /// The server's kernel asks whether the client is still there.
    Probe,
}

/// How long the kernel sends again what nobody acknowledges (`tcp_retries2` of 15).
pub(super) const RETRIES_LAST: Nanos = 924 * SECOND;
/// How long the kernel knows a connection that its process has closed (`tcp_fin_timeout`).
const ORPHANS_LAST: Nanos = 60 * SECOND;

/// A connection.
pub struct Connection {
    pub(super) network: Rc<Network>,
    /// Whose it is.
    pub actor: usize,
    /// The client's address.
    pub peer: SocketAddr,
    /// Its place among those that are open.
    pub(super) place: Cell<usize>,
    pub(super) link: Link,
    pub(super) state: RefCell<State>,
}

impl Connection {
    pub(super) fn new(network: Rc<Network>, actor: usize, link: Link, peer: SocketAddr, random: Rng) -> Self {
        let state = RefCell::new(State::new(&link, random));
        Self { network, actor, peer, place: Cell::new(0), link, state }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn push(self: &Rc<Self>, at: Nanos, passing: Passing) {
        self.network.push(at, Happening::Passes(Rc::clone(self), passing));
    }

    /// The client's SYN is sent.
    pub(super) fn ask(self: &Rc<Self>) {
        let at = self.state.borrow_mut().arrival(self.network.now());
        self.push(at, Passing::Asked);
    }

    /// Something arrives. Returns whether its client has news.
    pub fn pass(self: &Rc<Self>, passing: Passing) -> bool {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.is_vanished && passing != Passing::Expired {
            state.unschedule(passing);
            return false;
        }
        if state.stalled_until > now && passing != Passing::Expired {
            self.push(state.stalled_until, passing);
            return false;
        }
        match passing {
            Passing::Asked => {
                let answer = if self.network.take_in(self) { Passing::Answered } else { Passing::Refused };
                self.push(state.arrival(now), answer);
                false
            }
            Passing::Answered => {
                state.phase = Phase::Open;
                self.pump(state, now, 1);
                true
            }
            Passing::Refused => {
                state.phase = Phase::Refused;
                state.waiting = VecDeque::new();
                true
            }
            Passing::ToServer => {
                self.arrive_at_server(state, now);
                false
            }
            Passing::ToClient => self.arrive_at_client(state, now),
            Passing::Room => {
                if state.has_good_room(&self.link) {
                    self.tell_server(state);
                } else {
                    state.server.wants_room = true;
                }
                false
            }
            Passing::Sent => state.client.closed_at.is_none(),
            Passing::ServerReset => {
                self.fail(state, ECONNRESET);
                false
            }
            Passing::ClientReset => state.client_is_reset(),
            Passing::Expired => {
                self.fail(state, ETIMEDOUT);
                false
            }
            Passing::Probe => {
                self.probe(state, now);
                false
            }
        }
    }

    pub(super) fn arrive_at_server(self: &Rc<Self>, state: &mut State, now: Nanos) {
        state.to_server.is_scheduled = false;
        if state.server.is_closed {
            // Nobody is there to take it.
            if !state.to_server.is_empty() && !state.client.is_reset {
                state.to_server.lose_all();
                self.push(state.arrival(now), Passing::ClientReset);
            }
            return;
        }
        if state.to_server.arrive(now) {
            self.tell_server(state);
        }
        self.schedule_to_server(state);
    }

    pub(super) fn arrive_at_client(self: &Rc<Self>, state: &mut State, now: Nanos) -> bool {
        state.to_client.is_scheduled = false;
        if state.client.closed_at.is_some() {
            if !state.to_client.is_empty() {
                state.to_client.lose_all();
                self.push(state.arrival(now), Passing::ServerReset);
            }
            return false;
        }
        let has_news = state.to_client.arrive(now) && !state.client.is_reset;
        self.schedule_to_client(state);
        has_news
    }

    pub(super) fn probe(self: &Rc<Self>, state: &mut State, now: Nanos) {
        let Some(after) = state.server.keepalive.filter(|_| !state.server.is_closed && !state.server.is_broken) else {
            return;
        };
        if state.client.closed_at.is_some_and(|at| now.saturating_sub(at) >= ORPHANS_LAST) {
            self.push(state.arrival(now), Passing::ServerReset);
        } else {
            self.push(now + after, Passing::Probe);
        }
    }

    /// The server's end is broken, and it is told once.
    pub(super) fn fail(self: &Rc<Self>, state: &mut State, error: i32) {
        if state.server.is_closed || state.server.is_broken {
            return;
        }
        state.server.error = Some(error);
        state.server.is_broken = true;
        state.to_server.lose_flight();
        state.to_client.lose_all();
        self.tell_server(state);
    }

    pub(super) fn tell_server(self: &Rc<Self>, state: &mut State) {
        if state.server.key.is_some() && !state.server.is_pending {
            state.server.is_pending = true;
            self.network.tell(self);
        }
    }

    /// What holds of the server's end now, if it wants to know.
    pub(super) fn event(&self) -> Option<Event> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.server.is_pending = false;
        let key = state.server.key?;
        let (is_broken, has_ended) = (state.server.is_broken, state.to_server.end_has_arrived());
        let readiness = Readiness {
            readable: state.to_server.arrived() > 0 || has_ended || is_broken,
            writable: is_broken || state.server.is_shut || state.has_good_room(&self.link),
            hung_up: has_ended || is_broken,
            failed: state.server.error.is_some(),
            urgent: false,
        };
        Some(Event { key, readiness })
    }

    pub(super) fn schedule_to_server(self: &Rc<Self>, state: &mut State) {
        if let Some(at) = state.to_server.next_at().filter(|_| !state.to_server.is_scheduled) {
            state.to_server.is_scheduled = true;
            self.push(at, Passing::ToServer);
        }
    }

    pub(super) fn schedule_to_client(self: &Rc<Self>, state: &mut State) {
        if let Some(at) = state.to_client.next_at().filter(|_| !state.to_client.is_scheduled) {
            state.to_client.is_scheduled = true;
            self.push(at, Passing::ToClient);
        }
    }

    /// Puts under way what waits at the client, as much as the server's window has room for.
    pub(super) fn pump(self: &Rc<Self>, state: &mut State, now: Nanos, ways: u32) {
        if state.phase != Phase::Open || state.client.is_reset || state.to_server.has_ended() {
            return;
        }
        let had_waiting = !state.waiting.is_empty();
        while !state.waiting.is_empty() {
            let room = self.link.to_server_bytes.saturating_sub(state.to_server.len());
            let (first, _) = state.waiting.as_slices();
            let len = first.len().min(room).min(self.link.segment_bytes_max);
            if len == 0 {
                break;
            }
            let mut at = now;
            for _ in 0..ways {
                at = state.arrival(at);
            }
            let (first, _) = state.waiting.as_slices();
            state.to_server.put(&first[..len], at);
            state.waiting.drain(..len);
        }
        if state.waiting.is_empty() {
            if had_waiting {
                self.push(now + state.latency[0], Passing::Sent);
            }
            if state.client.wants_end {
                let at = state.arrival(now);
                state.to_server.put_end(at);
            }
        }
        self.schedule_to_server(state);
    }

    pub(super) fn set_expiry(self: &Rc<Self>, state: &mut State, now: Nanos) {
        if !state.is_vanished || state.server.expiry_is_set || state.server.is_closed {
            return;
        }
        let for_bytes = (!state.to_client.is_empty() || state.to_client.has_ended())
            .then(|| state.server.user_timeout.unwrap_or(RETRIES_LAST));
        let for_probe = state.server.keepalive.map(|after| {
            // Nine probes (`tcp_keepalive_probes`), or the user timeout if that is over earlier.
            state.server.user_timeout.unwrap_or(10 * after).clamp(2 * after, 10 * after)
        });
        if let Some(span) = for_bytes.into_iter().chain(for_probe).min() {
            state.server.expiry_is_set = true;
            self.push(now + span, Passing::Expired);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.actor, self.peer)
    }
}

const ECONNRESET: i32 = 104;
const ETIMEDOUT: i32 = 110;
