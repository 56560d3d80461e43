//! The channels beside the main one, by their names: which are kept, and which is forgotten when another needs its place.
//!
//! Knows nothing of a channel but its name and its [`Usage`], and no clock. What must stay true: a channel that somebody uses, or that a
//! setting names, is never forgotten, and there are never more than the directory has places for.

use std::collections::{BTreeMap, BTreeSet};

use crate::hub::channel_name::ChannelName;

/// Whether a channel may be forgotten, in the order in which that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// Nobody uses it, and it has no message.
    Empty,
    /// Nobody uses it, and it has messages.
    Unused,
    /// Somebody is there, or a message waits for room.
    InUse,
}

/// Channels by their names. `C` is a channel.
#[derive(Debug)]
pub struct Directory<C> {
    places: usize,
    /// Those that a setting names.
    kept: BTreeSet<ChannelName>,
    channels: BTreeMap<ChannelName, Entry<C>>,
    uses: u64,
}

#[derive(Debug)]
struct Entry<C> {
    channel: C,
    /// The number of its last use: the smaller, the longer ago.
    last_use: u64,
}

impl<C> Directory<C> {
    /// With so many places, and no channels yet. Those that are to be `kept`, no more than there are places, are made at their first use,
    /// as others are, and never forgotten; their places are theirs from the beginning.
    pub fn new(places: usize, kept: BTreeSet<ChannelName>) -> Self {
        debug_assert!(kept.len() <= places, "each has its place");
        Self { places, kept, channels: BTreeMap::new(), uses: 0 }
    }

    /// A channel, if it is there. That is only a look, and no use.
    pub fn get(&self, name: &ChannelName) -> Option<&C> {
        self.channels.get(name).map(|entry| &entry.channel)
    }

    /// Notes that a channel is being used now.
    pub fn note_use(&mut self, name: &ChannelName) {
        self.uses += 1;
        if let Some(entry) = self.channels.get_mut(name) {
            entry.last_use = self.uses;
        }
    }

    /// Makes room for a channel of this name, which is not there. Returns the channel that had to be forgotten for it, if one had to.
    ///
    /// # Errors
    /// If there is no place, and all channels are in use or kept.
    pub fn make_room(&mut self, name: &ChannelName, usage: impl Fn(&C) -> Usage) -> Result<Option<C>, NoPlace> {
        let awaited = self.kept.iter().filter(|kept| !self.channels.contains_key(kept)).count();
        if self.kept.contains(name) || self.channels.len() + awaited < self.places {
            return Ok(None);
        }
        let free = self.channels.iter().filter(|(name, _)| !self.kept.contains(name));
        let free = free.map(|(name, entry)| (usage(&entry.channel), entry.last_use, name));
        let oldest = free.filter(|(usage, ..)| *usage != Usage::InUse).min();
        let name = oldest.map(|(_, _, name)| name.clone()).ok_or(NoPlace)?;
        Ok(self.channels.remove(&name).map(|entry| entry.channel))
    }

    /// Adds a channel, which counts as a use, to a place that [`make_room`](Self::make_room) has made.
    pub fn insert(&mut self, name: ChannelName, channel: C) {
        debug_assert!(self.channels.len() < self.places, "no more than there are places for");
        self.uses += 1;
        self.channels.insert(name, Entry { channel, last_use: self.uses });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// All channels, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &C> {
        self.channels.values().map(|entry| &entry.channel)
    }
}

