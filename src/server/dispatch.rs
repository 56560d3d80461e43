//! The door: every connection until it is known what it wants, and the places that there are.
//!
//! Leaves the WebSocket to `client` and the page to `relay`. What must stay true: a connection that asks for nothing, or
//! slowly, can only take the place of another such one, never that of a client or of a page that is being served.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use log::{debug, info};
use smol::future::FutureExt;
use smol::{LocalExecutor, Task};

use crate::broadcast::broadcaster::Hall;
use crate::config::flags::{FIRST_WORDS_TIMEOUT, HEAD_TIMEOUT, Places};
use crate::http::backend::{self, Relay};
use crate::http::head::{self, BUSY, FULL, HEAD_TOO_SLOW, Refusal, Request, TOO_MANY_FROM_IP, Upgrade, Wants};
use crate::http::host_policy::Access;
use crate::net::lingering_close;
use crate::runtime::reactor::{Async, Timer};
use crate::telemetry::counters::Stats;
use crate::ws::session::{self, Arrival};

/// What the door leads to, and who stands in it.
#[derive(Debug)]
pub struct Door {
    /// Who may come in.
    pub access: Access,
    /// The figures.
    pub stats: Arc<Stats>,
    /// The room behind.
    pub hall: Rc<Hall>,
    /// The page behind.
    pub relay: Relay,
    /// How many there may be of whom.
    pub places: Places,
    /// Runs the connections.
    pub executor: Rc<LocalExecutor<'static>>,
    /// Who stands in it.
    pub guests: Guests,
}

/// Everybody's places.
#[derive(Default)]
pub struct Guests {
    /// Connections that are not WebSockets, in the order in which they have to go for others: first by what they are at, then
    /// by age. Dropping one's task drops its connection.
    strangers: RefCell<BTreeMap<(Phase, u64), Task<()>>>,
    next_ticket: Cell<u64>,
    /// When the last stranger came in.
    last_came: Cell<Option<Instant>>,
    /// Strangers who are not idle.
    in_turn: Cell<usize>,
    clients: Cell<usize>,
    clients_from: RefCell<HashMap<IpAddr, usize>>,
    waits_for_empty: Cell<Option<Waker>>,
}

/// What a stranger is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// It has asked for nothing, or not to the end.
    Idle,
    /// It is slow to take its answer.
    Reading,
    /// Its request is in work.
    Served,
}

impl Door {
    /// Takes a new connection in. If there are too many strangers, one has to go: the oldest that is idle, if any is.
    pub fn take(self: &Rc<Self>, socket: Async<TcpStream>, peer: SocketAddr) {
        // A socket that refuses this works all the same, only slower.
        let _ = socket.get_ref().set_nodelay(true);
        let ticket = self.guests.next_ticket.get();
        self.guests.next_ticket.set(ticket + 1);
        self.guests.last_came.set(Some(Instant::now()));
        let task = self.executor.spawn(Rc::clone(self).meet(ticket, socket, peer));
        let mut strangers = self.guests.strangers.borrow_mut();
        strangers.insert((Phase::Idle, ticket), task);
        if strangers.len() > self.places.strangers {
            strangers.pop_first();
            self.stats.strangers_dropped.add(1);
        }
    }

    /// Waits until those who have just come in had the time to say what they want, which is on its way: they are not idle.
    pub async fn hear_newcomers(&self) {
        let has_strangers = !self.guests.strangers.borrow().is_empty();
        if let Some(came) = self.guests.last_came.get().filter(|_| has_strangers) {
            Timer::at(came + FIRST_WORDS_TIMEOUT).await;
        }
    }

    /// Ready when all clients have gone and no request is in work.
    pub fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if self.guests.clients.get() == 0 && self.guests.in_turn.get() == 0 {
            return Poll::Ready(());
        }
        self.guests.waits_for_empty.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    async fn meet(self: Rc<Self>, ticket: u64, socket: Async<TcpStream>, peer: SocketAddr) {
        // A box, since the task of a client lives long and needs none of this.
        let wish = Box::pin(self.hear(ticket, &socket, peer)).await;
        if let Some((upgrade, read_ahead, place)) = wish {
            let arrival = Arrival { socket, peer, upgrade, read_ahead, place };
            let client = session::serve(Rc::clone(&self.hall), arrival);
            self.executor.spawn(client).detach();
        }
        if let Some(own) = self.guests.strangers.borrow_mut().remove(&(Phase::Idle, ticket)) {
            own.detach();
        }
    }

    /// Answers requests until the connection has ended or becomes a WebSocket's.
    async fn hear(
        self: &Rc<Self>,
        ticket: u64,
        socket: &Async<TcpStream>,
        peer: SocketAddr,
    ) -> Option<(Upgrade, Vec<u8>, Place)> {
        let mut buffer = Vec::new();
        loop {
            let too_slow = async {
                Timer::after(HEAD_TIMEOUT).await;
                Err(HEAD_TOO_SLOW)
            };
            let read = head::read_head(socket, &mut buffer).or(too_slow).await;
            // A refused HEAD has to be told apart even if the rest of its head makes no sense (RFC 9110 section 9.3.2).
            let head_only = buffer.starts_with(b"HEAD ");
            let request = match read {
                Ok(Some(head_bytes)) => {
                    let request = head::parse(&buffer[..head_bytes], &self.access);
                    buffer.drain(..head_bytes);
                    request
                }
                // A browser that keeps a connection open for later is told nothing when that is too long.
                Ok(None) => return None,
                Err(_) if buffer.is_empty() => return None,
                Err(refusal) => Err(refusal),
            };
            let answered = match request {
                Ok(Request { wants: Wants::WebSocket(upgrade), .. }) => match self.place_for(peer.ip()) {
                    Ok(place) => return Some((upgrade, buffer.as_slice().to_vec(), place)),
                    Err(refusal) => Err(refusal),
                },
                Ok(request) => self.serve_page(ticket, socket, &request).await,
                Err(refusal) => Err(refusal),
            };
            match answered {
                Ok(true) => {}
                Ok(false) => {
                    lingering_close::end(socket).await;
                    return None;
                }
                Err(refusal) => {
                    self.refuse(socket, peer, refusal, head_only).await;
                    return None;
                }
            }
        }
    }

