//! One channel with those who are connected to it, and what the flush knows of it.
//!
//! Leaves joining and publishing to `broadcaster`, and writing to `flush`. What must stay true: what it adds to the figures of the
//! server is taken back when it is gone, but for what only grows.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, TryReserveError};
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use crate::broadcast::channel_figures::Figures;
use crate::broadcast::kept::Kept;
#[cfg(feature = "redis")]
use crate::broadcast::relayed::{Relayed, Stage};
use crate::broadcast::transport::Transport;
use crate::broadcast::waiter::Waiter;
use crate::config::limits::RESTORED_KEPT_FOR;
use crate::hub::backlog::Backlog;
use crate::hub::channel::{Channel, Start};
use crate::hub::channel_name::ChannelName;
use crate::hub::held_frame::HeldFrame;
use crate::hub::position::Position;
use crate::runtime::clock;
use crate::storage::restored::RestoredChannel;
use crate::telemetry::counters::Counters;

/// The channel, with the transport of each subscriber.
pub(super) type Subscribers = Channel<Rc<Transport>>;

/// A channel that exists. See the head of this file.
pub struct LiveChannel {
    /// Its name.
    pub name: ChannelName,
    /// The largest payload of its messages.
    pub message_bytes_max: usize,
    /// The size of its backlog, as it was set.
    pub backlog_bytes: usize,
    pub(super) channel: RefCell<Subscribers>,
    /// Slots to write to in the next flush although nothing new was published: they have control bytes, more than one turn's
    /// bytes, or a socket that takes more again.
    pub(super) pending_writes: RefCell<Vec<usize>>,
    /// Whether there is something for the flush to do.
    pub(super) is_dirty: Cell<bool>,
    /// When the flush has to look for subscribers that block publishers.
    pub(super) review_at: Cell<Option<Instant>>,
    /// What is known of its file, if it has one.
    pub(super) kept: RefCell<Option<Kept>>,
    /// What is known of it in the log that all boards share, if there is one.
    #[cfg(feature = "redis")]
    pub(super) relayed: RefCell<Option<Relayed>>,
    /// How many are about to join, or to publish.
    pub(super) expected: Cell<usize>,
    /// Until when those are awaited who were there when the last server ended.
    awaited_until: Cell<Option<Instant>>,
    /// Streams that are told nothing before there is one.
    pub(super) held: RefCell<Vec<ClientRef>>,
    /// Messages from outside that wait for room or for the file, by the number that each goes by.
    pub(super) waiting_posts: RefCell<BTreeMap<u64, Waiter>>,
    /// What the server's figures have of it; `None` when it is forgotten.
    reported: Cell<Option<Figures>>,
}

/// One who is connected, and to which channel.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its connection.
    pub transport: Rc<Transport>,
    /// Its channel.
    pub live: Rc<LiveChannel>,
}

/// A [`Client`], if it is still there: whoever has this keeps no connection open.
#[derive(Debug, Clone)]
pub struct ClientRef(Weak<Transport>, Weak<LiveChannel>);

impl ClientRef {
    pub(super) fn upgrade(&self) -> Option<Client> {
        Some(Client { transport: self.0.upgrade()?, live: self.1.upgrade()? })
    }
}

impl Client {
    pub(super) fn downgrade(&self) -> ClientRef {
        ClientRef(Rc::downgrade(&self.transport), Rc::downgrade(&self.live))
    }

    /// Whether it has got all that is published.
    pub fn is_up_to_date(&self) -> bool {
        let channel = self.live.channel.borrow();
        self.transport.slot.get().is_none_or(|slot| channel.is_up_to_date(slot) && !channel.is_staging())
    }

    /// Whether it is a stream that has a message in part.
    pub fn is_within_message(&self) -> bool {
        self.transport.slot.get().is_some_and(|slot| self.live.channel.borrow().is_within_message(slot))
    }
}

impl LiveChannel {
    /// An empty channel. `backlog_bytes` is the size that was set for its backlog.
    ///
    /// # Errors
    /// If there is no memory for the backlog.
    pub(super) fn new(
        name: ChannelName,
        message_bytes_max: usize,
        backlog_bytes: usize,
        patience: Duration,
    ) -> Result<Self, TryReserveError> {
        let channel = Channel::new(Backlog::capacity_bytes_for(backlog_bytes), patience, new_epoch())?;
        Ok(Self::with(name, message_bytes_max, backlog_bytes, channel, None))
    }

