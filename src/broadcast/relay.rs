//! The way to the log that all boards share, and what is known of the connection to it.
//!
//! Leaves talking to Redis to `engine`, and what is asked when to `relaying`. What must stay true: whoever runs the server is told what it waits
//! for, once for each reason.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use log::{info, warn};
use serde_json::{Value, json};
use smol::channel::{self, Receiver, Sender};

use crate::broadcast::connection_id::ConnectionId;
use crate::broadcast::live_channel::LiveChannel;
use crate::broadcast::relayed::Relayed;
use crate::config::limits::REDIS_AGAIN_AFTER;
use crate::engine::entry::EntryId;
use crate::engine::link::Link;
use crate::engine::order::{Answer, Order, ReadOrder, Ticket, Trouble};
use crate::hub::channel_name::ChannelName;
use crate::hub::position::Position;
use crate::runtime::clock::{self, boot_secs};

/// Whether the log of all boards can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It cannot, or could not yet.
    Away,
    /// There is a connection, and it is being found out where all channels are: so many are left.
    Looking(usize),
    /// It is known where they are, and the reader is to begin.
    Reading,
    /// It can.
    Here,
}

/// The way to the log of all boards. See the head of this file.
pub struct Relay {
    pub(super) link: Link,
    server: String,
    /// By which the messages of this board are known.
    pub(super) board: u64,
    pub(super) reach: Cell<Reach>,
    /// Since when it is so.
    since: Cell<Instant>,
    /// Why it cannot be reached, or does not take what it is given, for people.
    problem: RefCell<Option<String>>,
    /// The same of the reader. Each may be refused for a reason of its own, again and again.
    reader_problem: RefCell<Option<String>>,
    /// How often there was a connection.
    connections: Cell<u64>,
    /// By which answers of the reader are known to be no old ones.
    pub(super) reading: Cell<u64>,
    /// Which time it is that all channels are looked at before they are read.
    pub(super) round: Cell<u64>,
    /// When the reader has begun.
    pub(super) read_at: Cell<Instant>,
    /// When it has to begin anew.
    pub(super) read_again_at: Cell<Option<Instant>>,
    contexts: RefCell<HashMap<Ticket, Context>>,
    /// What the clock of Redis is ahead of that of the boot, in seconds.
    clock_ahead_secs: Cell<i64>,
}

/// What an order is about.
#[derive(Debug)]
pub(super) enum Context {
    /// Where a channel is. With a number it is one of the looks of this round, for all of which reading waits.
    Look(Rc<LiveChannel>, Option<u64>),
    /// Messages of a channel.
    Parcel(Rc<LiveChannel>, Parcel),
    /// Somebody waits for the answer.
    Ask(Sender<Result<Answer, Trouble>>),
    /// Nobody does.
    Nobody,
}

/// What was handed over.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) first_counter: u64,
    /// The epoch for which it was.
    pub(super) epoch: u64,
    /// The connections from which these messages are, if that is known.
    pub(super) connections: Vec<Option<u64>>,
}

/// The answer that somebody waits for.
pub(super) type Awaited = Receiver<Result<Answer, Trouble>>;

impl Relay {
    /// By this way, to the server of this name, as the board with this number.
    pub fn new(link: Link, server: String, board: u64) -> Self {
        Self {
            link,
            server,
            board,
            // Until it is known to be away: who comes in the first moment waits for the answer.
            reach: Cell::new(Reach::Looking(usize::MAX)),
            since: Cell::new(clock::now()),
            problem: RefCell::default(),
            reader_problem: RefCell::default(),
            connections: Cell::new(0),
            reading: Cell::new(0),
            round: Cell::new(0),
            read_at: Cell::new(clock::now()),
            read_again_at: Cell::new(None),
            contexts: RefCell::default(),
            clock_ahead_secs: Cell::new(0),
        }
    }

    pub(super) fn submit(&self, order: Order, context: Context) {
        let ticket = self.link.submit(order);
        self.contexts.borrow_mut().insert(ticket, context);
    }

    pub(super) fn context_of(&self, ticket: Ticket) -> Option<Context> {
        self.contexts.borrow_mut().remove(&ticket)
    }

    /// Asks, and has the answer sent.
    pub(super) fn ask(&self, order: Order) -> Awaited {
        let (tell, told) = channel::bounded(1);
        self.submit(order, Context::Ask(tell));
        told
    }

    /// Has a channel that was just made taken from the log of all boards.
    pub(super) fn begin(&self, live: &Rc<LiveChannel>) {
        live.channel.borrow_mut().share();
        *live.relayed.borrow_mut() = Some(Relayed::new());
        if self.reach.get() != Reach::Away {
            self.look(live, false, Some(false));
        }
    }

    /// Forgets a channel at this board; the others have it.
    pub(super) fn forget(&self, live: &LiveChannel) {
        *live.relayed.borrow_mut() = None;
        self.leave(&live.name);
    }

    /// Finds out where a channel is. `is_strict`: what was seen of it has to be there. `is_first`: behind a new connection, for which reading
    /// waits; `None` where this is one of many looks.
    pub(super) fn look(&self, live: &Rc<LiveChannel>, is_strict: bool, is_first: Option<bool>) {
        let Some(seen) = live.relayed_mut(|relayed| {
            relayed.look_under_way = true;
            relayed.seen
        }) else {
            return;
        };
        let order = Order::Look { channel: live.name.clone(), seen, is_strict, is_use: is_first.is_some() };
        let round = (is_first == Some(true)).then_some(self.round.get());
        self.submit(order, Context::Look(Rc::clone(live), round));
    }

