//! The channels beside the main one, by their names: which are kept, and which is forgotten when another needs its place.
//!
//! Knows nothing of a channel but its [`Usage`], and no clock. What must stay true: a channel that somebody uses is never forgotten,
//! and there are never more than the directory has places for.

use std::collections::BTreeMap;

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
    /// With so many places, and no channels yet.
    pub fn new(places: usize) -> Self {
        Self { places, channels: BTreeMap::new(), uses: 0 }
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

    /// Makes room for one more channel. Returns the channel that had to be forgotten for it, if one had to.
    ///
    /// # Errors
    /// If there is no place, and all channels are in use.
    pub fn make_room(&mut self, usage: impl Fn(&C) -> Usage) -> Result<Option<C>, NoPlace> {
        if self.channels.len() < self.places {
            return Ok(None);
        }
        let free = self.channels.iter().map(|(name, entry)| (usage(&entry.channel), entry.last_use, name));
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

/// All channels are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Channel(&'static str, Cell<Usage>);

    fn add(
        directory: &mut Directory<Channel>,
        name: &'static str,
        usage: Usage,
    ) -> Result<Option<&'static str>, NoPlace> {
        let forgotten = directory.make_room(|channel| channel.1.get())?;
        directory.insert(ChannelName::parse(name).unwrap(), Channel(name, Cell::new(usage)));
        Ok(forgotten.map(|channel| channel.0))
    }

    #[test]
    fn who_has_no_message_goes_first_and_then_who_was_unused_for_longest() {
        let mut directory = Directory::new(4);
        for (name, usage) in [("a", Usage::InUse), ("b", Usage::Unused), ("c", Usage::Unused), ("d", Usage::Empty)] {
            assert_eq!(add(&mut directory, name, usage), Ok(None));
        }
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
        assert_eq!(add(&mut Directory::new(0), "a", Usage::Empty), Err(NoPlace));
    }
}