    /// Has a page served. Returns whether the connection goes on.
    async fn serve_page(&self, ticket: u64, socket: &Async<TcpStream>, request: &Request) -> Result<bool, Refusal> {
        let Wants::Page { head_only, target, if_none_match } = &request.wants else { return Ok(false) };
        // Beyond that nobody waits: connections that wait cannot go for others, and newcomers need places that turn over.
        if self.guests.in_turn.get() >= self.places.strangers.div_ceil(2) {
            return Err(BUSY);
        }
        let turn = Turn::new(self, ticket);
        let local = socket.get_ref().local_addr().ok();
        let Request { host, keep_alive, .. } = request;
        let answer = self.relay.answer(*head_only, target, host, if_none_match.as_deref(), local, *keep_alive).await?;
        self.stats.http_requests.add(1);
        self.count_refusal(answer.status);
        turn.go_to(Phase::Reading);
        Ok(self.relay.send(socket, answer, *head_only).await.is_ok() && *keep_alive)
    }

    async fn refuse(&self, socket: &Async<TcpStream>, peer: SocketAddr, refusal: Refusal, head_only: bool) {
        let Refusal { status, sentence, header } = refusal;
        info!("{peer} refused with {status}: {sentence}");
        self.count_refusal(status);
        let reason = tiny_http::StatusCode(status).default_reason_phrase();
        let answer = format!(
            "HTTP/1.1 {status} {reason}\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
             {}",
            sentence.len() + 1,
            if head_only { String::new() } else { format!("{sentence}\n") },
        );
        if let Err(error) = backend::write_all(socket, answer.as_bytes()).await {
            debug!("{peer} did not take its answer: {error}");
        }
        lingering_close::end(socket).await;
    }

    fn count_refusal(&self, status: u16) {
        if let Some(count) = self.stats.refused(status) {
            count.add(1);
        }
    }

    fn place_for(self: &Rc<Self>, ip: IpAddr) -> Result<Place, Refusal> {
        let guests = &self.guests;
        if guests.clients.get() >= self.places.clients {
            return Err(FULL);
        }
        let mut clients_from = guests.clients_from.borrow_mut();
        let from_here = clients_from.entry(ip).or_default();
        let is_one_too_many = self.hall.config().limits.clients_per_ip_max.is_some_and(|max| *from_here >= max);
        if is_one_too_many && !ip.is_loopback() {
            return Err(TOO_MANY_FROM_IP);
        }
        *from_here += 1;
        guests.clients.set(guests.clients.get() + 1);
        Ok(Place { door: Rc::clone(self), ip })
    }
}

impl Guests {
    fn wake_if_waited_for(&self) {
        if let Some(waker) = self.waits_for_empty.take() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Guests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guests").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// A client's place, until its connection is gone.
#[derive(Debug)]
struct Place {
    door: Rc<Door>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let guests = &self.door.guests;
        guests.clients.set(guests.clients.get() - 1);
        let mut clients_from = guests.clients_from.borrow_mut();
        if let Some(count) = clients_from.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                clients_from.remove(&self.ip);
            }
        }
        guests.wake_if_waited_for();
    }
}

/// A stranger's request, from when it is in work until its answer is out.
struct Turn<'a> {
    door: &'a Door,
    ticket: u64,
    phase: Cell<Phase>,
}

impl<'a> Turn<'a> {
    fn new(door: &'a Door, ticket: u64) -> Self {
        let turn = Self { door, ticket, phase: Cell::new(Phase::Idle) };
        door.guests.in_turn.set(door.guests.in_turn.get() + 1);
        turn.go_to(Phase::Served);
        turn
    }

    /// Notes what the stranger is at now. If there are too many slow readers, the oldest has to go.
    fn go_to(&self, phase: Phase) {
        let mut strangers = self.door.guests.strangers.borrow_mut();
        let before = self.phase.replace(phase);
        // Not there: it has to go already.
        let Some(task) = strangers.remove(&(before, self.ticket)) else { return };
        strangers.insert((phase, self.ticket), task);
        let is_reading = |key: &&(Phase, u64)| key.0 == Phase::Reading;
        if phase == Phase::Reading && strangers.keys().filter(is_reading).count() > self.door.places.slow_readers {
            let oldest = strangers.keys().find(is_reading).copied();
            // Never this one, whose ticket is younger, or whose task is at work right now.
            if let Some(oldest) = oldest.filter(|(_, ticket)| *ticket != self.ticket) {
                strangers.remove(&oldest);
                self.door.stats.strangers_dropped.add(1);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.go_to(Phase::Idle);
        self.door.guests.in_turn.set(self.door.guests.in_turn.get() - 1);
        self.door.guests.wake_if_waited_for();
    }
}
