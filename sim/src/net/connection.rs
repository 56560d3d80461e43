//! One connection: the rules of TCP between both its ends.
//!
//! Leaves the ends' faces to `wire` and `server_end`, and what has happened to `network`. What must stay true (`tcp(7)`, `epoll(7)`): what has
//! arrived is read before an error or an end is; an error is told once; an end comes behind all bytes; a write that was short is followed by
//! an edge; what is vanished stays vanished.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use fastrand::Rng;
use foghorn::simulation::socket::SocketOption;
use foghorn::simulation::world::{Event, Readiness};

use crate::net::link::Link;
use crate::net::network::{Happening, Network};
use crate::net::pipe::Pipe;
use crate::net::timeline::Nanos;
use crate::net::wire::WireState;

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
const RETRIES_LAST: Nanos = 924 * SECOND;
/// How long the kernel knows a connection that its process has closed (`tcp_fin_timeout`).
const ORPHANS_LAST: Nanos = 60 * SECOND;
/// A second.
pub const SECOND: Nanos = 1_000_000_000;

/// A connection.
pub struct Connection {
    pub(super) network: Rc<Network>,
    /// Whose it is.
    pub actor: usize,
    /// The client's address.
    pub peer: SocketAddr,
    /// Its place among those that are open.
    pub(super) place: Cell<usize>,
    link: Link,
    state: RefCell<State>,
}

struct State {
    random: Rng,
    latency: [Nanos; 2],
    phase: Phase,
    to_server: Pipe,
    to_client: Pipe,
    /// What the server's window has no room for.
    waiting: VecDeque<u8>,
    client: ClientEnd,
    server: ServerEnd,
    is_vanished: bool,
    is_disturbed: bool,
    stalled_until: Nanos,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    Refused,
}

#[derive(Default)]
struct ClientEnd {
    wants_end: bool,
    closed_at: Option<Nanos>,
    is_reset: bool,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are as independent as the flags of a socket")]
struct ServerEnd {
    key: Option<u64>,
    /// The edge waits to be told.
    is_pending: bool,
    is_closed: bool,
    is_shut: bool,
    /// What is told once.
    error: Option<i32>,
    is_broken: bool,
    wants_room: bool,
    resets_at_close: bool,
    user_timeout: Option<Nanos>,
    keepalive: Option<Nanos>,
    expiry_is_set: bool,
}

impl Connection {
    pub(super) fn new(network: Rc<Network>, actor: usize, link: Link, peer: SocketAddr, random: Rng) -> Self {
        let nanos = |span: std::time::Duration| u64::try_from(span.as_nanos()).expect("a short time");
        let latency = [nanos(link.latency.start), nanos(link.latency.end).max(nanos(link.latency.start) + 1)];
        let state = RefCell::new(State {
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
        });
        Self { network, actor, peer, place: Cell::new(0), link, state }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    fn push(self: &Rc<Self>, at: Nanos, passing: Passing) {
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
                self.tell_server(state);
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

    fn arrive_at_server(self: &Rc<Self>, state: &mut State, now: Nanos) {
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

    fn arrive_at_client(self: &Rc<Self>, state: &mut State, now: Nanos) -> bool {
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

    fn probe(self: &Rc<Self>, state: &mut State, now: Nanos) {
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
    fn fail(self: &Rc<Self>, state: &mut State, error: i32) {
        if state.server.is_closed || state.server.is_broken {
            return;
        }
        state.server.error = Some(error);
        state.server.is_broken = true;
        state.to_server.lose_flight();
        state.to_client.lose_all();
        self.tell_server(state);
    }

    fn tell_server(self: &Rc<Self>, state: &mut State) {
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

    fn schedule_to_server(self: &Rc<Self>, state: &mut State) {
        if let Some(at) = state.to_server.next_at().filter(|_| !state.to_server.is_scheduled) {
            state.to_server.is_scheduled = true;
            self.push(at, Passing::ToServer);
        }
    }

    fn schedule_to_client(self: &Rc<Self>, state: &mut State) {
        if let Some(at) = state.to_client.next_at().filter(|_| !state.to_client.is_scheduled) {
            state.to_client.is_scheduled = true;
            self.push(at, Passing::ToClient);
        }
    }

    /// Puts under way what waits at the client, as much as the server's window has room for.
    fn pump(self: &Rc<Self>, state: &mut State, now: Nanos, ways: u32) {
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

    fn set_expiry(self: &Rc<Self>, state: &mut State, now: Nanos) {
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

/// The client's end.
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

/// The server's end.
impl Connection {
    pub(super) fn server_receive(self: &Rc<Self>, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.to_server.arrived() > 0 {
            let len = state.to_server.take(into);
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
            self.set_expiry(state, now)
        } else {
            self.schedule_to_client(state)
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

impl State {
    /// When something that is sent now arrives.
    fn arrival(&mut self, now: Nanos) -> Nanos {
        now + self.random.u64(self.latency[0]..self.latency[1])
    }

    /// Something that stands on the timeline comes to nothing.
    fn unschedule(&mut self, passing: Passing) {
        match passing {
            Passing::ToServer => self.to_server.is_scheduled = false,
            Passing::ToClient => self.to_client.is_scheduled = false,
            _ => {}
        }
    }

    fn behind_all_to_server(&mut self, now: Nanos) -> Nanos {
        let at = self.arrival(now);
        self.to_server.last_at().max(at)
    }

    fn behind_all_to_client(&mut self, now: Nanos) -> Nanos {
        let at = self.arrival(now);
        self.to_client.last_at().max(at)
    }

    /// Whether the kernel would say that the socket can be written to: a third is free.
    fn has_good_room(&self, link: &Link) -> bool {
        link.to_client_bytes.saturating_sub(self.to_client.len()) * 3 >= link.to_client_bytes
    }

    fn client_is_reset(&mut self) -> bool {
        if self.client.is_reset || self.client.closed_at.is_some() {
            return false;
        }
        self.client.is_reset = true;
        self.waiting = VecDeque::new();
        self.to_server.lose_flight();
        // Some kernels forget what was not read, others keep it.
        if self.random.bool() {
            self.to_client.lose_all()
        } else {
            self.to_client.lose_flight()
        }
        true
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("actor", &self.actor).field("peer", &self.peer).finish_non_exhaustive()
    }
}

const EPIPE: i32 = 32;
const ECONNRESET: i32 = 104;
const ENOTCONN: i32 = 107;
const ETIMEDOUT: i32 = 110;
