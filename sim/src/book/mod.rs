//! What the world knows: the model against which all that clients are told is held.
//!
//! Leaves an epoch's messages to `log`, a channel's epochs to `channel`, and what was sent to `sources`. What must stay true: whatever cannot be true beside what was told before is
//! found when it is told, in one sentence that says what, where, to whom, and when.

pub mod channel;
pub mod content;
pub mod ending;
pub mod log;
pub mod sources;
pub mod starting;
pub mod telling;
pub mod times;
pub mod waiting;

use std::collections::BTreeMap;
use std::time::Duration;

use foghorn::config::settings::Limits;

use crate::book::channel::{Channel, Mark};
use crate::book::content::{Content, Style};
use crate::book::sources::Source;
use crate::book::times::Times;
use crate::scenario::{Scenario, State};

/// Channels by their names; the first is the main one.
pub const CHANNELS: [&str; 6] = ["", "a", "lights", "c-3", "under_score", "z"];
/// Of what others may be behind: what sockets, windows and a stream's epochs can hold beside a backlog, in bytes.
const BEHIND_BYTES: usize = 1 << 20;

/// Descriptors may be short for so long, with the pause after which the server tries again.
const ACCEPT_ERRORS_LAST: Duration = Duration::from_secs(10);

/// What the world knows.
#[derive(Debug)]
pub struct Book {
    /// Contradictions: first what kind, then a colon and the rest. The run ends with the first.
    pub found: Vec<String>,
    /// Messages that were told and held against the model.
    pub deliveries: u64,
    /// Answers and hellos that were.
    pub answers: u64,
    /// The server's limits.
    pub limits: Limits,
    /// Which life of the server this is.
    pub life: u64,
    /// When it began.
    pub life_began: Duration,
    /// The present moment.
    pub now: Duration,
    /// What the machine's clocks have said.
    pub times: Times,
    /// Whether all have left, and the server has come to rest.
    pub is_at_rest: bool,
    /// How many there are who come.
    pub crowd: usize,
    /// How many connections were asked for that the server may remember.
    pub arrivals: u64,
    /// Until when so many connections may be there that have asked for nothing that some are dropped.
    pub flooded_until: Duration,
    /// For how long a connection may wait to be accepted, beside its way.
    pub accepted_after: Duration,
    /// Whether the worker of `--state` may have something to do, and when it last had nothing.
    pub disk_works: (bool, Duration),
    /// Whether it is being stopped, or has ended.
    pub is_stopping: bool,
    /// Lives that began with nothing of what was before; and those that may have.
    losses: [Vec<u64>; 2],
    /// The last life was stopped in order, and this one may have changed nothing of what it has left.
    is_stopped_in_order: bool,
    /// Lives that may have begun with less than was said, since a step of the disk has failed.
    doubts: Vec<u64>,
    ids: BTreeMap<String, (usize, Duration)>,
    state: State,
    channels: Vec<Channel>,
    sources: Vec<Source>,
    /// Of each channel, how many empty binary and text messages were sent, and how many were seen.
    nameless: Vec<[[u64; 2]; 2]>,
}

/// One life of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// 0 is the first.
    pub number: u64,
    /// When it began, in simulated time.
    pub began: Duration,
    /// The number of the machine's start that it is in.
    pub boot: u64,
}

/// How a life has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At once, wherever it was.
    Killed,
    /// It was told to stop, and has drained.
    Stopped,
    /// The machine was started anew, the files being what they were; behind a stop in order, or with a kill.
    Reboot {
        /// Whether the server was stopped in order.
        was_in_order: bool,
    },
    /// The machine was started anew, and the files are gone.
    DiskLost,
}

impl Book {
    /// A book in which nothing stands yet.
    pub fn new(scenario: &Scenario) -> Self {
        ::log::debug!("{:?}, {:?}", scenario.state, scenario.config.limits);
        let mut book = Self::with(scenario.config.limits.clone(), scenario.state, scenario.crowd.len());
        if scenario.faults.accept_errors.is_some() {
            book.accepted_after = ACCEPT_ERRORS_LAST;
        }
        let may_stall = scenario.faults.stalls.is_some();
        book.channels.iter_mut().for_each(|channel| channel.has_slow_readers = may_stall);
        book
    }

