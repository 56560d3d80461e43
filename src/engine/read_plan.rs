//! What is read next, and how much of it: streams that are behind one group after the other, all others together, when something comes.
//!
//! Leaves asking for it to `reader`. What must stay true: a reply has about [`REDIS_READ_BYTES`], by the size of what has come before, however
//! many streams have something; and no stream waits for ever for another one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::config::limits::{REDIS_READ_BYTES, REDIS_READ_ENTRIES};
use crate::engine::entry::{Content, Entry, EntryId};
use crate::hub::channel_name::ChannelName;

/// The streams that are read, and how far.
#[derive(Debug)]
pub struct ReadPlan {
    positions: BTreeMap<ChannelName, EntryId>,
    /// Those that may have more than a reply takes; the next first.
    behind: VecDeque<ChannelName>,
    /// How many entries a reply may have.
    entries: usize,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// The streams, each behind which entry.
    pub streams: Vec<(ChannelName, EntryId)>,
    /// How many entries of each.
    pub count: usize,
    /// Whether it is waited for something to come.
    pub is_blocking: bool,
}

impl ReadPlan {
    /// For these streams, behind these entries.
    pub fn new(streams: Vec<(ChannelName, EntryId)>) -> Self {
        let positions: BTreeMap<_, _> = streams.into_iter().collect();
        let behind = positions.keys().cloned().collect();
        Self { positions, behind, entries: REDIS_READ_ENTRIES[0] }
    }

    /// Reads one more stream, or one from elsewhere on.
    pub fn read(&mut self, channel: ChannelName, position: EntryId) {
        if !self.behind.contains(&channel) {
            self.behind.push_back(channel.clone());
        }
        self.positions.insert(channel, position);
    }

    /// Reads a stream no longer.
    pub fn leave(&mut self, channel: &ChannelName) {
        self.positions.remove(channel);
        self.behind.retain(|behind| behind != channel);
    }

    /// What to ask for.
    pub fn next(&self) -> Ask {
        let with_position = |channel: &ChannelName| (channel.clone(), self.positions[channel]);
        let group = self.behind.len().min((self.entries / REDIS_READ_ENTRIES[0]).max(1));
        if group == 0 {
            let streams = self.positions.keys().map(with_position).collect();
            return Ask { streams, count: self.entries, is_blocking: true };
        }
        // Those that were not behind come along, as nothing much has come there since: one busy stream holds up none of them.
        let behind: BTreeSet<_> = self.behind.iter().collect();
        let others = self.positions.keys().filter(|channel| !behind.contains(channel));
        let streams = self.behind.iter().take(group).chain(others).map(with_position).collect();
        Ask { streams, count: (self.entries / group).max(1), is_blocking: false }
    }

    /// Notes what has come when that was asked for.
    pub fn note(&mut self, ask: &Ask, came: &[(ChannelName, Vec<Entry>)]) {
        let mut is_full = false;
        let (mut count, mut bytes) = (0, 0);
        let asked: BTreeSet<_> = ask.streams.iter().map(|(channel, _)| channel).collect();
        let waited_for = self.behind.iter().take_while(|channel| asked.contains(channel)).count();
        self.behind.drain(..waited_for);
        for (channel, entries) in came {
            if let (Some(position), Some(last)) = (self.positions.get_mut(channel), entries.last()) {
                *position = last.id;
            }
            if entries.len() >= ask.count {
                is_full = true;
                self.behind.push_back(channel.clone());
            }
            count += entries.len();
            bytes += entries.iter().map(entry_bytes).sum::<usize>();
        }
        if (is_full || !ask.is_blocking) && bytes < REDIS_READ_BYTES / 2 {
            self.entries = (2 * self.entries).min(REDIS_READ_ENTRIES[1]);
        }
        if let Some(average) = bytes.checked_div(count) {
            self.entries = self.entries.min((REDIS_READ_BYTES / average).max(1));
        }
    }
}

