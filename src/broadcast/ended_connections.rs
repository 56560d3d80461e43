//! Connections that have ended, by their ids, for the clients that come back: what got through, and what they had shown by a code.
//!
//! No clock: every call is told the time. Leaves those that are there to `replacing`. What must stay true: an id vouches for its own
//! channel only; no more than so many are known, and what they had shown by a code counts for a while only; those without a code push out
//! none with one, or who has no code could have others kept out during a lock.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::access::codes::Right;
use crate::broadcast::connection_id::ConnectionId;
use crate::config::limits::{ENDED_CONNECTION_CODE_KEPT_FOR, ENDED_CONNECTIONS_MAX};
use crate::hub::channel_name::ChannelName;

/// What is known of a connection, for its client when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How many messages of it are in the log of its channel, deleted ones too.
    pub taken: u64,
    /// The right that it has shown by a code.
    pub by_code: Option<Right>,
}

/// Those that have ended a short time ago.
#[derive(Debug, Default)]
pub struct EndedConnections {
    ended: HashMap<ConnectionId, Ended>,
    without_code: Queue,
    with_code: Queue,
}

/// Ids, the one that has ended first in front.
type Queue = VecDeque<ConnectionId>;

#[derive(Debug)]
struct Ended {
    at: Instant,
    channel: ChannelName,
    known: Known,
}

impl EndedConnections {
    /// Notes a connection to this channel that has ended.
    pub fn add(&mut self, id: ConnectionId, channel: ChannelName, known: Known, now: Instant) {
        self.ended.insert(id, Ended { at: now, channel, known });
        let queue = if known.by_code.is_some() { &mut self.with_code } else { &mut self.without_code };
        queue.push_back(id);
        if queue.len() > ENDED_CONNECTIONS_MAX {
            let first = queue.pop_front().expect("it is not empty");
            self.ended.remove(&first);
        }
    }

    /// Notes that one message fewer of this connection is in the log.
    #[cfg(feature = "redis")]
    pub fn note_refused(&mut self, id: ConnectionId) {
        if let Some(Ended { known, .. }) = self.ended.get_mut(&id) {
            known.taken = known.taken.saturating_sub(1);
        }
    }