    /// Notes that a connection has come of which no message was taken yet.
    pub(super) fn note_joined(&self, channel: &ChannelName, id: ConnectionId) {
        self.submit(Order::Join { channel: channel.clone(), id: id.number() }, Context::Nobody);
    }

    /// Has messages of a channel read behind this entry.
    pub(super) fn read(&self, name: &ChannelName, behind: EntryId) {
        self.link.read(ReadOrder::Read(name.clone(), behind));
    }

    /// Has a channel read no longer.
    pub(super) fn leave(&self, name: &ChannelName) {
        self.link.read(ReadOrder::Leave(name.clone()));
    }

    pub(super) fn is_here(&self) -> bool {
        self.reach.get() == Reach::Here
    }

    /// Notes whether the log can be reached.
    pub(super) fn note_reach(&self, reach: Reach) {
        let is_other = std::mem::discriminant(&self.reach.replace(reach)) != std::mem::discriminant(&reach);
        if !is_other {
            return;
        }
        self.since.set(clock::now());
        if reach == Reach::Here {
            self.connections.set(self.connections.get() + 1);
            info!("channels are shared with all boards at Redis {}", self.server);
        }
    }

    /// Notes why it is away, or takes nothing; told in the log if it is news.
    pub(super) fn note_problem(&self, sentence: &str) {
        self.tell(sentence);
        *self.problem.borrow_mut() = Some(sentence.to_owned());
    }

    fn tell(&self, sentence: &str) {
        if [&self.problem, &self.reader_problem].iter().all(|known| known.borrow().as_deref() != Some(sentence)) {
            warn!("Redis {}: {sentence}", self.server);
        }
    }

    /// Notes that there is no problem any more, if it is none of one of these channels. It is told in the log where nothing else tells it.
    pub(super) fn note_well(&self, channels: &[Rc<LiveChannel>]) {
        let is_well = |live: &Rc<LiveChannel>| {
            live.relayed_mut(|relayed| relayed.problem.is_none() && !relayed.is_refused) != Some(false)
        };
        if self.has_problem() && channels.iter().all(is_well) {
            self.problem.take();
            self.reader_problem.take();
            if self.is_here() {
                info!("Redis {} takes messages again", self.server);
            }
        }
    }

    /// Whether something is a problem.
    pub(super) fn has_problem(&self) -> bool {
        self.problem.borrow().is_some() || self.reader_problem.borrow().is_some()
    }

    /// Has nothing handed over until it is known whether the other connection is lost, too: it would be in doubt.
    pub(super) fn note_reader_down(&self, problem: &str) {
        if !matches!(self.reach.get(), Reach::Here | Reach::Reading) {
            return;
        }
        self.tell(problem);
        *self.reader_problem.borrow_mut() = Some(problem.to_owned());
        self.note_reach(Reach::Looking(usize::MAX));
        // At once, but not again and again if it is refused.
        self.read_again_at.set(Some(self.read_at.get() + REDIS_AGAIN_AFTER));
    }

    /// Tries again later.
    pub(super) fn put_off(&self, live: &LiveChannel, sentence: &str) {
        self.note_problem(sentence);
        live.relayed_mut(|relayed| {
            relayed.problem = Some(sentence.to_owned());
            relayed.again_at = Some(clock::now() + REDIS_AGAIN_AFTER);
            relayed.wake();
        });
    }

    /// Notes what time it is at Redis.
    pub(super) fn note_time(&self, now_unix_micros: u64) {
        let unix_secs = i64::try_from(now_unix_micros / 1_000_000).unwrap_or(i64::MAX);
        self.clock_ahead_secs.set(unix_secs - i64::from(boot_secs()));
    }

    /// By the clock of the boot, when it was this time at Redis.
    pub(super) fn boot_secs_at(&self, unix_secs: u64) -> i64 {
        i64::try_from(unix_secs).unwrap_or(i64::MAX) - self.clock_ahead_secs.get()
    }

    /// Whether it is reached, and how often it was.
    pub(super) fn connections(&self) -> (bool, u64) {
        (self.is_here(), self.connections.get())
    }

    /// How it is reached, for people and programs. So many channels wait for it, and so many messages.
    pub(super) fn figures(&self, channels_waiting: usize, messages_waiting: u64) -> Value {
        let state = match self.reach.get() {
            Reach::Away => "away",
            Reach::Looking(_) | Reach::Reading => "connecting",
            Reach::Here => "connected",
        };
        json!({
            "server": self.server,
            "state": state,
            "secondsInState": clock::since(self.since.get()).as_secs(),
            "problem": self.problem.borrow().clone().or_else(|| self.reader_problem.borrow().clone()),
            "connections": self.connections.get(),
            "channelsWaiting": channels_waiting,
            "messagesWaiting": messages_waiting,
        })
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("link", &self.link).finish_non_exhaustive()
    }
}

/// As clients know an entry.
pub(super) fn position_of(EntryId { epoch, seq }: EntryId) -> Position {
    Position { epoch: epoch.to_string(), seq }
}
