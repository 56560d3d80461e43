//! One epoch of a channel, as far as anybody was told of it: which message has which number.
//!
//! Leaves to `sources` whether a message was sent at all. What must stay true: the first to be told decides what a number names, and whoever is told later is held against
//! that; in the common case this costs a comparison of bytes.

use std::time::Duration;

use crate::book::content::{Content, frame_bytes, put_frame};

/// What a message costs the server's backlog beside its frame, in bytes.
const INDEX_ENTRY_BYTES: usize = 16;
/// What a frame's head has at most, in bytes.
const HEAD_BYTES_MAX: usize = 10;

/// A message that has a number.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name; of an empty one only the style counts.
    pub content: Content,
    /// Who was told first.
    pub by: u32,
    /// And when.
    pub at: Duration,
}

/// An epoch.
#[derive(Debug)]
pub struct Log {
    /// Its name.
    pub epoch: String,
    entries: Vec<Option<Entry>>,
    known: u64,
    /// The frames of entries from `first` on, all of them known.
    frames: Vec<u8>,
    starts: Vec<usize>,
    first: u64,
    kept_bytes_max: usize,
    /// The largest number that anybody was told of.
    pub head: u64,
    /// The first and the last request that was answered with it: begun, and answered.
    pub windows: [(Duration, Duration); 2],
    /// Nobody who asks now may be told of it: what it was in is lost.
    pub is_dead: bool,
}

impl Log {
    /// An empty one, which keeps frames for who is up to so many bytes behind.
    pub fn new(epoch: &str, kept_bytes_max: usize, window: (Duration, Duration)) -> Self {
        Self {
            epoch: epoch.to_owned(),
            entries: Vec::new(),
            known: 0,
            frames: Vec::new(),
            starts: Vec::new(),
            first: 1,
            kept_bytes_max,
            head: 0,
            windows: [window; 2],
            is_dead: false,
        }
    }

    /// Whether a number is known to name the message in this frame. False: it is another one, or not known here.
    #[inline]
    pub fn is(&self, seq: u64, frame: &[u8]) -> bool {
        let nth = seq.wrapping_sub(self.first);
        if nth >= self.starts.len() as u64 {
            return false;
        }
        let nth = usize::try_from(nth).unwrap_or(usize::MAX);
        let end = self.starts.get(nth + 1).copied().unwrap_or(self.frames.len());
        self.frames[self.starts[nth]..end] == *frame
    }