    /// A channel with what its file has of it.
    pub(super) fn with(
        name: ChannelName,
        message_bytes_max: usize,
        backlog_bytes: usize,
        channel: Subscribers,
        kept: Option<Kept>,
    ) -> Self {
        Self {
            name,
            message_bytes_max,
            backlog_bytes,
            channel: RefCell::new(channel),
            kept: RefCell::new(kept),
            #[cfg(feature = "redis")]
            relayed: RefCell::default(),
            expected: Cell::new(0),
            awaited_until: Cell::new(None),
            held: RefCell::default(),
            pending_writes: RefCell::default(),
            is_dirty: Cell::new(false),
            review_at: Cell::new(None),
            waiting_posts: RefCell::default(),
            reported: Cell::new(Some(Figures::default())),
        }
    }

    /// A channel that an earlier process has had.
    pub(super) fn restored(
        restored: RestoredChannel,
        message_bytes_max: usize,
        backlog_bytes: usize,
        patience: Duration,
        clock_offset_secs: i32,
    ) -> Self {
        let RestoredChannel { name, epoch, backlog, chain, segment_cost_bytes } = restored;
        let kept = Kept::restored(epoch.clone(), backlog.next_seq(), segment_cost_bytes);
        let mut channel = Channel::restored(backlog, patience, epoch);
        channel.keep(chain, clock_offset_secs);
        let live = Self::with(name, message_bytes_max, backlog_bytes, channel, Some(kept));
        live.awaited_until.set(Some(clock::now() + RESTORED_KEPT_FOR));
        live
    }

    /// What its backlog holds when it is full, in bytes, index included.
    pub(super) fn capacity_bytes(&self) -> usize {
        Backlog::capacity_bytes_for(self.backlog_bytes)
    }

    /// How full its files are, in thousandths of what its backlog holds; 0 where nothing is kept.
    pub(super) fn kept_permille(&self) -> usize {
        let kept = self.kept.borrow();
        let kept = kept.as_ref().filter(|kept| kept.is_there);
        kept.map_or(0, |kept| {
            (kept.cost_bytes[0] + kept.cost_bytes[1]).saturating_mul(1000).div_ceil(self.capacity_bytes())
        })
    }

    /// By which the epoch behind all that was handed over is known to the file of connections; 0 where nothing is kept.
    pub(super) fn epoch_checksum(&self) -> u32 {
        self.kept.borrow().as_ref().map_or(0, Kept::epoch_checksum)
    }

    /// Whether the channel is not to be forgotten although nobody is there: those who were there when the last server ended are on their
    /// way, or its file is.
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        self.awaited_until.get().is_some_and(|until| now < until) || !self.is_begun() || self.expected.get() > 0
    }

    /// Notes that somebody is there.
    pub(super) fn await_nobody(&self) {
        self.awaited_until.set(None);
    }

    /// Whether what is said is kept in a file.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.borrow().as_ref().is_some_and(|kept| kept.is_there)
    }

    /// Whether its epoch may be told: it is in the file, or in the log of all boards, or there is neither.
    pub(super) fn is_told(&self) -> bool {
        #[cfg(feature = "redis")]
        if self.relayed_mut(|relayed| relayed.stage != Stage::Ready) == Some(true) {
            return false;
        }
        self.is_begun()
    }

    fn is_begun(&self) -> bool {
        self.kept.borrow().as_ref().is_none_or(|kept| kept.is_begun)
    }

    /// Looks at what is known of it in the log of all boards, if there is one.
    #[cfg(feature = "redis")]
    pub(super) fn relayed_mut<R>(&self, look: impl FnOnce(&mut Relayed) -> R) -> Option<R> {
        self.relayed.borrow_mut().as_mut().map(look)
    }

    /// What it has now.
    pub fn figures(&self) -> Figures {
        Figures { is_kept: self.is_kept(), ..Figures::of(&self.channel.borrow()) }
    }

    /// The epoch, and the number of the newest message.
    pub fn head_position(&self) -> Position {
        self.channel.borrow().head_position()
    }

    /// Hands over the last message, if there is one, with its position.
    pub fn with_last<R>(&self, take: impl FnOnce(Position, &HeldFrame<'_>) -> R) -> Option<R> {
        let channel = self.channel.borrow();
        channel.last().map(|(_, frame)| take(channel.head_position(), &frame))
    }

    /// When the last message came, by the clock of the boot, if there is one.
    pub fn last_at_secs(&self) -> Option<i32> {
        self.channel.borrow().last().map(|(_, frame)| frame.at_secs)
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.channel.borrow().len()
    }

    /// Where a newcomer starts that has had all up to `after`, or that wants so many of the last messages; and whether `after` is not
    /// known here: then it is a newcomer like any other.
    pub fn start(&self, after: Option<&Position>, history: u64) -> (Start, bool) {
        let Position { epoch, seq: head } = self.head_position();
        match after {
            Some(after) if after.epoch == epoch && after.seq <= head => (Start::After(after.seq), false),
            _ => (Start::History(history), after.is_some()),
        }
    }

    /// Brings the figures of the server up to date with those of the channel.
    pub(super) fn report(&self, channel: &Subscribers, counters: &Counters) {
        if let Some(before) = self.reported.get() {
            let now = Figures::of(channel);
            before.replace_by(now, counters);
            self.reported.set(Some(now));
        }
    }

    /// Whether another has got its place.
    pub(super) fn is_forgotten(&self) -> bool {
        self.reported.get().is_none()
    }

    /// Takes back from the figures of the server what is gone with the channel.
    pub(super) fn retract(&self, counters: &Counters) {
        if let Some(before) = self.reported.take() {
            before.replace_by(
                Figures { messages: before.messages, deliveries: before.deliveries, ..Figures::default() },
                counters,
            );
        }
    }
}

