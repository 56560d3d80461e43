//! Who takes part: what an actor is called for, and what it can do.
//!
//! Leaves what actors do to `clients`. What must stay true: an actor's chance is its own, so that leaving another out changes nothing of it.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;

use crate::book::{Book, CHANNELS};
use crate::net::link::Link;
use crate::net::network::{Happening, Network};
use crate::net::timeline::Nanos;
use crate::net::wire::Wire;

/// Somebody who takes part.
pub trait Actor {
    /// Called at the start, when it is due (`wake_at`), when a wire of it has news (bytes, an end, a reset, refused, or room again for bytes
    /// that waited), when the server has ended or begun, and when everybody is to leave. Never called within itself.
    fn step(&mut self, cx: &mut Context<'_>);

    /// For people: what it is.
    fn name(&self) -> String;
}

/// What an actor has in a step.
pub struct Context<'a> {
    /// Simulated time since the start of the scenario (monotonic: it stands still while the machine is suspended).
    pub now: Duration,
    /// The actor's id: its index in the crowd.
    pub id: usize,
    /// Its own chance.
    pub random: &'a mut Rng,
    /// What the world knows.
    pub book: &'a mut Book,
    pub(crate) network: &'a Rc<Network>,
    pub(crate) due: &'a mut Nanos,
    pub(crate) server_is_up: bool,
    pub(crate) is_leaving: bool,
}

impl Context<'_> {
    /// Connects from the actor's own address.
    pub fn connect(&mut self, link: Link) -> Wire {
        let from = self.address();
        self.connect_from(link, from)
    }

    /// Connects from another address, as of one machine with several actors, or of loopback.
    pub fn connect_from(&mut self, link: Link, from: IpAddr) -> Wire {
        Wire::new(self.network.connect(self.id, link, from))
    }

    /// The actor's own address: each has one in 10.0.0.0/8.
    pub fn address(&self) -> IpAddr {
        let [_, _, high, low] = u32::try_from(self.id + 1).expect("few actors").to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    /// Has the actor stepped at the first of these moments that is to come, if there is one.
    pub fn wake_at_first(&mut self, moments: Vec<Duration>) {
        let now = self.now;
        if let Some(at) = moments.into_iter().filter(|at| *at > now).min() {
            self.wake_at(at);
        }
    }

    /// Has it called at this moment. The earliest of all that were asked for holds, and is forgotten when it has come.
    pub fn wake_at(&mut self, at: Duration) {
        let at = Nanos::try_from(at.as_nanos()).unwrap_or(Nanos::MAX).max(self.network.now());
        if at < *self.due {
            *self.due = at;
            self.network.push(at, Happening::Due(self.id));
        }
    }

    /// Whether there may have been no place, since somebody has asked at this moment, for one more client of a channel, so many connections
    /// of its address being there with it.
    pub fn may_be_full(&self, channel: usize, asked: Duration, from_address: usize) -> bool {
        let limits = &self.book.limits;
        let asked = Nanos::try_from(asked.as_nanos()).unwrap_or(Nanos::MAX);
        self.network.most_open_since(asked) > limits.clients_max
            || limits.clients_per_ip_max.is_some_and(|max| from_address > max)
            || channel > 0 && limits.channels_max < CHANNELS.len() - 1
    }

    /// Whether there is a server.
    pub fn server_is_up(&self) -> bool {
        self.server_is_up
    }

    /// Whether everybody is to leave: nothing more is sent, what is under way is awaited, then the wires are closed. Faults are over. Whoever
    /// is still there after a while is broken off.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Says that something was seen that cannot be: first what kind, then a colon and the rest.
    pub fn contradiction(&mut self, what: String) {
        self.book.contradiction(what);
    }
}