/// All channels are in use, or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    struct Channel(&'static str, Cell<Usage>);

    fn add(
        directory: &mut Directory<Channel>,
        name: &'static str,
        usage: Usage,
    ) -> Result<Option<&'static str>, NoPlace> {
        let its_name = ChannelName::parse(name).unwrap();
        let forgotten = directory.make_room(&its_name, |channel| channel.1.get())?;
        directory.insert(its_name, Channel(name, Cell::new(usage)));
        Ok(forgotten.map(|channel| channel.0))
    }

    #[test]
    fn who_has_no_message_goes_first_and_then_who_was_unused_for_longest() {
        let mut directory = Directory::new(4, BTreeSet::new());
        assert!(directory.is_empty());
        for (name, usage) in [("a", Usage::InUse), ("b", Usage::Unused), ("c", Usage::Unused), ("d", Usage::Empty)] {
            assert_eq!(add(&mut directory, name, usage), Ok(None));
        }
        assert_eq!((directory.len(), directory.is_empty()), (4, false));
        directory.note_use(&ChannelName::parse("b").unwrap());
        assert_eq!(add(&mut directory, "e", Usage::InUse), Ok(Some("d")), "it has nothing");
        assert_eq!(add(&mut directory, "f", Usage::InUse), Ok(Some("c")), "it was not used since");
        assert_eq!(add(&mut directory, "g", Usage::InUse), Ok(Some("b")));
        assert_eq!(add(&mut directory, "h", Usage::InUse), Err(NoPlace));
        assert_eq!(directory.iter().map(|channel| channel.0).collect::<Vec<_>>(), ["a", "e", "f", "g"]);
        directory.get(&ChannelName::parse("a").unwrap()).unwrap().1.set(Usage::Unused);
        assert_eq!(add(&mut directory, "h", Usage::InUse), Ok(Some("a")), "it is used no more");
    }

    #[test]
    fn with_no_places_there_is_only_the_main_channel() {
        assert_eq!(add(&mut Directory::new(0, BTreeSet::new()), "a", Usage::Empty), Err(NoPlace));
    }

    #[test]
    fn who_is_named_in_a_setting_gives_way_to_nobody_and_has_its_place_before_it_comes() {
        let kept = ["a", "later"].map(|name| ChannelName::parse(name).unwrap());
        let mut directory = Directory::new(3, BTreeSet::from(kept));
        assert_eq!(add(&mut directory, "a", Usage::Empty), Ok(None));
        assert_eq!(add(&mut directory, "b", Usage::Unused), Ok(None));
        assert_eq!(add(&mut directory, "c", Usage::InUse), Ok(Some("b")), "it is not named");
        assert_eq!(add(&mut directory, "d", Usage::InUse), Err(NoPlace), "the last place is for one that is");
        assert_eq!(add(&mut directory, "later", Usage::InUse), Ok(None));
        assert_eq!(add(&mut directory, "d", Usage::InUse), Err(NoPlace));
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// Somebody wants this channel, which is then used so.
        Use(usize, Usage),
        /// Its use changes.
        Change(usize, Usage),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let usage = prop_oneof![Just(Usage::Empty), Just(Usage::Unused), Just(Usage::InUse)];
        let step = (any::<bool>(), 0_usize..8, usage)
            .prop_map(|(is_use, nth, usage)| if is_use { Step::Use(nth, usage) } else { Step::Change(nth, usage) });
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// Against a list that has the longest unused first.
        #[test]
        fn whoever_comes_and_goes_the_right_channel_gives_way(
            places in 0_usize..6,
            kept in prop::collection::btree_set(0_usize..8, 0..3),
            steps in steps(),
        ) {
            const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
            prop_assume!(kept.len() <= places);
            let others_max = places - kept.len();
            let is_kept = |name: &str| kept.iter().any(|nth| NAMES[*nth] == name);
            let kept = kept.iter().map(|nth| ChannelName::parse(NAMES[*nth]).unwrap()).collect();
            let mut directory = Directory::new(places, kept);
            let mut model: Vec<(&str, Usage)> = Vec::new();
            for step in steps {
                match step {
                    Step::Use(nth, usage) => {
                        let name = ChannelName::parse(NAMES[nth]).unwrap();
                        let known = model.iter().position(|(its, _)| *its == NAMES[nth]);
                        if let Some(known) = known {
                            directory.note_use(&name);
                            let its = model.remove(known);
                            model.push(its);
                            continue;
                        }
                        let others = model.iter().filter(|(name, _)| !is_kept(name)).count();
                        let has_place = is_kept(NAMES[nth]) || others < others_max;
                        let free = [Usage::Empty, Usage::Unused]
                            .into_iter()
                            .find_map(|usage| model.iter().position(|(name, its)| *its == usage && !is_kept(name)));
                        let expected = match free {
                            _ if has_place => Ok(None),
                            Some(free) => Ok(Some(model.remove(free).0)),
                            None => Err(NoPlace),
                        };
                        let added = add(&mut directory, NAMES[nth], usage);
                        prop_assert_eq!(added, expected);
                        if added.is_ok() {
                            model.push((NAMES[nth], usage));
                        }
                    }
                    Step::Change(nth, usage) => {
                        if let Some(its) = model.iter_mut().find(|(its, _)| *its == NAMES[nth]) {
                            its.1 = usage;
                            directory.get(&ChannelName::parse(NAMES[nth]).unwrap()).unwrap().1.set(usage);
                        }
                    }
                }
                let mut names: Vec<&str> = model.iter().map(|(name, _)| *name).collect();
                names.sort_unstable();
                prop_assert_eq!(directory.iter().map(|channel| channel.0).collect::<Vec<_>>(), names);
                prop_assert!(directory.len() <= places);
            }
        }
    }
}
