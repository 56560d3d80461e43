//! Who is there, and what the world knows.
//!
//! Leaves what actors do to `clients`. What must stay true: one actor acts at a time, and never while the server does.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;

use crate::actor::{Actor, Context};
use crate::book::Book;
use crate::clients;
use crate::clients::auditor::Auditor;
use crate::net::network::Network;
use crate::net::timeline::Nanos;
use crate::scenario::Scenario;

/// Who is there, and what the world knows.
pub struct Stage {
    /// What the world knows.
    pub book: Book,
    /// Whether there is a server.
    pub server_is_up: bool,
    /// Whether everybody is to leave.
    pub is_leaving: bool,
    parts: Vec<Part>,
    network: Rc<Network>,
}

struct Part {
    id: usize,
    actor: Box<dyn Actor>,
    random: Rng,
    due: Nanos,
    is_absent: bool,
}

impl Stage {
    /// The actors of a scenario, but for those that are left out.
    pub fn new(scenario: &Scenario, only: Option<&[usize]>, network: &Rc<Network>) -> Self {
        let is_there = |id: &usize| only.is_none_or(|only| only.contains(id));
        let parts = (0..scenario.crowd.len()).map(|id| {
            let mut random = scenario.chance_of_actor(id);
            let actor: Box<dyn Actor> =
                if is_there(&id) { clients::actor(scenario, id, &mut random) } else { Box::new(Absent) };
            Part { id, actor, random, due: Nanos::MAX, is_absent: !is_there(&id) }
        });
        let mut parts: Vec<Part> = parts.collect();
        let id = parts.len();
        let actor = Box::new(Auditor::new(scenario));
        parts.push(Part { id, actor, random: scenario.chance_of_actor(id), due: Nanos::MAX, is_absent: true });
        Self::with(Book::new(scenario), parts, network)
    }

    /// These actors.
    pub fn of(scenario: &Scenario, actors: Vec<Box<dyn Actor>>, network: &Rc<Network>) -> Self {
        let parts = actors.into_iter().enumerate().map(|(id, actor)| Part {
            id,
            actor,
            random: scenario.chance_of_actor(id),
            due: Nanos::MAX,
            is_absent: false,
        });
        Self::with(Book::new(scenario), parts.collect(), network)
    }

    fn with(book: Book, parts: Vec<Part>, network: &Rc<Network>) -> Self {
        Self { book, server_is_up: false, is_leaving: false, parts, network: Rc::clone(network) }
    }

    /// An actor acts.
    pub fn step(&mut self, id: usize) {
        self.book.now = Duration::from_nanos(self.network.now());
        let Part { id, actor, random, due, .. } = &mut self.parts[id];
        let mut cx = Context {
            now: self.book.now,
            id: *id,
            random,
            book: &mut self.book,
            network: &self.network,
            due,
            server_is_up: self.server_is_up,
            is_leaving: self.is_leaving,
        };
        actor.step(&mut cx);
    }

    /// An actor acts that wanted to be called now, if it still does.
    pub fn step_if_due(&mut self, id: usize) {
        if self.parts[id].due == self.network.now() {
            self.parts[id].due = Nanos::MAX;
            self.step(id);
        }
    }

    /// All have left, and the server has come to rest: who looks at its figures does.
    pub fn audit(&mut self) {
        self.book.at_rest();
        self.step_all();
    }

    /// All act, one after the other.
    pub fn step_all(&mut self) {
        for id in 0..self.parts.len() {
            self.step(id);
        }
    }

    /// Who is there, for people.
    pub fn names(&self) -> Vec<String> {
        let there = self.parts.iter().filter(|part| !part.is_absent);
        there.map(|part| format!("{}: {}", part.id, part.actor.name())).collect()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("actors", &self.parts.len()).finish_non_exhaustive()
    }
}

/// Somebody who was left out.
struct Absent;

impl Actor for Absent {
    fn step(&mut self, _cx: &mut Context<'_>) {}

    fn name(&self) -> String {
        "absent".into()
    }
}
