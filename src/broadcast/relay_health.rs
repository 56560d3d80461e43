//! Whether the log that all boards share is reached, and what is the matter if it is not.
//!
//! Leaves what follows from it to `relaying`. What must stay true: whoever runs the server is told what it waits for, once for each reason.

use std::rc::Rc;

use log::{info, warn};
use serde_json::{Value, json};

use crate::broadcast::live_channel::LiveChannel;
use crate::broadcast::relay::{Reach, Relay};
use crate::runtime::clock;

impl Relay {
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

    pub(super) fn tell(&self, sentence: &str) {
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
