//! All clients of a load behind one epoll, in one thread.
//!
//! A load says what to send and when it is content; the fleet reads, counts and connects. What must stay true: one
//! [`Fleet::turn`] is bounded work, and whatever is waited for here has an end: after [`STALL`] without progress the
//! run is void.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::client::{Client, Target};
use crate::meter::Meter;
use crate::tally::Fault;
use crate::wire::Template;

/// A server that delivers nothing for this long has lost what was due.
pub const STALL: Duration = Duration::from_secs(15);

/// Large enough that a client's whole share of a flush comes with one read.
const READ_BUFFER_BYTES: usize = 1 << 18;

/// Events taken per turn.
const EVENTS_MAX: usize = 1024;

/// Connections begun per turn: connecting must not keep the load from reading what it measures.
const STARTS_PER_TURN_MAX: usize = 16;

/// Connections that may be half-way at once; below the listen backlog of a careful server, and above a careless one's.
const OPENING_MAX: usize = 256;

/// How the load waits for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Ask again and again. Takes a core, and spares the server the cost of waking this process.
    Spin,
    /// Sleep until something happens.
    Sleep,
}

/// A client that is to connect.
#[derive(Clone, Copy, Debug)]
struct Start {
    place: usize,
    target: usize,
    metered: bool,
}

/// Clients and their common epoll.
pub struct Fleet {
    /// Where clients go; those who come without being told go to the first.
    targets: Vec<Target>,
    waiting: Waiting,
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    to_start: VecDeque<Start>,
    opening: usize,
    meter: Meter,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl Fleet {
    /// A fleet with no client yet.
    pub fn new(target: Target, waiting: Waiting) -> Result<Self> {
        Ok(Self {
            targets: vec![target],
            waiting,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            clients: Vec::new(),
            to_start: VecDeque::new(),
            opening: 0,
            meter: Meter::default(),
            events: Vec::with_capacity(EVENTS_MAX),
            buffer: vec![0; READ_BUFFER_BYTES],
        })
    }

    /// A message of so many bytes, as the clients write it.
    pub fn template(&self, payload_bytes: usize) -> Template {
        Template::new(payload_bytes, self.targets[0].way.content())
    }

    /// Connects `count` more clients and waits until all of them are open.
    pub fn open(&mut self, count: usize, metered: bool) -> Result<Duration> {
        self.invite_to(0, count, metered);
        self.await_open()
    }

    /// The same for clients that go elsewhere than the first.
    pub fn open_at(&mut self, target: Target, count: usize, metered: bool) -> Result<Duration> {
        self.targets.push(target);
        self.invite_to(self.targets.len() - 1, count, metered);
        self.await_open()
    }

    fn invite_to(&mut self, target: usize, count: usize, metered: bool) {
        let first = self.clients.len();
        self.clients.resize_with(first + count, || None);
        self.to_start.extend((first..first + count).map(|place| Start { place, target, metered }));
    }

    /// Lets one more client connect from the next turn on; its place.
    pub fn invite(&mut self, metered: bool) -> usize {
        self.invite_to(0, 1, metered);
        self.clients.len() - 1
    }

    /// Whether the client at this place is connected and upgraded.
    pub fn is_open(&self, i: usize) -> bool {
        self.clients[i].as_ref().is_some_and(Client::is_open)
    }

    /// Waits until every client that was asked for is open; how long that took.
    pub fn await_open(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let mut patience = Patience::new();
        while !self.all_open() {
            self.turn()?;
            let outside = self.to_start.len() + self.opening;
            if patience.is_over(outside) {
                bail!("{outside} clients are not let in, and for {} s nobody was", STALL.as_secs());
            }
        }
        Ok(began.elapsed())
    }

    /// Drops these clients without a word, as phones do, and lets them come back from the next turn on.
    pub fn reconnect(&mut self, clients: Range<usize>) {
        for i in clients {
            if self.clients[i].take().is_some_and(|c| !c.is_open()) {
                self.opening -= 1;
            }
            self.to_start.push_back(Start { place: i, target: 0, metered: false });
        }
    }

    /// Whether every client that was asked for is connected and upgraded.
    pub fn all_open(&self) -> bool {
        self.to_start.is_empty() && self.opening == 0
    }

    /// Waits for events once (not at all while clients are to be started) and handles them.
    pub fn turn(&mut self) -> Result<()> {
        self.start_some()?;
        let patience = match self.waiting {
            Waiting::Sleep if self.to_start.is_empty() || self.opening >= OPENING_MAX => Duration::from_millis(5),
            _ => Duration::ZERO,
        };
        self.wait(patience)
    }

    /// Like [`Fleet::turn`], for loads that have nothing to do before `patience` is over.
    pub fn wait(&mut self, patience: Duration) -> Result<()> {
        let timeout = Timespec::try_from(patience).context("a wait is short")?;
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e).context("waiting for events failed"),
        }
        for event in &self.events {
            let data = event.data;
            let Some(client) = &mut self.clients[data.u64() as usize] else {
                continue;
            };
            let was_open = client.is_open();
            client.ready(&mut self.buffer, &mut self.meter)?;
            if !was_open && client.is_open() {
                self.opening -= 1;
            }
        }
        Ok(())
    }

    fn start_some(&mut self) -> Result<()> {
        for _ in 0..STARTS_PER_TURN_MAX {
            if self.opening >= OPENING_MAX {
                break;
            }
            let Some(Start { place: i, target, metered }) = self.to_start.pop_front() else {
                break;
            };
            let client = Client::start(&self.targets[target], metered)?;
            epoll::add(
                &self.epoll,
                client.socket(),
                EventData::new_u64(i as u64),
                EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET,
            )?;
            self.clients[i] = Some(client);
            self.opening += 1;
        }
        Ok(())
    }

    /// The client at this place.
    pub fn client(&mut self, i: usize) -> Result<&mut Client> {
        self.clients[i].as_mut().with_context(|| format!("client {i} is not connected"))
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many clients count for the figures.
    pub fn metered(&self) -> usize {
        self.clients.iter().flatten().filter(|c| c.is_metered()).count()
    }

    /// Counts and latencies.
    pub fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// Waits until so many are delivered; more of them to metered clients, or a long silence, is a fault.
    pub fn drain(&mut self, expected: Deliveries) -> Result<()> {
        self.await_deliveries(expected)?;
        if self.meter.delivered() > expected.metered {
            bail!("{} deliveries came where {} were sent", self.meter.delivered(), expected.metered);
        }
        Ok(())
    }

    /// Waits until so many are delivered; a long silence is a fault.
    pub fn await_deliveries(&mut self, expected: Deliveries) -> Result<()> {
        let mut patience = Patience::new();
        while self.meter.delivered() < expected.metered || self.meter.checked() < expected.checked {
            self.turn()?;
            let got = self.meter.delivered() + self.meter.checked();
            if patience.is_over(got) {
                bail!(Fault::Missing { expected: expected.metered + expected.checked, got });
            }
        }
        Ok(())
    }

    /// Checks that all metered clients have seen one and the same order.
    pub fn check_one_order(&self) -> Result<()> {
        check_one_order(self.clients.iter().flatten().filter(|c| c.is_metered()))
    }

    /// Checks the same of all clients, for loads to which nobody comes late.
    pub fn check_one_order_of_all(&self) -> Result<()> {
        check_one_order(self.clients.iter().flatten())
    }
}