    fn with(limits: Limits, state: State, crowd: usize) -> Self {
        let mut channels = Vec::new();
        for (nth, name) in CHANNELS.into_iter().enumerate() {
            let backlog_bytes = if nth == 0 { limits.backlog_bytes } else { limits.channel_backlog_bytes };
            let mut channel = Channel::new(name.to_owned(), backlog_bytes + BEHIND_BYTES);
            channel.may_be_forgotten = nth > 0 && CHANNELS.len() - 1 > limits.channels_max;
            channel.may_begin_anew = channel.may_be_forgotten;
            channels.push(channel);
        }
        Self {
            found: Vec::new(),
            deliveries: 0,
            answers: 0,
            limits,
            life: 0,
            life_began: Duration::ZERO,
            now: Duration::ZERO,
            times: Times::default(),
            is_at_rest: false,
            crowd,
            arrivals: 0,
            flooded_until: Duration::ZERO,
            accepted_after: Duration::ZERO,
            disk_works: (false, Duration::ZERO),
            is_stopping: false,
            losses: [Vec::new(), Vec::new()],
            is_stopped_in_order: false,
            doubts: Vec::new(),
            ids: BTreeMap::new(),
            state,
            nameless: vec![[[0; 2]; 2]; channels.len()],
            channels,
            sources: Vec::new(),
        }
    }

    /// A life begins.
    pub fn life_begins(&mut self, life: &Life) {
        (self.life, self.life_began) = (life.number, life.began);
        self.is_stopping = false;
        self.disk_works.0 = false;
        self.channels.iter_mut().for_each(|channel| channel.may_go_back |= channel.goes_back_from <= life.number);
        let [is_lost, may_be_lost] = [0, 1].map(|nth| self.losses[nth].last() == Some(&life.number));
        if is_lost {
            self.channels.iter_mut().for_each(|channel| channel.lose(life.began));
        } else if may_be_lost {
            self.channels.iter_mut().for_each(|channel| channel.reasons += 1);
        }
        if may_be_lost {
            self.sources.iter_mut().for_each(Source::lose);
        }
    }

    /// A life has ended.
    pub fn life_ends(&mut self, end: End) {
        ::log::debug!("life {} has ended: {end:?} ({:?})", self.life, self.state);
        // Until the next one nobody is there to be told anything.
        self.is_stopping = true;
        let is_in_order = matches!(end, End::Stopped | End::Reboot { was_in_order: true });
        let [may_be_kept, is_kept] = match end {
            _ if self.state == State::Off => [false; 2],
            End::Killed | End::Stopped | End::Reboot { was_in_order: true } => [true; 2],
            // What a stop in order has left counts until something is changed of it.
            End::Reboot { was_in_order: false } => [self.is_stopped_in_order, false],
            End::DiskLost => [false; 2],
        };
        for (losses, is_kept) in self.losses.iter_mut().zip([may_be_kept, is_kept]) {
            if !is_kept {
                losses.push(self.life + 1);
            }
        }
        self.is_stopped_in_order = is_in_order;
    }

    /// The server is told to stop in order from now on: clients may be closed with 1001 or refused.
    pub fn stop_begins(&mut self) {
        self.is_stopping = true;
    }

    /// A step of the disk of `--state` has failed. Channels may lose what is kept, and begin a new epoch, as soon as that is found out; what
    /// the files have is met by the next life, or by this one if it is just beginning, which may go on without any. Where only an append
    /// has failed, and not at the start, the files go, and nothing of them comes back.
    pub fn disk_fails(&mut self, is_append: bool, now: Duration) {
        let next = self.life + 1;
        let first = if now == self.life_began { self.life } else { next };
        self.doubts.extend(first..=next);
        self.doubts.dedup();
        for channel in &mut self.channels {
            channel.may_begin_anew = true;
            if !is_append || first == self.life {
                channel.goes_back_from = channel.goes_back_from.min(next);
            }
        }
    }

    /// Everybody has left, all that was under way has arrived, and the server has come to rest.
    pub fn at_rest(&mut self) {
        self.is_at_rest = true;
    }

