//! Limits on connections: who gets a permit, and which connection is dropped for a newer one.
//!
//! Leaves what a connection wants to `dispatch`. What must stay true: a pending connection can displace only another pending one,
//! never a client or a request in flight; dropping a permit gives it back.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_executor::Task;
use smol::future::poll_fn;

use crate::config::fd_budget::FdBudget;
use crate::config::limits::{FIRST_REQUEST_TIMEOUT, LARGE_HEADS_MAX};
use crate::http::refusal::{BUSY, FULL, Refusal, TOO_MANY_FROM_IP};
use crate::runtime::clock;
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// Admits connections up to their limits.
pub struct Admission {
    budget: FdBudget,
    clients_per_ip_max: Option<usize>,
    counters: Arc<Counters>,
    /// Pending connections (not WebSockets), in the order in which they are dropped: by state, then by age. Dropping the task
    /// closes the connection.
    pending: RefCell<BTreeMap<(ConnectionState, u64), Task<()>>>,
    next_pending_id: Cell<u64>,
    /// Pending connections that have permits for large heads, by age.
    large_heads: RefCell<BTreeSet<u64>>,
    /// When the newest connection came.
    last_arrival: Cell<Option<Instant>>,
    /// Pending connections that are not idle.
    in_flight: Cell<usize>,
    clients: Cell<usize>,
    clients_from: RefCell<HashMap<IpAddr, usize>>,
    empty_waker: Cell<Option<Waker>>,
    /// Successors that wait for their places.
    place_wakers: RefCell<Vec<Waker>>,
}

/// What a pending connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionState {
    /// No request of it is being answered: none is complete yet, or it was refused.
    Idle,
    /// Its response is being sent.
    SendingResponse,
    /// Its request is being answered.
    InFlight,
}

impl Admission {
    /// With no connections yet.
    pub fn new(budget: FdBudget, clients_per_ip_max: Option<usize>, counters: Arc<Counters>) -> Self {
        Self {
            budget,
            clients_per_ip_max,
            counters,
            pending: RefCell::default(),
            next_pending_id: Cell::new(0),
            large_heads: RefCell::default(),
            last_arrival: Cell::new(None),
            in_flight: Cell::new(0),
            clients: Cell::new(0),
            clients_from: RefCell::default(),
            empty_waker: Cell::new(None),
            place_wakers: RefCell::default(),
        }
    }

    /// Adds a pending connection; `spawn` gets its id and starts its task. If there are too many, the first in drop order is
    /// dropped: the oldest idle one, which is the new one if no other is idle.
    pub fn add_pending(&self, spawn: impl FnOnce(u64) -> Task<()>) {
        let id = self.next_pending_id.get();
        self.next_pending_id.set(id + 1);
        self.last_arrival.set(Some(clock::now()));
        let mut pending = self.pending.borrow_mut();
        pending.insert((ConnectionState::Idle, id), spawn(id));
        if pending.len() > self.budget.pending {
            pending.pop_first();
            self.counters.pending_dropped.add(1);
        }
    }

    /// Notes that a connection is pending no longer: it has ended, or has become a WebSocket's.
    pub fn remove_pending(&self, id: u64) {
        if let Some(own) = self.pending.borrow_mut().remove(&(ConnectionState::Idle, id)) {
            own.detach();
        }
    }

    /// Waits until the newest connection has had [`FIRST_REQUEST_TIMEOUT`] to send its request. Until then it counts as idle,
    /// although its request may be on its way.
    pub async fn wait_for_first_requests(&self) {
        let has_pending = !self.pending.borrow().is_empty();
        if let Some(came) = self.last_arrival.get().filter(|_| has_pending) {
            Timer::at(came + FIRST_REQUEST_TIMEOUT).await;
        }
    }

