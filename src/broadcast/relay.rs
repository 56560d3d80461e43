//! The way to the log that all boards share, and what is known of the connection to it.
//!
//! Leaves talking to Redis to `engine`, what is asked when to `relaying`, and what people are told to `relay_health`. What must stay true: each
//! answer finds what it is about.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

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

/// By how much an answer of Redis may be late, in seconds; more than any is waited for.
const LATE_ANSWER_SECS_MAX: i64 = 10;

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
    pub(super) server: String,
    /// By which the messages of this board are known.
    pub(super) board: u64,
    pub(super) reach: Cell<Reach>,
    /// Since when it is so.
    pub(super) since: Cell<Instant>,
    /// Why it cannot be reached, or does not take what it is given, for people.
    pub(super) problem: RefCell<Option<String>>,
    /// The same of the reader. Each may be refused for a reason of its own, again and again.
    pub(super) reader_problem: RefCell<Option<String>>,
    /// How often there was a connection.
    pub(super) connections: Cell<u64>,
    /// By which answers of the reader are known to be no old ones.
    pub(super) reading: Cell<u64>,
    /// Which time it is that all channels are looked at before they are read.
    pub(super) round: Cell<u64>,
    /// The last counter that a message of a channel had which was forgotten.
    last_counter: Cell<u64>,
    /// When the first of the channels is tried again of which something was put off.
    pub(super) again_at: Cell<Option<Instant>>,
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
    /// Where a channel is.
    Look(Rc<LiveChannel>, Look),
    /// Messages of a channel.
    Parcel(Rc<LiveChannel>, Parcel),
    /// Somebody waits for the answer.
    Ask(Sender<Result<Answer, Trouble>>),
    /// Nobody does.
    Nobody,
}

/// How it was looked where a channel is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Whether what was seen had to be there.
    pub(super) is_strict: bool,
    /// With a number it is one of the looks of this round, for all of which reading waits.
    pub(super) round: Option<u64>,
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
            last_counter: Cell::new(0),
            again_at: Cell::new(None),
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
        live.channel.borrow_mut().share(self.last_counter.get());
        *live.relayed.borrow_mut() = Some(Relayed::new());
        if self.reach.get() != Reach::Away {
            self.look(live, Some(false));
        }
    }

    /// Forgets a channel at this board; the others have it.
    pub(super) fn forget(&self, live: &LiveChannel) {
        // If its name comes back, its messages have other counters: by these alone Redis knows whether it has them.
        let (last_counter, _) = live.channel.borrow().staged();
        self.last_counter.set(self.last_counter.get().max(last_counter));
        if let Some(mut relayed) = live.relayed.borrow_mut().take() {
            relayed.wake();
        }
        self.leave(&live.name);
    }

    /// Finds out where a channel is. `is_first`: behind a new connection, for which reading waits; `None` where this is one of many looks.
    pub(super) fn look(&self, live: &Rc<LiveChannel>, is_first: Option<bool>) {
        let Some((seen, is_strict)) = live.relayed_mut(|relayed| {
            relayed.look_under_way = true;
            (relayed.seen, relayed.has_to_be_same)
        }) else {
            return;
        };
        let order = Order::Look { channel: live.name.clone(), seen, is_strict, is_use: is_first.is_some() };
        let round = (is_first == Some(true)).then_some(self.round.get());
        self.submit(order, Context::Look(Rc::clone(live), Look { is_strict, round }));
    }

    /// Takes nothing of what was read until now, and is not taken yet: it is found out first where all channels are.
    pub(super) fn stop_reading(&self) {
        self.reading.set(self.reading.get() + 1);
    }

    /// Has what was put off done at this time, or before.
    pub(super) fn note_again_at(&self, at: Instant) {
        self.again_at.set(Some(self.again_at.get().map_or(at, |before| before.min(at))));
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
        let again_at = clock::now() + REDIS_AGAIN_AFTER;
        live.relayed_mut(|relayed| {
            relayed.problem = Some(sentence.to_owned());
            relayed.again_at = Some(again_at);
            relayed.wake();
        });
        self.note_again_at(again_at);
    }

    /// Notes what time it is at Redis, or was: an answer that comes late makes its clock look slow, and is no reason to believe that. A step of
    /// that clock is.
    pub(super) fn note_time(&self, now_unix_micros: u64) {
        let unix_secs = i64::try_from(now_unix_micros / 1_000_000).unwrap_or(i64::MAX);
        let ahead_secs = unix_secs.saturating_sub(boot_secs().into());
        let known_secs = self.clock_ahead_secs.get();
        if ahead_secs > known_secs || ahead_secs < known_secs.saturating_sub(LATE_ANSWER_SECS_MAX) {
            self.clock_ahead_secs.set(ahead_secs);
        }
    }

    /// By the clock of the boot, when it was this time at Redis.
    pub(super) fn boot_secs_at(&self, unix_secs: u64) -> i64 {
        i64::try_from(unix_secs).unwrap_or(i64::MAX).saturating_sub(self.clock_ahead_secs.get())
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
