//! What all connections share: the timeline, the listeners and their queues, and the edges that the server has not been told of.
//!
//! Leaves the rules of one connection to `connection`. What must stay true: an edge is there once, however often it has happened, until the
//! server is told; what holds of it is looked at then.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use fastrand::Rng;
use foghorn::config::limits::ACCEPT_QUEUE;
use foghorn::simulation::world::{Event, Readiness};

use crate::memory::Foreign;
use crate::net::connection::{Connection, Passing};
use crate::net::link::Link;
use crate::net::timeline::{Nanos, SECOND, Timeline};
use crate::scenario::mixed;
use crate::turn::Turn;

/// What is going to happen.
#[derive(Debug)]
pub enum Happening {
    /// Something passes a connection.
    Passes(Rc<Connection>, Passing),
    /// An actor wanted to be called.
    Due(usize),
    /// The world does something by itself.
    World(Turn),
}

/// What is wrong with all wires, in a test of the simulator: one segment to a client in so many.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Is left out.
    Drops(u32),
    /// Comes twice.
    Doubles(u32),
    /// Has a bit turned in its last byte.
    Turns(u32),
}

/// Of so many seconds it is known how many connections were open.
const BUSIEST_MAX: usize = 300;

/// How many listeners there are.
pub const LISTENERS: usize = 2;

/// What all connections share.
#[derive(Debug)]
pub struct Network {
    /// What is going to happen.
    pub timeline: RefCell<Timeline<Happening>>,
    /// What others than the server allocate.
    pub foreign: Foreign,
    /// How many of the next accepts fail, for want of a descriptor.
    pub accept_failures: Cell<u32>,
    /// What a test has planted in all wires.
    #[cfg(test)]
    pub plant: Cell<Option<Plant>>,
    listening: [Listening; LISTENERS],
    edges: RefCell<Vec<Edge>>,
    /// Connections whose server's end is open, or waits to be accepted.
    open: RefCell<Vec<Rc<Connection>>>,
    /// Server's ends that were handed out and not dropped.
    pub(super) ends: Cell<usize>,
    /// The most that were open within each of the last seconds in which any came.
    busiest: RefCell<VecDeque<(Nanos, usize)>>,
    next_number: Cell<u64>,
    seed: u64,
}

#[derive(Default)]
struct Listening {
    is_open: Cell<bool>,
    key: Cell<Option<u64>>,
    queue: RefCell<VecDeque<Rc<Connection>>>,
    is_pending: Cell<bool>,
}

#[derive(Debug)]
enum Edge {
    Socket(Rc<Connection>),
    Listener(usize),
}

