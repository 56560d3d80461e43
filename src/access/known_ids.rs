//! Connections that came in with a code, by their ids, so that who comes back is not kept out by somebody else's guesses.
//!
//! No clock: every call is told the time. Leaves to others who may have an id. What must stay true: an id vouches for its own channel, and for no
//! more than its connection has shown by a code; ended connections are known for a while, and no more than so many of them.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::access::codes::Right;
use crate::config::limits::{KNOWN_ID_KEPT_FOR, KNOWN_IDS_MAX};
use crate::hub::channel_name::ChannelName;

/// The ids of connections that are there, and of those that have ended a short time ago.
#[derive(Debug, Default)]
pub struct KnownIds {
    known: HashMap<String, Known>,
    /// Those that have ended, the first one first.
    ended: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct Known {
    channel: ChannelName,
    right: Right,
    ended: Option<Instant>,
}

impl KnownIds {
    /// Notes a connection to this channel that has shown a code with this right. Whoever calls this says when it [ends](Self::end).
    pub fn add(&mut self, id: String, channel: ChannelName, right: Right) {
        self.known.insert(id, Known { channel, right, ended: None });
    }

    /// Notes that a connection has ended, if it is known.
    pub fn end(&mut self, id: &str, now: Instant) {
        let Some(known) = self.known.get_mut(id).filter(|known| known.ended.is_none()) else { return };
        known.ended = Some(now);
        self.ended.push_back((now, id.to_owned()));
        while self.ended.len() > KNOWN_IDS_MAX || self.ended.front().is_some_and(|(ended, _)| is_old(*ended, now)) {
            let Some((_, id)) = self.ended.pop_front() else { return };
            self.known.remove(&id);
        }
    }

    /// The right that a connection to this channel has shown by a code.
    pub fn right_of(&self, id: &str, channel: &ChannelName, now: Instant) -> Option<Right> {
        let known = self.known.get(id).filter(|known| known.channel == *channel)?;
        let is_forgotten = known.ended.is_some_and(|ended| is_old(ended, now));
        (!is_forgotten).then_some(known.right)
    }
}

fn is_old(ended: Instant, now: Instant) -> bool {
    now.saturating_duration_since(ended) >= KNOWN_ID_KEPT_FOR
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn lights() -> ChannelName {
        ChannelName::parse("lights").unwrap()
    }

    #[test]
    fn a_connection_is_known_while_it_is_there_and_for_a_while_after() {
        let (mut ids, began) = (KnownIds::default(), Instant::now());
        ids.add("a".into(), lights(), Right::Receive);
        let day = Duration::from_secs(86_400);
        let last = KNOWN_ID_KEPT_FOR.saturating_sub(Duration::from_millis(1));
        assert_eq!(ids.right_of("a", &lights(), began + day), Some(Right::Receive), "it is still there");
        ids.end("a", began + day);
        ids.end("a", began + 2 * day);
        let right_after = |rest| ids.right_of("a", &lights(), began + day + rest);
        assert_eq!(right_after(last), Some(Right::Receive));
        assert_eq!(right_after(KNOWN_ID_KEPT_FOR), None);
    }

    #[test]
    fn an_id_vouches_for_its_channel_only() {
        let (mut ids, now) = (KnownIds::default(), Instant::now());
        ids.add("a".into(), lights(), Right::Send);
        ids.add("b".into(), ChannelName::MAIN, Right::Receive);
        assert_eq!(ids.right_of("a", &lights(), now), Some(Right::Send));
        assert_eq!(ids.right_of("a", &ChannelName::MAIN, now), None);
        assert_eq!(ids.right_of("b", &ChannelName::MAIN, now), Some(Right::Receive));
        assert_eq!(ids.right_of("c", &lights(), now), None);
        ids.end("c", now);
    }

    #[test]
    fn of_too_many_that_have_ended_the_first_are_forgotten_and_none_that_is_there() {
        let (mut ids, now) = (KnownIds::default(), Instant::now());
        ids.add("there".into(), lights(), Right::Send);
        for nth in 0..=KNOWN_IDS_MAX {
            ids.add(nth.to_string(), lights(), Right::Send);
            ids.end(&nth.to_string(), now);
        }
        let is_known = |id: &str| ids.right_of(id, &lights(), now).is_some();
        assert!(!is_known("0") && is_known("1") && is_known(&KNOWN_IDS_MAX.to_string()) && is_known("there"));
        assert_eq!((ids.known.len(), ids.ended.len()), (KNOWN_IDS_MAX + 1, KNOWN_IDS_MAX));
        ids.add("new".into(), lights(), Right::Send);
        ids.end("new", now + KNOWN_ID_KEPT_FOR);
        assert_eq!((ids.known.len(), ids.ended.len()), (2, 1), "what is old takes no memory");
    }

    proptest! {
        /// Against a list of all that ever were.
        #[test]
        fn whoever_comes_and_goes_the_right_ones_are_known(
            steps in prop::collection::vec((any::<bool>(), 0_usize..60, 0_u64..200), 1..200),
        ) {
            let began = Instant::now();
            let mut ids = KnownIds::default();
            let mut model: Vec<Option<Duration>> = Vec::new();
            let mut now = Duration::ZERO;
            for (is_new, nth, secs) in steps {
                now += Duration::from_secs(secs);
                if is_new {
                    ids.add(model.len().to_string(), lights(), Right::Send);
                    model.push(None);
                } else if let Some(ended) = model.get_mut(nth) {
                    ids.end(&nth.to_string(), began + now);
                    ended.get_or_insert(now);
                }
                for (nth, ended) in model.iter().enumerate() {
                    let expected = ended.is_none_or(|ended| now < ended + KNOWN_ID_KEPT_FOR);
                    prop_assert_eq!(ids.right_of(&nth.to_string(), &lights(), began + now).is_some(), expected);
                }
            }
        }
    }
}
