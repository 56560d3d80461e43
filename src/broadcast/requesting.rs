//! What somebody has to wait for who comes, deletes or looks, where all boards share one log.
//!
//! Leaves answers to `relaying`. What must stay true: who joins has all before it that it may have heard of at another board, and when it is
//! told what of its last connection got through, nothing more of that does.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;

use serde_json::Value;
use smol::future::{FutureExt, poll_fn};

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::connection_id::ConnectionId;
use crate::broadcast::live_channel::LiveChannel;
use crate::broadcast::relay::{Awaited, Reach, Relay, position_of};
use crate::broadcast::relayed::{Relayed, Stage};
use crate::config::limits::REDIS_REQUEST_TIMEOUT;
use crate::engine::entry::{Content, Entry, EntryId};
use crate::engine::order::{Answer, Order, Place, Trouble};
use crate::hub::channel_name::ChannelName;
use crate::hub::position::Position;
use crate::runtime::timer::Timer;

/// The log of all boards cannot be reached, or has not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAway;

/// Why messages were not deleted, or nobody knows whether they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearError {
    /// The log of all boards is away, and was not asked.
    Away,
    /// It was asked, and has not answered in time.
    Unsure,
}

/// The newest message of a channel that is not used at this board.
#[derive(Debug)]
pub struct Elsewhere {
    /// Where it is.
    pub position: Position,
    /// The whole frame.
    pub frame: Vec<u8>,
    /// When it came, by the clock of this machine's boot.
    pub at_secs: i32,
}

impl Broadcaster {
    /// Waits until a channel has what all boards have of it, and more: what its newcomer may have heard of elsewhere, at the place `after`; and
    /// that nothing more is appended of its last connection, `predecessor`. Returns how many messages of that are in the log, if another
    /// board had it and that is known.
    ///
    /// # Errors
    /// If the log of all boards is away.
    pub async fn prepare(
        self: &Rc<Self>,
        live: &Rc<LiveChannel>,
        after: Option<&Position>,
        predecessor: Option<&str>,
    ) -> Result<Option<Option<u64>>, LogAway> {
        let Some(relay) = &self.relay else { return Ok(None) };
        let _expected = Expected::at(live);
        let prepared = async {
            self.until_ready(relay, live).await?;
            let id = predecessor.and_then(ConnectionId::parse);
            let elsewhere = id.filter(|id| !self.is_of_here(*id));
            let mut fenced = None;
            if let Some(id) = elsewhere {
                fenced = Some(relay.ask(Order::Fence { channel: live.name.clone(), id: id.number() }));
            } else if let (Some(_), Some(id)) = (id, predecessor) {
                self.replace(id, false);
                self.until_settled(relay, live).await?;
            }
            if fenced.is_some() || after.is_some_and(|after| !knows(live, after)) {
                self.until_up_to_date(relay, live).await?;
            }
            match fenced {
                None => Ok(None),
                Some(fenced) => match answer(fenced).await? {
                    Answer::Taken(taken) => Ok(Some(taken)),
                    _ => Err(LogAway),
                },
            }
        };
        in_time(prepared).await
    }

    /// Waits until a channel has what all boards have of it.
    ///
    /// # Errors
    /// If the log of all boards is away.
    pub async fn wait_until_shared(&self, live: &Rc<LiveChannel>) -> Result<(), LogAway> {
        let Some(relay) = &self.relay else { return Ok(()) };
        let _expected = Expected::at(live);
        in_time(self.until_ready(relay, live)).await
    }

    /// How that is reached, for people and programs; null if there is none.
    pub fn redis_figures(&self) -> Value {
        let Some(relay) = &self.relay else { return Value::Null };
        let (mut channels_waiting, mut messages_waiting) = (0, 0);
        for live in self.channels().all() {
            channels_waiting += usize::from(!live.is_told());
            let (staged, settled) = live.channel.borrow().staged();
            messages_waiting += staged - settled;
        }
        relay.figures(channels_waiting, messages_waiting)
    }

    /// Whether it is reached, and how often it was; `None` if there is none.
    pub fn redis_connections(&self) -> Option<(bool, u64)> {
        self.relay.as_ref().map(|relay| relay.connections())
    }

    /// The newest message of a channel that does not exist here.
    ///
    /// # Errors
    /// If the log of all boards is away.
    pub async fn newest_elsewhere(&self, name: &ChannelName) -> Result<Option<Elsewhere>, LogAway> {
        let Some(relay) = &self.relay else { return Ok(None) };
        if relay.reach.get() == Reach::Away {
            return Err(LogAway);
        }
        let asked = relay.ask(Order::Newest(name.clone()));
        let Answer::Newest(newest) = in_time(answer(asked)).await? else { return Err(LogAway) };
        Ok(newest.and_then(|Entry { id, content }| {
            let Content::Message { at_unix_secs, frame, .. } = content else { return None };
            let at_secs = i32::try_from(relay.boot_secs_at(at_unix_secs)).unwrap_or(i32::MIN).min(self.now_secs.get());
            Some(Elsewhere { position: position_of(id), frame, at_secs })
        }))
    }