/// A name that no other epoch is likely to have had.
pub(super) fn new_epoch() -> String {
    std::iter::repeat_with(|| fastrand::char('a'..='z')).take(6).collect()
}

impl fmt::Debug for LiveChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveChannel").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::frame::Frame;

    #[test]
    fn an_epoch_is_short_and_plain() {
        let epoch = new_epoch();
        assert!(epoch.len() == 6 && epoch.bytes().all(|byte| byte.is_ascii_lowercase()), "{epoch}");
    }

    fn live() -> LiveChannel {
        LiveChannel::new(ChannelName::MAIN, 100, 1000, Duration::from_secs(1)).unwrap()
    }

    fn post(live: &LiveChannel, text: &'static str, at_secs: i32) {
        live.channel.borrow_mut().post(Frame::text(text), at_secs);
    }

    #[test]
    fn the_last_message_is_known_and_when_it_came() {
        let live = live();
        let last = || live.with_last(|position, frame| (position.seq, frame.payload.concat()));
        assert_eq!((last(), live.last_at_secs()), (None, None));
        post(&live, "first", 42);
        post(&live, "last", 43);
        assert_eq!((last(), live.last_at_secs()), (Some((2, b"last".to_vec())), Some(43)));
    }

    #[test]
    fn only_a_place_of_this_epoch_up_to_its_newest_message_is_known() {
        let live = live();
        post(&live, "fog", 0);
        let Position { epoch, seq } = live.head_position();
        assert_eq!(seq, 1);
        let start = |epoch: &str, seq| live.start(Some(&Position { epoch: epoch.to_owned(), seq }), 7);
        assert_eq!(start(&epoch, 0), (Start::After(0), false));
        assert_eq!(start(&epoch, 1), (Start::After(1), false));
        assert_eq!(start(&epoch, 2), (Start::History(7), true));
        assert_eq!(start("other", 1), (Start::History(7), true));
        assert_eq!(live.start(None, 7), (Start::History(7), false));
    }

    #[test]
    fn what_is_kept_is_what_is_in_a_file_and_its_epoch_is_known_by_a_checksum() {
        let live = live();
        assert_eq!((live.kept_permille(), live.epoch_checksum(), live.figures().is_kept), (0, 0, false));
        let half = live.capacity_bytes() / 2;
        let mut kept = Kept::restored("abc".to_owned(), 4, half);
        assert_eq!(kept.next_seq, 4);
        kept.cost_bytes[0] = half / 2;
        *live.kept.borrow_mut() = Some(kept);
        assert_eq!((live.kept_permille(), live.figures().is_kept, live.is_told()), (750, true, true));
        assert_eq!(live.epoch_checksum(), crate::storage::connection_record::epoch_checksum("abc"));
        live.kept.borrow_mut().as_mut().unwrap().is_there = false;
        assert_eq!((live.kept_permille(), live.figures().is_kept), (0, false));
    }

    #[test]
    fn those_of_before_are_awaited_until_a_moment_and_no_longer() {
        let (live, until) = (live(), clock::now());
        live.awaited_until.set(Some(until));
        assert!(live.is_awaited(until.checked_sub(Duration::from_millis(1)).unwrap()) && !live.is_awaited(until));
    }
}
