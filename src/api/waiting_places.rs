//! How many posted messages wait for room in the log of their channel.
//!
//! Leaves waiting to `publish`. What must stay true: there is a bound to all together, and those of one channel never have more than
//! half of it, in number or in memory: a client that holds up one channel keeps nobody out of another.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::config::limits::POSTS_WAITING_MAX;
use crate::hub::channel_name::ChannelName;

/// The places of all.
#[derive(Debug)]
pub struct WaitingPlaces {
    /// What the messages of one channel may have, in bytes.
    channel_bytes_max: usize,
    taken: RefCell<BTreeMap<ChannelName, Taken>>,
}

/// What those of a channel have.
#[derive(Debug, Default)]
struct Taken {
    places: usize,
    bytes: usize,
}

impl WaitingPlaces {
    /// Where all bodies together may have so many bytes.
    pub fn new(bodies_bytes_max: usize) -> Self {
        Self { channel_bytes_max: bodies_bytes_max / 2, taken: RefCell::default() }
    }

    /// A place for a message of so many bytes; `None` if there is none.
    pub fn take<'a>(&'a self, channel: &'a ChannelName, bytes: usize) -> Option<WaitingPlace<'a>> {
        let mut all = self.taken.borrow_mut();
        let in_all: usize = all.values().map(|taken| taken.places).sum();
        let has_place = match all.get(channel) {
            Some(its) => its.places < POSTS_WAITING_MAX / 2 && its.bytes + bytes <= self.channel_bytes_max,
            // The first one waits, however large.
            None => true,
        };
        if in_all >= POSTS_WAITING_MAX || !has_place {
            return None;
        }
        let its = all.entry(channel.clone()).or_default();
        its.places += 1;
        its.bytes += bytes;
        Some(WaitingPlace { places: self, channel, bytes })
    }
}

/// The place of one message, until it is dropped.
#[derive(Debug)]
pub struct WaitingPlace<'a> {
    places: &'a WaitingPlaces,
    channel: &'a ChannelName,
    bytes: usize,
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        let mut all = self.places.taken.borrow_mut();
        let its = all.get_mut(self.channel).expect("it has a place until the drop");
        its.places -= 1;
        its.bytes -= self.bytes;
        if its.places == 0 {
            all.remove(self.channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text).unwrap()
    }

    #[test]
    fn a_channel_has_half_of_the_places_and_two_have_all() {
        let (places, [a, b, c]) = (WaitingPlaces::new(1000), ["a", "b", "c"].map(name));
        let take = |channel| std::iter::from_fn(|| places.take(channel, 1)).collect::<Vec<_>>();
        let (of_a, of_b) = (take(&a), take(&b));
        assert_eq!((of_a.len(), of_b.len()), (POSTS_WAITING_MAX / 2, POSTS_WAITING_MAX / 2));
        assert!(places.take(&c, 1).is_none());
        drop(of_a);
        assert!(places.take(&c, 1).is_some());
        assert_eq!(take(&a).len(), POSTS_WAITING_MAX / 2, "all are free again");
    }

    #[test]
    fn a_channel_has_half_of_the_memory() {
        let (places, [a, b]) = (WaitingPlaces::new(1000), ["a", "b"].map(name));
        let first = places.take(&a, 500);
        assert!(first.is_some() && places.take(&a, 1).is_none() && places.take(&b, 500).is_some());
        drop(first);
        let largest = places.take(&a, 600);
        assert!(largest.is_some(), "or it could never wait");
        assert!(places.take(&a, 0).is_none());
    }

    #[test]
    fn who_goes_gives_its_memory_back_while_others_of_its_channel_wait() {
        let (places, a) = (WaitingPlaces::new(1000), name("a"));
        let (_stays, goes) = (places.take(&a, 200), places.take(&a, 300));
        assert!(places.take(&a, 1).is_none());
        drop(goes);
        assert!(places.take(&a, 301).is_none());
        assert!(places.take(&a, 300).is_some());
    }
}