    /// Forgets a channel's messages at all boards; returns where the new epoch begins. `live` is the channel, if it exists here. `None`: it
    /// exists nowhere.
    ///
    /// # Errors
    /// If the log of all boards is away, or does not answer.
    pub async fn clear_shared(
        self: &Rc<Self>,
        name: &ChannelName,
        live: Option<&Rc<LiveChannel>>,
    ) -> Result<Option<Position>, ClearError> {
        let Some(relay) = &self.relay else { return Err(ClearError::Away) };
        if relay.reach.get() == Reach::Away {
            return Err(ClearError::Away);
        }
        let _expected = live.map(|live| Expected::at(live));
        let is_asked = Cell::new(false);
        let cleared = async {
            let epoch = match live {
                Some(live) => {
                    self.until_ready(relay, live).await?;
                    live.relayed_mut(|relayed| relayed.seen.map(|seen| seen.id.epoch)).flatten()
                }
                None => None,
            };
            is_asked.set(true);
            let cleared = relay.ask(Order::Clear { channel: name.clone(), epoch }).recv().await;
            // What is refused was certainly not done.
            is_asked.set(!matches!(cleared, Ok(Err(Trouble::Refused(_) | Trouble::NoPlace))));
            let Ok(Ok(Answer::At(place))) = cleared else { return Err(LogAway) };
            let Some(Place { newest, .. }) = place else { return Ok(None) };
            if let Some(live) = live {
                self.until_taken_in(relay, live, EntryId { seq: 0, ..newest }).await?;
            }
            Ok(Some(position_of(EntryId { seq: 0, ..newest })))
        };
        let cleared = in_time(cleared).await;
        cleared.map_err(|LogAway| if is_asked.get() { ClearError::Unsure } else { ClearError::Away })
    }

    /// Asks for nothing any more.
    pub fn end_relay(&self) {
        if let Some(relay) = &self.relay {
            relay.link.end();
        }
    }

    /// Whether a connection with this id is or was one to this board.
    fn is_of_here(&self, id: ConnectionId) -> bool {
        self.by_connection_id(id).is_some() || self.ended.borrow().has(id)
    }

    async fn until_ready(&self, relay: &Relay, live: &LiveChannel) -> Result<(), LogAway> {
        self.until(relay, live, |relayed| relayed.stage == Stage::Ready).await
    }

    async fn until_taken_in(&self, relay: &Relay, live: &LiveChannel, entry: EntryId) -> Result<(), LogAway> {
        self.until(relay, live, |relayed| relayed.taken_in >= entry).await
    }

    /// Waits until all is read that was in the log when this was called.
    async fn until_up_to_date(&self, relay: &Relay, live: &LiveChannel) -> Result<(), LogAway> {
        let seen = live.relayed_mut(|relayed| relayed.seen).flatten();
        let order = Order::Look { channel: live.name.clone(), seen, is_strict: false, is_use: false };
        let Answer::At(Some(Place { newest, .. })) = answer(relay.ask(order)).await? else { return Err(LogAway) };
        self.until_taken_in(relay, live, newest).await
    }

    /// Waits until it is known what has become of all that was published here.
    async fn until_settled(&self, relay: &Relay, live: &LiveChannel) -> Result<(), LogAway> {
        let (target, _) = live.channel.borrow().staged();
        self.until(relay, live, |_| live.channel.borrow().staged().1 >= target).await
    }

    /// Waits until this holds of what is known of a channel. What holds already needs no connection.
    async fn until(&self, relay: &Relay, live: &LiveChannel, holds: impl Fn(&Relayed) -> bool) -> Result<(), LogAway> {
        poll_fn(|cx| {
            let mut relayed = live.relayed.borrow_mut();
            let Some(relayed) = relayed.as_mut() else { return Poll::Ready(Ok(())) };
            if holds(relayed) {
                return Poll::Ready(Ok(()));
            }
            let is_unknown = relayed.stage == Stage::Unknown;
            if relay.reach.get() == Reach::Away || (is_unknown && relayed.problem.is_some()) {
                return Poll::Ready(Err(LogAway));
            }
            relayed.wake_with(cx.waker());
            Poll::Pending
        })
        .await
    }
}

async fn answer(asked: Awaited) -> Result<Answer, LogAway> {
    asked.recv().await.map_err(|_| LogAway)?.map_err(|_| LogAway)
}

async fn in_time<T>(future: impl Future<Output = Result<T, LogAway>>) -> Result<T, LogAway> {
    let in_vain = async {
        Timer::after(REDIS_REQUEST_TIMEOUT).await;
        Err(LogAway)
    };
    future.or(in_vain).await
}

/// Whether a place is one of those that a channel has had in its present epoch.
fn knows(live: &LiveChannel, place: &Position) -> bool {
    let Position { epoch, seq: head } = live.head_position();
    place.epoch == epoch && place.seq <= head
}

/// Somebody who is about to join a channel, or to publish there, and keeps its place for it.
struct Expected<'a>(&'a LiveChannel);

impl<'a> Expected<'a> {
    fn at(live: &'a LiveChannel) -> Self {
        live.expected.set(live.expected.get() + 1);
        Self(live)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.0.expected.set(self.0.expected.get() - 1);
    }
}