impl Network {
    /// A network without connections.
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            timeline: RefCell::default(),
            foreign: Foreign::default(),
            accept_failures: Cell::new(0),
            #[cfg(test)]
            plant: Cell::new(None),
            listening: Default::default(),
            edges: RefCell::default(),
            open: RefCell::default(),
            ends: Cell::new(0),
            busiest: RefCell::default(),
            next_number: Cell::new(0),
            seed,
        })
    }

    /// The present moment.
    pub fn now(&self) -> Nanos {
        self.timeline.borrow().now()
    }

    /// Notes that something happens at a moment.
    pub fn push(&self, at: Nanos, what: Happening) {
        self.timeline.borrow_mut().push(at, what);
    }

    /// From now on connections are taken.
    pub fn open_listeners(&self) {
        for listening in &self.listening {
            listening.is_open.set(true);
        }
    }

    /// The server knows a listener by this key.
    pub fn listens(&self, listener: usize, key: u64) {
        let listening = &self.listening[listener];
        listening.key.set(Some(key));
        if !listening.queue.borrow().is_empty() {
            self.tell_listener(listener);
        }
    }

    /// A listener is closed: who waits to be accepted is reset.
    pub fn close_listener(&self, listener: usize) {
        let listening = &self.listening[listener];
        listening.is_open.set(false);
        listening.key.set(None);
        let waiting = listening.queue.take();
        for connection in waiting {
            connection.close_server_end(true);
        }
    }

    /// Somebody connects.
    pub fn connect(self: &Rc<Self>, actor: usize, link: Link, from: IpAddr) -> Rc<Connection> {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let port = 1024 + u16::try_from(number % 60_000).expect("it fits");
        // By actor and moment, not by number: others who are left out change nothing.
        let random = Rng::with_seed(mixed(self.seed ^ (actor as u64) << 32, self.now() ^ (link.listener as u64)));
        let connection = Rc::new(Connection::new(Rc::clone(self), actor, link, SocketAddr::new(from, port), random));
        connection.ask();
        connection
    }

    /// A connection has come to a listener. Returns whether it is taken.
    pub(super) fn take_in(&self, connection: &Rc<Connection>) -> bool {
        let listener = connection.link().listener;
        let listening = &self.listening[listener];
        let queue_max = usize::try_from(ACCEPT_QUEUE).expect("positive");
        if !listening.is_open.get() || listening.queue.borrow().len() >= queue_max {
            return false;
        }
        listening.queue.borrow_mut().push_back(Rc::clone(connection));
        connection.place.set(self.open.borrow().len());
        self.open.borrow_mut().push(Rc::clone(connection));
        self.note_open();
        self.tell_listener(listener);
        true
    }

    fn note_open(&self) {
        let (second, open) = (self.now() / SECOND, self.open.borrow().len());
        let mut busiest = self.busiest.borrow_mut();
        match busiest.back_mut() {
            Some((its, most)) if *its == second => *most = open.max(*most),
            _ => busiest.push_back((second, open)),
        }
        if busiest.len() > BUSIEST_MAX {
            busiest.pop_front();
        }
    }

    /// How many connections may have been open at once since somebody came who has asked at this moment, itself included.
    pub fn most_open_since(&self, asked: Nanos) -> usize {
        let busiest = self.busiest.borrow();
        let is_long_ago = busiest.len() == BUSIEST_MAX && busiest[0].0 > asked / SECOND;
        let since = busiest.iter().rev().take_while(|(second, _)| *second >= asked / SECOND);
        if is_long_ago { usize::MAX } else { since.map(|(_, most)| *most).max().unwrap_or(0) }
    }

    /// The next connection of a listener.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; `EMFILE` if the world wants it.
    pub fn accept(&self, listener: usize) -> io::Result<Rc<Connection>> {
        let mut queue = self.listening[listener].queue.borrow_mut();
        if queue.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let failures = self.accept_failures.get();
        if failures > 0 {
            self.accept_failures.set(failures - 1);
            return Err(io::Error::from_raw_os_error(if failures % 3 == 0 { ECONNABORTED } else { EMFILE }));
        }
        Ok(queue.pop_front().expect("one is there"))
    }

    fn tell_listener(&self, listener: usize) {
        let listening = &self.listening[listener];
        if listening.key.get().is_some() && !listening.is_pending.replace(true) {
            self.edges.borrow_mut().push(Edge::Listener(listener));
        }
    }

    pub(super) fn tell(&self, connection: &Rc<Connection>) {
        self.edges.borrow_mut().push(Edge::Socket(Rc::clone(connection)));
    }

    pub(super) fn forget_open(&self, connection: &Connection) {
        let mut open = self.open.borrow_mut();
        let place = connection.place.get();
        open.swap_remove(place);
        if let Some(moved) = open.get(place) {
            moved.place.set(place);
        }
    }

    /// Whether there is something to tell the server.
    pub fn has_edges(&self) -> bool {
        !self.edges.borrow().is_empty()
    }

    /// Tells what has happened at sockets, in an order of chance.
    pub fn report(&self, random: &mut Rng, events: &mut Vec<Event>) {
        let mut edges = self.edges.borrow_mut();
        if edges.len() > 1 {
            random.shuffle(&mut edges);
        }
        let mut timeline = self.timeline.borrow_mut();
        for edge in edges.drain(..) {
            let event = match edge {
                Edge::Socket(connection) => connection.event(),
                Edge::Listener(listener) => {
                    let listening = &self.listening[listener];
                    listening.is_pending.set(false);
                    let readiness = Readiness { readable: true, ..Readiness::default() };
                    listening.key.get().map(|key| Event { key, readiness })
                }
            };
            if let Some(event) = event {
                timeline.note(
                    event.key << 4 | u64::from(event.readiness.readable) << 1 | u64::from(event.readiness.writable),
                );
                events.push(event);
            }
        }
    }

    /// The server is gone at once: the kernel closes all that it has.
    pub fn kill(&self) {
        for listener in 0..LISTENERS {
            self.close_listener(listener);
        }
        let open = self.open.borrow().clone();
        for connection in open {
            connection.close_server_end(false);
        }
        self.edges.borrow_mut().clear();
        for listening in &self.listening {
            listening.is_pending.set(false);
        }
    }

    /// Connections whose server's end is open.
    pub fn open_connections(&self) -> usize {
        self.open.borrow().len()
    }

    /// One of them.
    pub fn open_connection(&self, nth: usize) -> Rc<Connection> {
        Rc::clone(&self.open.borrow()[nth])
    }

    /// Sockets that the server has.
    pub fn descriptors(&self) -> usize {
        self.ends.get()
    }
}

const ECONNABORTED: i32 = 103;
const EMFILE: i32 = 24;

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("is_open", &self.is_open).field("key", &self.key).finish_non_exhaustive()
    }
}