    /// Something was seen that cannot be: first what kind, then a colon and the rest.
    pub fn contradiction(&mut self, what: String) {
        self.found.push(what);
    }

    /// What is known of a channel now.
    pub fn mark(&self, channel: usize, now: Duration) -> Mark {
        self.channels[channel].mark(now)
    }

    /// Whether a channel may begin anew without a word: it may be forgotten, or the disk has failed.
    pub fn may_begin_anew(&self, channel: usize) -> bool {
        self.channels[channel].may_begin_anew
    }

    /// Somebody is about to ask for a deletion.
    pub fn ask_deletion(&mut self, channel: usize) {
        self.channels[channel].reasons += 1;
    }

    /// How many deletions were asked for, and how often all was lost.
    pub fn reasons(&self, channel: usize) -> usize {
        self.channels[channel].reasons
    }

    /// Whether this life may have begun with less than was said, since the disk has failed.
    pub fn may_have_less(&self) -> bool {
        self.doubts.iter().any(|&doubt| doubt <= self.life)
    }

    /// The name of an epoch.
    pub fn epoch(&self, channel: usize, epoch: usize) -> &str {
        &self.channels[channel].epochs[epoch].epoch
    }

    /// The largest message of a channel, in bytes.
    pub fn message_bytes_max(&self, channel: usize) -> usize {
        let of_channel = if channel == 0 { usize::MAX } else { self.limits.channel_backlog_bytes / 2 };
        self.limits.message_bytes_max.min(of_channel)
    }

    /// What a channel's backlog was set to, in bytes.
    pub fn backlog_bytes(&self, channel: usize) -> usize {
        if channel == 0 { self.limits.backlog_bytes } else { self.limits.channel_backlog_bytes }
    }

    /// Somebody was told the name of its connection.
    ///
    /// # Errors
    /// If another has it.
    pub fn join(&mut self, id: &str, by: usize, now: Duration) -> Result<(), String> {
        match self.ids.insert(id.to_owned(), (by, now)) {
            Some((other, at)) => {
                Err(format!("id: client {by} has {id} at {now:?}, which client {other} was given at {at:?}"))
            }
            None => Ok(()),
        }
    }

    /// A connection that may send to a channel.
    pub fn add_source(&mut self, actor: usize, channel: usize) -> u32 {
        self.arrivals += 1;
        self.sources.push(Source::new(u32::try_from(actor).unwrap_or(u32::MAX), channel, self.life));
        u32::try_from(self.sources.len() - 1).unwrap_or(u32::MAX)
    }

    /// It is about to send a message.
    pub fn send(&mut self, source: u32, bytes: usize, style: Style) -> Content {
        let its = &mut self.sources[source as usize];
        let content = its.send(source, bytes, style, self.now);
        if content.is_empty() {
            self.nameless[its.channel][usize::from(style.is_text())][0] += 1;
        }
        content
    }

    /// A connection that sends.
    pub fn source(&self, source: u32) -> &Source {
        &self.sources[source as usize]
    }

    /// The client of a connection that sends is told that it is there.
    pub fn let_in(&mut self, source: u32) {
        self.sources[source as usize].lives[1] = self.life;
    }

    /// Whether what a connection has sent must be known to a server whose life is this one at the latest: nothing was lost since.
    pub fn must_be_known(&self, source: u32, life: u64) -> bool {
        let its = &self.sources[source as usize];
        // A server that comes up does not know those of a channel that was forgotten before.
        let is_forgotten = its.lives[0] != life && self.channels[its.channel].may_be_forgotten;
        let is_doubtful = self.doubts.iter().any(|&doubt| its.lives[0] < doubt && doubt <= life);
        !self.is_behind(1, its.lives[0], life) && !is_doubtful && !is_forgotten
    }

    /// Whether it cannot be known to a server whose life is this one at the earliest.
    pub fn is_lost(&self, source: u32, life: u64) -> bool {
        self.is_behind(0, self.sources[source as usize].lives[1], life)
    }

    fn is_behind(&self, losses: usize, began: u64, life: u64) -> bool {
        self.losses[losses].iter().any(|&loss| began < loss && loss <= life)
    }
}

#[cfg(test)]
mod tests;