    /// Whether one with this id is known.
    #[cfg(feature = "redis")]
    pub fn has(&self, id: ConnectionId) -> bool {
        self.ended.contains_key(&id)
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    /// Hands over each that is known, with its channel and how many messages of it were taken; of those of either kind the first to end comes
    /// first.
    pub fn each(&self, mut take: impl FnMut(ConnectionId, &ChannelName, u64)) {
        for id in self.with_code.iter().chain(&self.without_code) {
            if let Some(Ended { channel, known, .. }) = self.ended.get(id) {
                take(*id, channel, known.taken);
            }
        }
    }

    /// What is known of a connection to this channel: what got through, as long as there is a place for it; its code for a while only.
    pub fn get(&self, id: ConnectionId, channel: &ChannelName, now: Instant) -> Option<Known> {
        let Ended { at, known, .. } = self.ended.get(&id).filter(|ended| ended.channel == *channel)?;
        let is_old = now.saturating_duration_since(*at) >= ENDED_CONNECTION_CODE_KEPT_FOR;
        Some(Known { by_code: known.by_code.filter(|_| !is_old), ..*known })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn lights() -> ChannelName {
        ChannelName::parse("lights").unwrap()
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::parse(&format!("{number:016x}")).unwrap()
    }

    fn known(taken: u64, by_code: Option<Right>) -> Known {
        Known { taken, by_code }
    }

    #[test]
    fn what_got_through_is_known_after_any_time_and_the_code_for_a_while() {
        let (mut ended, began) = (EndedConnections::default(), Instant::now());
        let had = known(7, Some(Right::Receive));
        ended.add(id(1), lights(), had, began);
        let last = ENDED_CONNECTION_CODE_KEPT_FOR.saturating_sub(Duration::from_millis(1));
        assert_eq!(ended.get(id(1), &lights(), began), Some(had));
        assert_eq!(ended.get(id(1), &lights(), began + last), Some(had));
        for later in [ENDED_CONNECTION_CODE_KEPT_FOR, Duration::from_secs(86_400)] {
            assert_eq!(ended.get(id(1), &lights(), began + later), Some(known(7, None)));
        }
    }

    #[test]
    fn an_id_vouches_for_its_channel_only() {
        let (mut ended, now) = (EndedConnections::default(), Instant::now());
        let [one, other] = [known(1, Some(Right::Send)), known(2, None)];
        ended.add(id(1), lights(), one, now);
        ended.add(id(2), ChannelName::MAIN, other, now);
        assert_eq!(ended.get(id(1), &lights(), now), Some(one));
        assert_eq!(ended.get(id(1), &ChannelName::MAIN, now), None);
        assert_eq!(ended.get(id(2), &ChannelName::MAIN, now), Some(other));
        assert_eq!(ended.get(id(3), &ChannelName::MAIN, now), None);
    }

    #[test]
    fn of_too_many_the_first_is_forgotten_and_none_with_a_code_for_one_without() {
        let (mut ended, now) = (EndedConnections::default(), Instant::now());
        let coded = known(0, Some(Right::Receive));
        ended.add(id(0), lights(), coded, now);
        for number in 1..=ENDED_CONNECTIONS_MAX + 1 {
            ended.add(id(number), lights(), known(0, None), now);
        }
        let is_known = |ended: &EndedConnections, number| ended.get(id(number), &lights(), now).is_some();
        assert!(is_known(&ended, 0), "it has shown a code");
        assert!(!is_known(&ended, 1) && is_known(&ended, 2) && is_known(&ended, ENDED_CONNECTIONS_MAX + 1));
        for number in 1..=ENDED_CONNECTIONS_MAX {
            ended.add(id(1_000_000 + number), lights(), coded, now);
        }
        assert!(!is_known(&ended, 0) && is_known(&ended, 2));
        assert_eq!(ended.ended.len(), 2 * ENDED_CONNECTIONS_MAX);
        let queued = ended.with_code.len() + ended.without_code.len();
        assert_eq!(queued, ended.ended.len(), "what is forgotten takes no memory");
    }

    #[test]
    fn each_is_handed_over_once_those_with_a_code_first_and_of_these_who_ended_first() {
        let (mut ended, now) = (EndedConnections::default(), Instant::now());
        assert!(ended.is_empty());
        for (number, by_code) in [(1, None), (2, Some(Right::Send)), (3, None), (4, Some(Right::Receive))] {
            ended.add(id(number), lights(), known(10 * number as u64, by_code), now);
        }
        assert!(!ended.is_empty());
        let mut each = Vec::new();
        ended.each(|id, channel, taken| each.push((id, channel.clone(), taken)));
        assert_eq!(each, [2, 4, 1, 3].map(|number| (id(number), lights(), 10 * number as u64)));
    }

    proptest! {
        /// Against a list of all that ever were.
        #[test]
        fn however_many_come_and_go_the_right_ones_are_known(
            steps in prop::collection::vec((any::<bool>(), 0_u64..200), 1..200),
        ) {
            let began = Instant::now();
            let mut ended = EndedConnections::default();
            let mut model: Vec<(Duration, Known)> = Vec::new();
            let mut now = Duration::ZERO;
            for (has_code, secs) in steps {
                now += Duration::from_secs(secs);
                let of_this = known(secs, has_code.then_some(Right::Send));
                ended.add(id(model.len()), lights(), of_this, began + now);
                model.push((now, of_this));
                for (number, (at, of_it)) in model.iter().enumerate() {
                    let is_fresh = now < *at + ENDED_CONNECTION_CODE_KEPT_FOR;
                    let expected = known(of_it.taken, of_it.by_code.filter(|_| is_fresh));
                    prop_assert_eq!(ended.get(id(number), &lights(), began + now), Some(expected));
                }
            }
        }
    }
}
