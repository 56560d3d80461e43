//! A connection to a hub that comes back by itself: what `send` and `listen` have in common.
//!
//! Leaves waiting to its caller, who polls its descriptor and calls it at its deadline, and the sent messages to `unconfirmed`. What must
//! stay true: the first connection has to succeed; after that only what somebody has to change ends it; messages are counted as
//! `docs/wire.md` says, so that none is missed or comes twice.

use std::os::fd::AsFd;
use std::time::Instant;

use async_tungstenite::tungstenite::Message;

use crate::client::address::Address;
use crate::client::connection::{Came, Connection, Ended};
use crate::client::failure::Failure;
use crate::client::hello::Hello;
use crate::client::opening::{Greeting, Opened, Opening};
use crate::client::waiting::Interest;
use crate::config::client_limits::{CLIENT_BACKOFF, CLIENT_GOOD_AFTER, NEW_EPOCHS_FOLLOWED_MAX, RETRY_AFTER_MAX};
use crate::hub::position::Position;

/// What somebody wants of a hub.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Whether we listen: come back behind the last message, and get it all.
    pub listens: bool,
    /// Where we go on.
    pub after: Option<Position>,
    /// How many of the last messages we want, if that is not the server's to say.
    pub history: Option<u64>,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// We are connected. What comes first of this message by message follows.
    Greeted(Greeted),
    /// A message.
    Received(Received),
    /// The server has read all that was sent before this many messages had been, and has put it into its log.
    Confirmed(u64),
    /// Nothing that matters. There may be more behind it.
    Nothing,
    /// There is no connection now; another try follows.
    Lost(Failure),
    /// There is none, and will be none.
    Failed(Failure),
}

/// What we know at the beginning of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeted {
    /// What the hub has said, if it is one.
    pub hello: Option<Hello>,
    /// Whether there was a connection before.
    pub is_back: bool,
    /// Whether the channel has begun anew since then, so that nobody knows what was lost.
    pub is_anew: bool,
    /// How many messages were lost that we would have got, as far as the server knows.
    pub lost: u64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its number, if the server is a hub.
    pub seq: u64,
    /// Whether it came while we were connected, and not before.
    pub is_live: bool,
    /// A text or a binary message.
    pub message: Message,
}

/// The connection. See the head of this file.
#[derive(Debug)]
pub struct Link {
    address: Address,
    wishes: Wishes,
    /// The `id` of the last connection that was greeted.
    id: String,
    was_greeted: bool,
    /// How often the channel has begun anew, which is still to be told.
    new_epochs: u32,
    /// The number of the last message, and that of the newest at the greeting.
    seq: u64,
    head: u64,
    failures: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Opening(Opening),
    Open(Box<Connection>),
    Waiting(Instant),
    Ended,
}

impl Link {
    /// Begins to connect.
    ///
    /// # Errors
    /// If this machine has no thread or socket for it.
    pub fn open(address: Address, wishes: Wishes) -> Result<Self, Failure> {
        let mut link = Self {
            address,
            wishes,
            id: String::new(),
            was_greeted: false,
            new_epochs: 0,
            seq: 0,
            head: 0,
            failures: 0,
            state: State::Ended,
        };
        link.state = link.start()?;
        Ok(link)
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether messages can be sent now.
    pub fn takes_messages(&self) -> bool {
        matches!(&self.state, State::Open(connection) if !connection.is_full())
    }

    /// Whether there is a connection.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// What to wait for. `reads`: whether the caller would take messages.
    pub fn interest(&self, reads: bool) -> Option<Interest<'_>> {
        match &self.state {
            // To who would not take the result, it would be told again and again.
            State::Opening(opening) => reads.then(|| Interest::reads(opening.as_fd())),
            State::Open(connection) => {
                let writes = connection.is_full();
                // A broken one would be told again and again to who wants nothing of it.
                (reads || writes).then(|| Interest { fd: connection.as_fd(), reads, writes })
            }
            State::Waiting(_) | State::Ended => None,
        }
    }