/// About what an entry takes in a reply.
fn entry_bytes(entry: &Entry) -> usize {
    const WORDS: usize = 100;
    WORDS + if let Content::Message { frame, .. } = &entry.content { frame.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::entry::Author;

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text).unwrap()
    }

    fn at(seq: u64) -> EntryId {
        EntryId { epoch: 1, seq }
    }

    fn message(seq: u64, bytes: usize) -> Entry {
        let author = Author { board: 1, counter: seq };
        Entry { id: at(seq), content: Content::Message { author, at_unix_secs: 0, frame: vec![0; bytes] } }
    }

    /// Reads until it would wait; the largest reply in bytes, and how often was asked.
    fn catch_up(plan: &mut ReadPlan, log: &BTreeMap<ChannelName, Vec<Entry>>) -> (usize, usize) {
        let (mut largest, mut asked) = (0, 0);
        loop {
            let ask = plan.next();
            let mut came = Vec::new();
            for (channel, position) in &ask.streams {
                let new = log[channel].iter().filter(|entry| entry.id > *position);
                let new: Vec<Entry> = new.take(ask.count).cloned().collect();
                if !new.is_empty() {
                    came.push((channel.clone(), new));
                }
            }
            if ask.is_blocking {
                assert!(came.is_empty(), "it waits for what is there");
                return (largest, asked);
            }
            let bytes = came.iter().flat_map(|(_, entries)| entries).map(entry_bytes).sum();
            largest = largest.max(bytes);
            asked += 1;
            plan.note(&ask, &came);
        }
    }

    fn log(channels: usize, entries: u64, bytes: usize) -> BTreeMap<ChannelName, Vec<Entry>> {
        let entries: Vec<Entry> = (1..=entries).map(|seq| message(seq, bytes)).collect();
        (0..channels).map(|nth| (name(&format!("c{nth}")), entries.clone())).collect()
    }

    fn plan(log: &BTreeMap<ChannelName, Vec<Entry>>) -> ReadPlan {
        ReadPlan::new(log.keys().map(|channel| (channel.clone(), at(0))).collect())
    }

    #[test]
    fn what_is_behind_is_read_to_its_end_in_replies_of_a_bounded_size() {
        for (channels, entries, bytes, most_asks) in
            [(1, 10_000, 10, 30), (1000, 1, 10, 30), (200, 20, 10, 60), (3, 40, 100_000, 80), (30, 3, 1 << 20, 130)]
        {
            let log = log(channels, entries, bytes);
            let mut plan = plan(&log);
            let (largest, asked) = catch_up(&mut plan, &log);
            let first = REDIS_READ_ENTRIES[0] * (bytes + 100);
            assert!(largest <= first.max(2 * REDIS_READ_BYTES), "{channels} of {entries} of {bytes}: {largest}");
            assert!(asked <= most_asks, "{channels} of {entries} of {bytes}: {asked}");
            assert!(plan.positions.values().all(|position| *position == at(entries)));
        }
    }

    #[test]
    fn a_stream_that_is_always_behind_holds_up_no_other() {
        let mut plan = ReadPlan::new(vec![(name("busy"), at(0)), (name("calm"), at(0))]);
        for _ in 0..10 {
            let ask = plan.next();
            assert!(ask.streams.contains(&(name("calm"), at(0))) || ask.streams.len() == 1);
            let busy = ask.streams.iter().find(|(channel, _)| *channel == name("busy"));
            let came = busy.map(|(channel, position)| {
                let entries = (position.seq + 1..=position.seq + ask.count as u64).map(|seq| message(seq, 10));
                (channel.clone(), entries.collect())
            });
            plan.note(&ask, came.as_slice());
        }
        assert_eq!(plan.next().streams.len(), 2);
        assert!(!plan.next().is_blocking);
    }

    #[test]
    fn streams_come_and_go_and_are_read_from_elsewhere() {
        let mut plan = ReadPlan::new(Vec::new());
        let ask = Ask { streams: Vec::new(), count: REDIS_READ_ENTRIES[0], is_blocking: true };
        assert_eq!(plan.next(), ask);
        plan.read(name("a"), at(7));
        plan.read(name("a"), at(3));
        assert_eq!((plan.next().streams, plan.next().is_blocking), (vec![(name("a"), at(3))], false));
        let ask = plan.next();
        plan.note(&ask, &[(name("a"), vec![message(4, 1)])]);
        assert_eq!((plan.next().streams, plan.next().is_blocking), (vec![(name("a"), at(4))], true));
        plan.leave(&name("a"));
        assert_eq!(plan.next().streams, []);
    }
}