/// Deliveries that are due, to all clients together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deliveries {
    /// To those who count for the figures.
    pub metered: u64,
    /// To those who are only checked, where they have to be waited for.
    pub checked: u64,
}

impl Deliveries {
    /// So many, to those who count for the figures.
    pub fn metered(metered: u64) -> Self {
        Self { metered, checked: 0 }
    }

    /// Of so many messages, if these are those of one.
    #[must_use]
    pub fn times(self, messages: u64) -> Self {
        Self { metered: self.metered * messages, checked: self.checked * messages }
    }
}

fn check_one_order<'a>(clients: impl Iterator<Item = &'a Client>) -> Result<()> {
    let mut tallies = clients.map(Client::tally);
    if let Some(first) = tallies.next() {
        if tallies.any(|t| t.order() != first.order() || t.messages() != first.messages()) {
            bail!(Fault::OrdersDiffer);
        }
    }
    Ok(())
}

/// Notices when a figure has stopped to change. The clock is looked at only now and then, for spinning loads.
#[derive(Debug)]
pub struct Patience<T> {
    last: Option<T>,
    since: Instant,
    calls: u32,
}

impl<T: PartialEq> Default for Patience<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> Patience<T> {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { last: None, since: Instant::now(), calls: 0 }
    }

    /// Whether `progress` has been the same for [`STALL`].
    pub fn is_over(&mut self, progress: T) -> bool {
        self.calls = self.calls.wrapping_add(1);
        if self.last.as_ref() != Some(&progress) {
            self.last = Some(progress);
            self.since = Instant::now();
        }
        self.calls % 64 == 0 && self.since.elapsed() > STALL
    }
}