    /// Ready when all clients have gone and no request is in flight.
    pub fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if self.clients.get() == 0 && self.in_flight.get() == 0 {
            return Poll::Ready(());
        }
        self.empty_waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// A permit for a request of this connection, until its response is sent.
    ///
    /// # Errors
    /// If busy connections already take half of the limit for pending ones. Busy connections are not dropped for new ones, so the
    /// other half has to stay free.
    pub fn begin_request(&self, id: u64) -> Result<RequestPermit<'_>, Refusal> {
        if self.in_flight.get() >= self.budget.pending.div_ceil(2) {
            return Err(BUSY);
        }
        let permit = RequestPermit { admission: self, id, state: Cell::new(ConnectionState::Idle) };
        self.in_flight.set(self.in_flight.get() + 1);
        permit.set_state(ConnectionState::InFlight);
        Ok(permit)
    }

    /// A permit for a large head of this connection, for as long as something large is left of it. If there are too many, the oldest
    /// connection with one that is not complete is dropped.
    ///
    /// # Errors
    /// If all of them wait for their answers.
    pub fn admit_large_head(&self, id: u64) -> Result<LargeHeadPermit<'_>, Refusal> {
        let mut large_heads = self.large_heads.borrow_mut();
        if large_heads.len() >= LARGE_HEADS_MAX {
            let mut pending = self.pending.borrow_mut();
            let mut idle = large_heads.iter().map(|its| (ConnectionState::Idle, *its));
            let oldest = idle.find(|key| pending.contains_key(key)).ok_or(BUSY)?;
            large_heads.remove(&oldest.1);
            pending.remove(&oldest);
            self.counters.pending_dropped.add(1);
        }
        large_heads.insert(id);
        Ok(LargeHeadPermit { admission: self, id })
    }

    /// A permit for a WebSocket from this address.
    ///
    /// # Errors
    /// If all permits are taken, or too many by this address.
    pub fn admit_client(self: &Rc<Self>, ip: IpAddr) -> Result<ClientPermit, Refusal> {
        if self.clients.get() >= self.budget.clients {
            return Err(FULL);
        }
        if self.is_over_ip_max(ip, self.clients_from(ip) + 1) {
            return Err(TOO_MANY_FROM_IP);
        }
        Ok(self.permit(ip))
    }

    /// A permit for a WebSocket that takes the place of a client from `its_ip`. It counts at once, though there may be one too many,
    /// so that no newcomer takes the place; it is of use when [there is a place](ClientPermit::wait_for_place).
    ///
    /// # Errors
    /// If the place is no help, because too many have come from this address and that client has not.
    pub fn admit_successor(self: &Rc<Self>, ip: IpAddr, its_ip: IpAddr) -> Result<ClientPermit, Refusal> {
        if ip != its_ip && self.is_over_ip_max(ip, self.clients_from(ip) + 1) {
            return Err(TOO_MANY_FROM_IP);
        }
        Ok(self.permit(ip))
    }

    fn permit(self: &Rc<Self>, ip: IpAddr) -> ClientPermit {
        *self.clients_from.borrow_mut().entry(ip).or_default() += 1;
        self.clients.set(self.clients.get() + 1);
        ClientPermit { admission: Rc::clone(self), ip }
    }

    fn clients_from(&self, ip: IpAddr) -> usize {
        self.clients_from.borrow().get(&ip).copied().unwrap_or(0)
    }

    fn is_over_ip_max(&self, ip: IpAddr, clients: usize) -> bool {
        self.clients_per_ip_max.is_some_and(|max| clients > max) && !ip.is_loopback()
    }

    fn wake_if_waited_for(&self) {
        for waker in self.empty_waker.take().into_iter().chain(self.place_wakers.take()) {
            waker.wake();
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// The permit of a client, held until its connection is closed.
#[derive(Debug)]
pub struct ClientPermit {
    admission: Rc<Admission>,
    ip: IpAddr,
}

impl ClientPermit {
    /// Waits until all who have permits are within the limits.
    pub async fn wait_for_place(&self) {
        let Self { admission, ip } = self;
        poll_fn(|cx| {
            let is_over = admission.clients.get() > admission.budget.clients
                || admission.is_over_ip_max(*ip, admission.clients_from(*ip));
            if !is_over {
                return Poll::Ready(());
            }
            admission.place_wakers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let admission = &self.admission;
        admission.clients.set(admission.clients.get() - 1);
        let mut clients_from = admission.clients_from.borrow_mut();
        if let Some(count) = clients_from.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                clients_from.remove(&self.ip);
            }
        }
        admission.wake_if_waited_for();
    }
}

/// The permit of a large head.
#[derive(Debug)]
pub struct LargeHeadPermit<'a> {
    admission: &'a Admission,
    id: u64,
}

impl Drop for LargeHeadPermit<'_> {
    fn drop(&mut self) {
        self.admission.large_heads.borrow_mut().remove(&self.id);
    }
}

/// The permit of a request, held until its response is sent.
#[derive(Debug)]
pub struct RequestPermit<'a> {
    admission: &'a Admission,
    id: u64,
    state: Cell<ConnectionState>,
}

impl RequestPermit<'_> {
    /// Notes that the response is ready and now depends on the client's reading. If too many connections are in this state, the
    /// oldest other one is dropped.
    pub fn response_is_ready(&self) {
        if !self.set_state(ConnectionState::SendingResponse) {
            return;
        }
        let mut pending = self.admission.pending.borrow_mut();
        let is_sending = |key: &&(ConnectionState, u64)| key.0 == ConnectionState::SendingResponse;
        if pending.keys().filter(is_sending).count() > self.admission.budget.slow_readers {
            // Never this one, although it may be the oldest: its task is running right now.
            let oldest = pending.keys().find(|key| is_sending(key) && key.1 != self.id).copied();
            if let Some(oldest) = oldest {
                pending.remove(&oldest);
                self.admission.counters.pending_dropped.add(1);
            }
        }
    }

    /// Returns whether the connection is still pending: it may be dropped already.
    fn set_state(&self, state: ConnectionState) -> bool {
        let mut pending = self.admission.pending.borrow_mut();
        let before = self.state.replace(state);
        let Some(task) = pending.remove(&(before, self.id)) else { return false };
        pending.insert((state, self.id), task);
        true
    }
}

impl Drop for RequestPermit<'_> {
    fn drop(&mut self) {
        self.set_state(ConnectionState::Idle);
        self.admission.in_flight.set(self.admission.in_flight.get() - 1);
        self.admission.wake_if_waited_for();
    }
}

#[cfg(test)]
mod tests;
