//! What the client's end of a connection does, and what the world does to both.
//!
//! Leaves what arrives to `connection`. What must stay true: nothing is put behind an end, and nothing is told to a client that has closed.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::net::connection::{Connection, Passing};
use crate::net::state::Phase;
use crate::net::timeline::Nanos;
use crate::net::wire::WireState;

impl Connection {
    pub(super) fn client_send(self: &Rc<Self>, bytes: &[u8]) {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.client.is_reset || state.client.wants_end || state.phase == Phase::Refused || bytes.is_empty() {
            return;
        }
        let has_room = state.to_server.len() + bytes.len() <= self.link.to_server_bytes;
        if state.phase == Phase::Open
            && has_room
            && state.waiting.is_empty()
            && bytes.len() <= self.link.segment_bytes_max
        {
            let at = state.arrival(now);
            state.to_server.put(bytes, at);
            self.schedule_to_server(state);
            return;
        }
        state.waiting.extend(bytes);
        self.pump(state, now, 1);
    }

    pub(super) fn client_unsent(&self) -> usize {
        self.state.borrow().waiting.len()
    }

    pub(super) fn client_receive(self: &Rc<Self>, into: &mut Vec<u8>, bytes_max: usize) -> usize {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let len = state.to_client.take_onto(into, bytes_max);
        log::debug!(target: "wire", "{self:?} gets {}", into[into.len() - len..].escape_ascii());
        if len > 0 && state.server.wants_room && state.has_good_room(&self.link) {
            state.server.wants_room = false;
            let at = state.arrival(self.network.now());
            self.push(at, Passing::Room);
        }
        len
    }

    pub(super) fn client_state(&self) -> WireState {
        let state = self.state.borrow();
        match state.phase {
            Phase::Connecting => WireState::Connecting,
            Phase::Refused => WireState::Refused,
            Phase::Open if state.client.is_reset => WireState::Reset,
            Phase::Open if state.to_client.end_has_arrived() && state.to_client.arrived() == 0 => WireState::Ended,
            Phase::Open => WireState::Open,
        }
    }

    pub(super) fn client_shut_down(self: &Rc<Self>) {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        if !state.client.wants_end {
            state.client.wants_end = true;
            self.pump(&mut state, now, 1);
        }
    }

    pub(super) fn client_close(self: &Rc<Self>) {
        self.client_shut_down();
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.client.closed_at.replace(now).is_none() && state.to_client.arrived() > 0 {
            // Something was not read: nobody will, and the server is told, behind all that was sent.
            state.to_client.lose_all();
            let at = state.behind_all_to_server(now);
            self.push(at, Passing::ServerReset);
        }
    }

    pub(super) fn client_reset(self: &Rc<Self>) {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.client.wants_end = true;
        state.waiting = VecDeque::new();
        if state.client.closed_at.replace(now).is_none() && !state.client.is_reset {
            let overtakes = state.random.bool();
            let at = if overtakes { state.arrival(now) } else { state.behind_all_to_server(now) };
            self.push(at, Passing::ServerReset);
        }
    }

    /// From now on nothing passes.
    pub fn vanish(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        state.is_vanished = true;
        self.set_expiry(&mut state, self.network.now());
    }

    /// The world has its network go away.
    pub fn disappear(self: &Rc<Self>) {
        self.state.borrow_mut().is_disturbed = true;
        self.vanish();
    }

    /// Whether the world has done something to it.
    pub(super) fn is_disturbed(&self) -> bool {
        self.state.borrow().is_disturbed
    }

    /// Whether the server has its end, or may come to have it.
    pub(super) fn is_at_server(&self) -> bool {
        let state = self.state.borrow();
        state.phase != Phase::Refused && !state.server.is_closed
    }

    /// Nothing passes until this moment.
    pub fn stall(&self, until: Nanos) {
        let mut state = self.state.borrow_mut();
        state.is_disturbed = true;
        state.stalled_until = state.stalled_until.max(until);
    }

    /// The network resets it: both ends are told, each when it is.
    pub fn break_off(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        state.is_disturbed = true;
        state.waiting = VecDeque::new();
        for passing in [Passing::ServerReset, Passing::ClientReset] {
            let at = state.arrival(self.network.now());
            self.push(at, passing);
        }
    }

    /// A connection that has vanished is told to the server after all, as by a router that is there again.
    pub fn come_back_broken(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        state.is_vanished = false;
        state.is_disturbed = true;
        state.client.is_reset = true;
        state.client.closed_at.get_or_insert(self.network.now());
        state.waiting = VecDeque::new();
        let at = state.arrival(self.network.now());
        self.push(at, Passing::ServerReset);
    }
}