    /// When [`next_event`](Self::next_event) has to be called although nothing came.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting(until) => Some(*until),
            State::Open(connection) => Some(connection.look_again_at()),
            State::Opening(_) | State::Ended => None,
        }
    }

    /// What has happened, if anything has. Never waits.
    pub fn next_event(&mut self) -> Option<Event> {
        match &mut self.state {
            State::Waiting(until) if *until <= Instant::now() => self.start_anew(),
            State::Opening(opening) => match opening.take()? {
                Ok(opened) => self.greeted(opened),
                Err(failure) => Some(self.fail(failure)),
            },
            State::Open(connection) => match connection.next() {
                Ok(Some(Came::Message(message))) => Some(Event::Received(self.received(message))),
                Ok(Some(Came::Pong(count))) => Some(Event::Confirmed(count)),
                Ok(Some(Came::Other)) => Some(Event::Nothing),
                Ok(None) => None,
                Err(ended) => {
                    let failure = match ended {
                        Ended::Closed(frame) => Failure::of_close(&self.address, frame.as_ref()),
                        Ended::Broken(error) => Failure::of_break(&self.address, &error),
                        Ended::Silent => Failure::of_silence(&self.address),
                    };
                    Some(self.fail(failure))
                }
            },
            State::Waiting(_) | State::Ended => None,
        }
    }

    /// Sends a message; only while it [takes messages](Self::takes_messages). If the connection breaks, `next_event` tells.
    pub fn send(&mut self, message: Message) {
        if let State::Open(connection) = &mut self.state {
            connection.write(message);
        }
    }

    /// Asks the server to confirm what was sent before this: `count` comes back.
    pub fn ask_to_confirm(&mut self, count: u64) {
        if let State::Open(connection) = &mut self.state {
            connection.ask(count);
        }
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        if let State::Open(connection) = &mut self.state {
            connection.flush();
        }
    }

    /// Says goodbye, and waits a little for the answer.
    pub fn close(&mut self) {
        if let State::Open(connection) = &mut self.state {
            connection.close();
        }
    }

    fn start_anew(&mut self) -> Option<Event> {
        match self.start() {
            Ok(state) => {
                self.state = state;
                None
            }
            Err(failure) => Some(self.fail(failure)),
        }
    }

    fn start(&self) -> Result<State, Failure> {
        let mut wishes = Vec::new();
        if let Some(after) = &self.wishes.after {
            wishes.push(("after", after.to_string()));
        } else if let Some(history) = self.wishes.history {
            wishes.push(("history", history.to_string()));
        }
        if !self.id.is_empty() {
            wishes.push(("replaces", self.id.clone()));
        }
        Opening::start(self.address.clone(), wishes)
            .map(State::Opening)
            .map_err(|error| Failure::of_this_machine(&error))
    }

    fn greeted(&mut self, Opened { websocket, greeting }: Opened) -> Option<Event> {
        let (hello, first) = match greeting {
            Greeting::Hello(hello) => (Some(hello), None),
            Greeting::Stranger(first) => (None, first),
        };
        let is_unknown = self.wishes.after.is_some() && hello.as_ref().is_some_and(|hello| hello.lost.is_none());
        if hello.is_none() && !self.id.is_empty() {
            // What we have counted means nothing to it.
            return Some(self.fail(Failure::of_stranger(&self.address)));
        }
        if let Some(Hello { position, .. }) = hello.as_ref().filter(|_| is_unknown) {
            self.new_epochs += 1;
            if position.seq > 0 && self.new_epochs <= NEW_EPOCHS_FOLLOWED_MAX {
                // It has messages from before we came. The connection that is asked about stays the one before.
                self.wishes.after = Some(Position { epoch: position.epoch.clone(), seq: 0 });
                return self.start_anew();
            }
        }
        (self.seq, self.head) = hello.as_ref().map_or((0, 0), |hello| (hello.position.seq, hello.head));
        if let Some(hello) = &hello {
            self.id.clone_from(&hello.id);
            self.wishes.after = self.wishes.listens.then(|| hello.position.clone());
        }
        self.state = State::Open(Box::new(Connection::new(websocket, first)));
        Some(Event::Greeted(Greeted {
            is_back: std::mem::replace(&mut self.was_greeted, true),
            is_anew: std::mem::take(&mut self.new_epochs) > 0,
            lost: hello.as_ref().and_then(|hello| hello.lost).unwrap_or_default(),
            hello,
        }))
    }

    fn received(&mut self, message: Message) -> Received {
        self.seq += 1;
        if let Some(after) = &mut self.wishes.after {
            after.seq = self.seq;
        }
        Received { seq: self.seq, is_live: self.seq > self.head, message }
    }

    /// Comes back later, if that makes sense.
    fn fail(&mut self, failure: Failure) -> Event {
        if !self.was_greeted || failure.is_final {
            self.state = State::Ended;
            return Event::Failed(failure);
        }
        if matches!(&self.state, State::Open(connection) if connection.age() >= CLIENT_GOOD_AFTER) {
            self.failures = 0;
        }
        let [first, longest] = CLIENT_BACKOFF;
        let pause = first.saturating_mul(1 << self.failures.min(10)).min(longest).mul_f64(0.5 + fastrand::f64() / 2.0);
        self.failures += 1;
        let pause = failure.retry_after.map_or(pause, |asked| asked.clamp(pause, RETRY_AFTER_MAX));
        self.state = State::Waiting(Instant::now() + pause);
        Event::Lost(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::waiting::wait;

    #[test]
    fn who_takes_nothing_is_not_woken_by_a_connection_that_was_opened_meanwhile() {
        // Nothing listens there.
        let address = Address::parse("127.0.0.1:1", None).unwrap();
        let mut link = Link::open(address, Wishes::default()).unwrap();
        wait(link.interest(true), None).unwrap();
        assert!(link.interest(false).is_none());
        assert!(matches!(link.next_event(), Some(Event::Failed(_))));
        assert!(link.interest(true).is_none() && link.deadline().is_none());
    }
}
