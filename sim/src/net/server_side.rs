//! What the server's end of a connection does.
//!
//! Leaves what arrives to `connection`. What must stay true (`tcp(7)`): what has arrived is read before an error or an end is; an error is told
//! once; a write that was short is followed by an edge; a close with something unread is a reset.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use foghorn::simulation::socket::SocketOption;

use crate::net::connection::{Connection, Passing, RETRIES_LAST};
use crate::net::state::State;
use crate::net::timeline::Nanos;

impl Connection {
    pub(super) fn server_receive(self: &Rc<Self>, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.to_server.arrived() > 0 {
            let len = state.to_server.take(into);
            log::debug!(target: "wire", "{self:?} gives {}", into[..len].escape_ascii());
            if !state.waiting.is_empty() && !state.is_vanished {
                // Word of the room goes to the client, and then its bytes come.
                self.pump(state, self.network.now(), 2);
            }
            self.network.timeline.borrow_mut().note(len as u64);
            return Ok(len);
        }
        if let Some(error) = state.server.error.take() {
            return Err(io::Error::from_raw_os_error(error));
        }
        if state.server.is_broken || state.to_server.end_has_arrived() {
            return Ok(0);
        }
        Err(ErrorKind::WouldBlock.into())
    }

    pub(super) fn server_send(self: &Rc<Self>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if let Some(error) = state.server.error.take() {
            return Err(io::Error::from_raw_os_error(error));
        }
        if state.server.is_broken || state.server.is_shut || state.server.is_closed {
            return Err(io::Error::from_raw_os_error(EPIPE));
        }
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        let room = self.link.to_client_bytes.saturating_sub(state.to_client.len());
        let mut len = wanted.min(room);
        let is_cut = len > 0 && self.link.short_one_in > 0 && state.random.u32(..self.link.short_one_in) == 0;
        if is_cut {
            len = state.random.usize(..len);
        }
        if len > 0 {
            self.put_to_client(state, slices, len, now);
        }
        if len < wanted {
            state.server.wants_room = !is_cut;
            if is_cut {
                let at = state.arrival(now);
                self.push(at, Passing::Room);
            }
        }
        self.network.timeline.borrow_mut().note(len as u64);
        if len == 0 && wanted > 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(len) }
    }

    fn put_to_client(self: &Rc<Self>, state: &mut State, slices: &[IoSlice<'_>], len: usize, now: Nanos) {
        let (mut left, mut of_segment, mut at) = (len, 0, 0);
        for slice in slices {
            let mut bytes = &slice[..slice.len().min(left)];
            left -= bytes.len();
            while !bytes.is_empty() {
                if of_segment == 0 {
                    of_segment = self.link.segment_bytes_max;
                    at = state.arrival(now);
                }
                let (piece, rest) = bytes.split_at(bytes.len().min(of_segment));
                #[cfg(test)]
                self.plant(state, piece, at);
                #[cfg(not(test))]
                state.to_client.put(piece, at);
                of_segment -= piece.len();
                bytes = rest;
            }
        }
        if state.is_vanished {
            self.set_expiry(state, now);
        } else {
            self.schedule_to_client(state);
        }
    }

    /// Puts a segment under way, with what a test has planted.
    #[cfg(test)]
    fn plant(&self, state: &mut State, piece: &[u8], at: Nanos) {
        use crate::net::network::Plant;

        let is_one = |one_in: u32, state: &mut State| state.random.u32(..one_in) == 0;
        match self.network.plant.get() {
            Some(Plant::Drops(one_in)) if is_one(one_in, state) => {}
            Some(Plant::Doubles(one_in)) if is_one(one_in, state) => {
                state.to_client.put(piece, at);
                state.to_client.put(piece, at);
            }
            Some(Plant::Turns(one_in)) if is_one(one_in, state) => {
                let mut turned = piece.to_vec();
                *turned.last_mut().expect("a segment has bytes") ^= 1;
                state.to_client.put(&turned, at);
            }
            _ => state.to_client.put(piece, at),
        }
    }

    pub(super) fn server_shut_down(self: &Rc<Self>) -> io::Result<()> {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.server.is_broken || state.server.is_closed {
            return Err(io::Error::from_raw_os_error(ENOTCONN));
        }
        state.server.is_shut = true;
        let at = state.arrival(now);
        state.to_client.put_end(at);
        if state.is_vanished {
            self.set_expiry(state, now);
        } else {
            self.schedule_to_client(state);
        }
        Ok(())
    }

    pub(super) fn server_local_addr(&self) -> SocketAddr {
        // The server's machine has an address in the same network, and serves by loopback, too.
        let here = if self.peer.ip().is_loopback() { self.peer.ip() } else { IpAddr::from([10, 255, 0, 1]) };
        SocketAddr::new(here, foghorn::config::settings::PORTS[self.link.listener])
    }

    pub(super) fn server_error(&self) -> Option<io::Error> {
        self.state.borrow_mut().server.error.take().map(io::Error::from_raw_os_error)
    }

    pub(super) fn server_set(self: &Rc<Self>, option: SocketOption) {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let nanos = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(RETRIES_LAST);
        match option {
            SocketOption::ResetAtClose => state.server.resets_at_close = true,
            SocketOption::UserTimeout(span) => state.server.user_timeout = Some(nanos(span)),
            SocketOption::KeepaliveAfter(span) => {
                state.server.keepalive = Some(nanos(span));
                self.push(now + nanos(span), Passing::Probe);
            }
            // How much is unsent is in `to_client_bytes`, and every write is sent at once.
            SocketOption::UnsentBytesMax(_) | SocketOption::NoDelay => {}
        }
        self.set_expiry(state, now);
    }

    pub(super) fn server_registered(self: &Rc<Self>, key: u64) {
        let mut state = self.state.borrow_mut();
        state.server.key = Some(key);
        self.tell_server(&mut state);
    }

    pub(super) fn server_deregistered(&self) {
        self.state.borrow_mut().server.key = None;
    }

    /// The server's end is closed, by the server or by the kernel of a process that is gone.
    pub(super) fn close_server_end(self: &Rc<Self>, is_reset: bool) {
        let now = self.network.now();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if std::mem::replace(&mut state.server.is_closed, true) {
            return;
        }
        state.server.key = None;
        self.network.forget_open(self);
        if state.server.is_broken {
            return;
        }
        if is_reset || state.server.resets_at_close || state.to_server.arrived() > 0 {
            let overtakes = state.random.bool();
            let at = if overtakes { state.arrival(now) } else { state.behind_all_to_client(now) };
            self.push(at, Passing::ClientReset);
        } else if !state.server.is_shut {
            let at = state.arrival(now);
            state.to_client.put_end(at);
            self.schedule_to_client(state);
        }
        state.to_server.lose_all();
    }
}

const EPIPE: i32 = 32;
const ENOTCONN: i32 = 107;
