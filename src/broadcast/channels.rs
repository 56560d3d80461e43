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
#[cfg(feature = "redis")]
use crate::broadcast::relay::Relay;
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
    /// The way to the log that all boards share, if there is one.
    #[cfg(feature = "redis")]
    relay: Option<Rc<Relay>>,
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
        let channels = Self {
            limits,
            counters,
            main,
            directory,
            keeper,
            #[cfg(feature = "redis")]
            relay: None,
        };
        for restored in others {
            channels.take_back(restored, clock_offset_secs);
        }
        Ok(channels)
    }

    /// The same channels, and all that will be, in a log that all boards share.
    #[cfg(feature = "redis")]
    pub fn shared(self, relay: Rc<Relay>) -> Self {
        relay.begin(&self.main);
        Self { relay: Some(relay), ..self }
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
            #[cfg(feature = "redis")]
            if let Some(relay) = &self.relay {
                relay.forget(&forgotten);
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
        #[cfg(feature = "redis")]
        if let Some(relay) = &self.relay {
            relay.begin(&live);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Config;
    use crate::hub::backlog::Backlog;
    use crate::hub::frame::Frame;
    use crate::hub::record::Chain;
    use crate::storage::job::Job;
    use crate::storage::store::Store;

    /// With room for so many, and for messages of so many bytes; in backlogs of 1000 bytes but for the main one.
    fn channels(channels_max: usize, message_bytes_max: usize, restored: Vec<RestoredChannel>) -> Channels {
        let mut limits = Config::default().limits;
        (limits.channels_max, limits.message_bytes_max) = (channels_max, message_bytes_max);
        (limits.backlog_bytes, limits.channel_backlog_bytes) = (4000, 1000);
        Channels::new(limits, BTreeSet::new(), Arc::new(Counters::new()), None, restored).unwrap()
    }

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text).unwrap()
    }

    fn restored(text: &str) -> RestoredChannel {
        let mut backlog = Backlog::restored_at(1000, 3).unwrap();
        backlog.append(&Frame::text("fog"), 0, 0);
        let chain = Chain::new(0);
        RestoredChannel { name: name(text), epoch: "abc".to_owned(), backlog, chain, segment_cost_bytes: 0 }
    }

    fn post(live: &LiveChannel) {
        live.channel.borrow_mut().post(Frame::text("fog"), 0);
    }

    #[test]
    fn a_message_is_at_most_half_of_its_channels_backlog() {
        for (given, of_others) in [(2000, 500), (501, 500), (499, 499)] {
            let channels = channels(1, given, Vec::new());
            let bytes_max = |name: &ChannelName| {
                let live = channels.open(name).unwrap();
                (channels.message_bytes_max(name), live.message_bytes_max)
            };
            assert_eq!(bytes_max(&ChannelName::MAIN), (given, given));
            assert_eq!(bytes_max(&name("lights")), (of_others, of_others));
        }
    }

    #[test]
    fn the_channel_that_was_unused_for_longest_gives_way() {
        let channels = channels(2, 100, Vec::new());
        for opened in ["a", "b", "a"] {
            channels.open(&name(opened)).unwrap();
        }
        channels.open(&name("c")).unwrap();
        assert!(channels.find(&name("a")).is_some() && channels.find(&name("b")).is_none());
        channels.note_use(&name("a"));
        channels.open(&name("d")).unwrap();
        assert!(channels.find(&name("a")).is_some() && channels.find(&name("c")).is_none());
        assert_eq!(channels.counters.channels.get(), 3);
    }

    #[test]
    fn who_only_reads_has_none_forgotten_that_has_messages() {
        let channels = channels(1, 100, Vec::new());
        post(&channels.open(&name("a")).unwrap());
        assert!(channels.open_to_read(&name("b")).is_err());
        assert!(channels.open_to_read(&name("a")).is_ok(), "it is there");
        assert!(channels.open(&name("b")).is_ok());
        assert!(channels.open_to_read(&name("c")).is_ok(), "the other had none");
        assert!(channels.find(&name("a")).is_none() && channels.find(&name("b")).is_none());
    }

    #[test]
    fn those_of_an_earlier_process_have_their_places_and_count() {
        let channels = channels(3, 100, ["a", "b"].map(restored).into());
        assert_eq!((channels.all().len(), channels.counters.channels.get()), (3, 3));
        let live = channels.find(&name("b")).unwrap();
        assert_eq!((live.message_bytes_max, live.head_position().seq), (100, 3));
    }

    #[test]
    fn of_more_than_there_are_places_for_the_last_come_back_and_the_files_of_the_others_go() {
        let (store, hand) = Store::by_hand();
        let (mut limits, counters) = (Config::default().limits, Arc::new(Counters::new()));
        (limits.channels_max, limits.channel_backlog_bytes) = (2, 1000);
        let kept = BTreeSet::from([name("kept")]);
        let came = ["a", "b", "c"].map(restored).into();
        let keeper = Some(Rc::new(Keeper::new(store)));
        let channels = Channels::new(limits, kept, Arc::clone(&counters), keeper, came).unwrap();
        assert!(channels.find(&name("c")).is_some() && channels.find(&name("b")).is_none());
        let removed: Vec<_> = std::iter::from_fn(|| hand.take())
            .filter_map(|job| if let Job::Remove(name) = job { Some(name) } else { None })
            .collect();
        assert_eq!(removed, [name("a"), name("b")]);
        let held_bytes = channels.find(&name("c")).unwrap().figures().backlog_bytes;
        assert_eq!((counters.channels.get(), counters.backlog_bytes.get(), held_bytes > 0), (2, held_bytes, true));
    }
}