    /// What a number is known to name.
    pub fn get(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.checked_sub(1)?).ok()?)?.as_ref()
    }

    /// How many of the numbers from `from` to `to` are not known.
    pub fn unknown(&self, from: u64, to: u64) -> usize {
        if to == self.known {
            return 0;
        }
        (from..=to).filter(|&seq| self.get(seq).is_none()).count()
    }

    /// How many numbers from `from` to `to` name an empty message, or are not known.
    pub fn room_for_nameless(&self, from: u64, to: u64) -> usize {
        (from..=to).filter(|&seq| self.get(seq).is_none_or(|entry| entry.content.is_empty())).count()
    }

    /// Notes what a number names that was not known.
    pub fn learn(&mut self, seq: u64, entry: Entry) {
        let Some(nth) = seq.checked_sub(1).and_then(|nth| usize::try_from(nth).ok()) else { return };
        if self.entries.len() <= nth {
            self.entries.resize(nth + 1, None);
        }
        self.known += u64::from(self.entries[nth].is_none());
        self.entries[nth] = Some(entry);
        self.head = self.head.max(seq);
        let next = self.first + self.starts.len() as u64;
        if seq > next && self.get(next).is_none() {
            // Nobody may ever be told of what lies between: the frames begin anew here.
            self.frames.clear();
            self.starts.clear();
            self.first = seq;
        }
        while let Some(entry) = self.get(self.first + self.starts.len() as u64) {
            let content = entry.content;
            self.starts.push(self.frames.len());
            put_frame(content.style.is_text(), content.bytes as usize, &mut self.frames, |into| content.write(into));
        }
        self.trim();
    }

    fn trim(&mut self) {
        if self.frames.len() <= 2 * self.kept_bytes_max {
            return;
        }
        let cut = self.starts.partition_point(|&start| start + self.kept_bytes_max < self.frames.len());
        let cut = cut.min(self.starts.len().saturating_sub(1));
        let bytes = self.starts[cut];
        self.frames.drain(..bytes);
        self.starts.drain(..cut);
        self.starts.iter_mut().for_each(|start| *start -= bytes);
        self.first += cut as u64;
    }

    /// The first number that the newer half of a backlog of this size has, if the newest is `head` and everything is known that this takes.
    pub fn newer_half(&self, head: u64, backlog_bytes: usize) -> Option<u64> {
        let half_bytes = backlog_bytes / 2 + HEAD_BYTES_MAX + INDEX_ENTRY_BYTES;
        let mut left_bytes = half_bytes;
        let mut first = head + 1;
        while first > 1 {
            let cost_bytes = frame_bytes(self.get(first - 1)?.content.bytes as usize) + INDEX_ENTRY_BYTES;
            let Some(left) = left_bytes.checked_sub(cost_bytes) else { break };
            left_bytes = left;
            first -= 1;
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::content::Style;

    fn entry(nth: u32, bytes: usize) -> Entry {
        Entry { content: Content::new(1, nth, bytes, Style::Words), by: 0, at: Duration::ZERO }
    }

    fn frame(nth: u32, bytes: usize) -> Vec<u8> {
        let content = entry(nth, bytes).content;
        let mut frame = Vec::new();
        put_frame(true, content.bytes as usize, &mut frame, |into| content.write(into));
        frame
    }

    #[test]
    fn a_number_is_one_frame_and_no_other() {
        let mut log = Log::new("e", 1000, Default::default());
        log.learn(1, entry(1, 50));
        log.learn(2, entry(2, 50));
        assert!(log.is(1, &frame(1, 50)) && log.is(2, &frame(2, 50)));
        assert!(!log.is(1, &frame(2, 50)) && !log.is(3, &frame(3, 50)) && !log.is(0, &frame(1, 50)));
        assert!(!log.is(2, &frame(2, 51)));
    }

    #[test]
    fn what_lies_long_back_is_known_though_its_frame_is_not_kept() {
        let mut log = Log::new("e", 1000, Default::default());
        for nth in 1..=100 {
            log.learn(u64::from(nth), entry(nth, 50));
        }
        assert!(!log.is(1, &frame(1, 50)) && log.is(100, &frame(100, 50)) && log.is(90, &frame(90, 50)));
        assert_eq!(log.get(1).unwrap().content, entry(1, 50).content);
        assert!(log.frames.len() <= 2000);
    }

    #[test]
    fn a_hole_is_closed_when_somebody_is_told_what_was_in_it() {
        let mut log = Log::new("e", 1000, Default::default());
        log.learn(2, entry(2, 50));
        assert!(log.is(2, &frame(2, 50)));
        assert_eq!((log.unknown(1, 2), log.unknown(2, 2), log.head), (1, 0, 2));
        log.learn(1, entry(1, 50));
        assert_eq!(log.unknown(1, 2), 0);
        log.learn(3, entry(3, 50));
        assert!(log.is(3, &frame(3, 50)));
    }

    #[test]
    fn the_newer_half_counts_frames_and_index() {
        let mut log = Log::new("e", 10_000, Default::default());
        for nth in 1..=10 {
            log.learn(u64::from(nth), entry(nth, 82));
        }
        // 84 bytes of frame and 16 of index, and half of 948 + 52.
        assert_eq!(log.newer_half(10, 948), Some(6));
        assert_eq!(log.newer_half(10, 947), Some(7));
        assert_eq!(log.newer_half(3, 948), Some(1));
        assert_eq!(log.newer_half(11, 948), None);
    }
}
