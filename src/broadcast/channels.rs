//! The channels that exist, by their names.
//!
//! Leaves to `hub::directory` which one is forgotten for another. What must stay true: a look makes no channel, and the main one is
//! always there.

use std::cell::RefCell;
use std::collections::{BTreeSet, TryReserveError};
use std::iter;
use std::rc::Rc;
use std::sync::Arc;

use log::warn;

use crate::broadcast::keeper::Keeper;
use crate::broadcast::live_channel::LiveChannel;
use crate::config::settings::Limits;
use crate::hub::channel_name::ChannelName;
use crate::hub::directory::{Directory, NoPlace, Usage};
use crate::runtime::clock;
use crate::storage::restored::RestoredChannel;
use crate::telemetry::counters::Counters;

/// All of them.
#[derive(Debug)]
pub struct Channels {
    limits: Limits,
    counters: Arc<Counters>,
    main: Rc<LiveChannel>,
    /// All others.
    directory: RefCell<Directory<Rc<LiveChannel>>>,
    /// What has their files, if anything has.
    keeper: Option<Rc<Keeper>>,
}

impl Channels {
    /// Only the main one. Those that are to be `kept` never give way to another, and have their places from the beginning.
    ///
    /// # Errors
    /// If there is no memory for its backlog.
    pub fn new(
        limits: Limits,
        mut kept: BTreeSet<ChannelName>,
        counters: Arc<Counters>,
        keeper: Option<Rc<Keeper>>,
        restored: Vec<RestoredChannel>,
    ) -> Result<Self, TryReserveError> {
        // It has its place anyway.
        kept.remove(&ChannelName::MAIN);
        let Limits { message_bytes_max, backlog_bytes, patience, channels_max, .. } = limits;
        let (mains, others): (Vec<_>, Vec<_>) = restored.into_iter().partition(|channel| channel.name.is_main());
        let clock_offset_secs = keeper.as_ref().map_or(0, |keeper| keeper.clock_offset_secs());
        let main = if let Some(restored) = mains.into_iter().next() {
            Rc::new(LiveChannel::restored(restored, message_bytes_max, backlog_bytes, patience, clock_offset_secs))
        } else {
            let main = LiveChannel::new(ChannelName::MAIN, message_bytes_max, backlog_bytes, patience)?;
            let main = Rc::new(main);
            if let Some(keeper) = &keeper {
                keeper.begin(&main);
            }
            main
        };
        main.report(&main.channel.borrow(), &counters);
        counters.channels.set(1);
        let directory = RefCell::new(Directory::new(channels_max, kept));
        let channels = Self { limits, counters, main, directory, keeper };
        for restored in others {
            channels.take_back(restored, clock_offset_secs);
        }
        Ok(channels)
    }

    /// Adds a channel that an earlier process has had, if there is a place for it beside those that are to be kept.
    fn take_back(&self, restored: RestoredChannel, clock_offset_secs: i32) {
        let name = restored.name.clone();
        let mut directory = self.directory.borrow_mut();
        let Limits { channel_backlog_bytes, patience, .. } = self.limits;
        let message_bytes_max = self.message_bytes_max(&name);
        let live =
            LiveChannel::restored(restored, message_bytes_max, channel_backlog_bytes, patience, clock_offset_secs);
        let made = directory.make_room(&name, |live| live.channel.borrow().usage());
        if let (Some(keeper), Ok(Some(forgotten))) = (&self.keeper, &made) {
            forgotten.retract(&self.counters);
            keeper.forget(forgotten);
        } else if let (Some(keeper), Err(NoPlace)) = (&self.keeper, &made) {
            keeper.forget(&live);
            return;
        }
        live.report(&live.channel.borrow(), &self.counters);
        directory.insert(name, Rc::new(live));
        self.counters.channels.set(1 + directory.len() as u64);
    }

    /// The channel of this name, if it exists. A look makes none, and sees none whose epoch is not in its file yet.
    pub fn find(&self, name: &ChannelName) -> Option<Rc<LiveChannel>> {
        self.get(name).filter(|live| live.is_told())
    }

    /// The same, whether its epoch is in its file or not.
    pub(super) fn get(&self, name: &ChannelName) -> Option<Rc<LiveChannel>> {
        if name.is_main() { Some(Rc::clone(&self.main)) } else { self.directory.borrow().get(name).cloned() }
    }

    /// The channel of this name, made if it does not exist. The caller uses it before anything else happens, or it may be forgotten.
    ///
    /// # Errors
    /// If there are too many in use or kept, or there is no memory for one more.
    pub fn open(&self, name: &ChannelName) -> Result<Rc<LiveChannel>, NoPlace> {
        self.open_beside(name, |usage| usage)
    }

    /// The same for one who only reads, by a GET: for that, no channel with messages is forgotten. A foreign page can have a browser send
    /// one, with nothing in it that says where it is from.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if none of the others is empty.
    pub fn open_to_read(&self, name: &ChannelName) -> Result<Rc<LiveChannel>, NoPlace> {
        self.open_beside(name, |usage| if usage == Usage::Unused { Usage::InUse } else { usage })
    }

    /// Opens a channel. What counts as what, when one has to be forgotten for it, `weigh` says.
    fn open_beside(&self, name: &ChannelName, weigh: impl Fn(Usage) -> Usage) -> Result<Rc<LiveChannel>, NoPlace> {
        if let Some(live) = self.get(name) {
            self.note_use(name);
            live.await_nobody();
            return Ok(live);
        }
        let Limits { channel_backlog_bytes, patience, .. } = self.limits;
        let message_bytes_max = self.message_bytes_max(name);
        let mut directory = self.directory.borrow_mut();
        let now = clock::now();
        let weigh = |live: &Rc<LiveChannel>| {
            if live.is_awaited(now) { Usage::InUse } else { weigh(live.channel.borrow().usage()) }
        };
        if let Some(forgotten) = directory.make_room(name, weigh)? {
            forgotten.retract(&self.counters);
            if let Some(keeper) = &self.keeper {
                keeper.forget(&forgotten);
            }
        }
        let live = LiveChannel::new(name.clone(), message_bytes_max, channel_backlog_bytes, patience);
        let live = Rc::new(live.map_err(|error| {
            warn!("no memory for the backlog of one more channel ({error}); lower --channel-backlog or --max-channels");
            NoPlace
        })?);
        directory.insert(name.clone(), Rc::clone(&live));
        if let Some(keeper) = &self.keeper {
            keeper.begin(&live);
        }
        self.counters.channels.set(1 + directory.len() as u64);
        Ok(live)
    }

    /// The largest payload of a message in the channel of this name, which need not exist.
    pub fn message_bytes_max(&self, name: &ChannelName) -> usize {
        let Limits { message_bytes_max, channel_backlog_bytes, .. } = self.limits;
        if name.is_main() { message_bytes_max } else { message_bytes_max.min(channel_backlog_bytes / 2) }
    }

    /// The epoch of the main channel, if it may be told.
    pub fn main_epoch(&self) -> Option<String> {
        self.main.is_told().then(|| self.main.head_position().epoch)
    }

    /// All channels that exist, the main one first.
    pub fn all(&self) -> Vec<Rc<LiveChannel>> {
        iter::once(&self.main).chain(self.directory.borrow().iter()).cloned().collect()
    }

    /// Notes that a channel was used until now.
    pub(super) fn note_use(&self, name: &ChannelName) {
        self.directory.borrow_mut().note_use(name);
    }
}
