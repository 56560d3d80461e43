//! The epochs of a channel: within one, numbers go on and name one message each.
//!
//! Leaves to others when one ends. What must stay true: for each frame that a stream has still to get it is known of which epoch it is, and
//! there are never many.
//!
//! A channel that is shared may miss numbers of its epoch: others have let go what this board had not read yet. Then the epoch begins
//! again here, behind these.

use std::collections::VecDeque;

use crate::config::limits::PAST_EPOCHS_MAX;

/// The present epoch, and those before it of which some stream has still to get frames.
#[derive(Debug)]
pub struct Epochs {
    /// In their order; never empty.
    list: VecDeque<Epoch>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) name: String,
    /// Which it is of all that the channel has had.
    pub(super) nth: u64,
    /// How many frames the backlog had before it.
    pub(super) frames_before: u64,
    /// The number before that of its first frame.
    numbers_before: u64,
    /// How many numbers were missed right before it.
    pub(super) lost: u64,
}

/// With what an epoch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Its name.
    pub name: String,
    /// The number before that of its first message here: 0, unless it had some elsewhere.
    pub numbers_before: u64,
    /// How many of these are missed here: they came behind what the channel has had of this epoch. 0 if it is another one than before.
    pub lost: u64,
}

impl From<String> for Beginning {
    /// A new one, of which there is no message anywhere.
    fn from(name: String) -> Self {
        Self { name, numbers_before: 0, lost: 0 }
    }
}

impl Epoch {
    /// The number of a frame of it.
    pub(super) fn number_of(&self, frame: u64) -> u64 {
        self.numbers_before + (frame - self.frames_before)
    }
}

impl Epochs {
    /// The first one.
    pub fn new(name: String) -> Self {
        let first = Epoch { name, nth: 0, frames_before: 0, numbers_before: 0, lost: 0 };
        Self { list: VecDeque::from([first]) }
    }

    /// The name of the present one.
    pub fn present(&self) -> &str {
        &self.last().name
    }

    /// How many frames the backlog had before the present one.
    pub fn frames_before(&self) -> u64 {
        self.last().frames_before
    }

    /// The number of the newest message of the present one; `frames` the backlog has had in all.
    pub fn head(&self, frames: u64) -> u64 {
        self.last().number_of(frames)
    }

    /// The number of a frame of the present one.
    pub fn number_of(&self, frame: u64) -> u64 {
        self.last().number_of(frame)
    }

    /// The frame with this number of the present one, or the first that it has here.
    pub fn frame_of(&self, number: u64) -> u64 {
        let last = self.last();
        last.frames_before + number.saturating_sub(last.numbers_before).max(1)
    }

    /// The number of the newest message of any of them; `frames` the backlog has had in all.
    pub(super) fn head_of(&self, epoch: &Epoch, frames: u64) -> u64 {
        let next = self.list.iter().find(|other| other.nth > epoch.nth);
        epoch.number_of(next.map_or(frames, |next| next.frames_before))
    }

    /// Begins a new one behind so many frames, and forgets those of which nobody needs a frame: `first_needed` is the number of the oldest
    /// that somebody does. Returns the number of the first frame that somebody may need: whoever needs an older one has to go, so that
    /// its epoch can be forgotten the next time.
    pub fn begin(&mut self, beginning: impl Into<Beginning>, frames_before: u64, first_needed: u64) -> u64 {
        let Beginning { name, numbers_before, lost } = beginning.into();
        let nth = self.last().nth + 1;
        // One that has had no frame.
        self.list.retain(|past| past.frames_before < frames_before);
        while self.list.get(1).is_some_and(|second| second.frames_before < first_needed) {
            self.list.pop_front();
        }
        self.list.push_back(Epoch { name, nth, frames_before, numbers_before, lost });
        let too_many = self.list.len().saturating_sub(1 + PAST_EPOCHS_MAX);
        self.list[too_many].frames_before + 1
    }

    /// The epoch in which a needed frame is, or that comes next, by its number in the backlog.
    pub(super) fn of(&self, seq: u64) -> &Epoch {
        self.list.iter().rev().find(|epoch| epoch.frames_before < seq).unwrap_or(&self.list[0])
    }

    /// The present one.
    pub(super) fn last(&self) -> &Epoch {
        self.list.back().expect("it is never empty")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The epoch of a frame, and its number there.
    fn find(epochs: &Epochs, seq: u64) -> (&str, u64) {
        let epoch = epochs.of(seq);
        (&epoch.name, epoch.number_of(seq))
    }

    #[test]
    fn every_frame_that_is_needed_is_of_its_epoch() {
        let mut epochs = Epochs::new("a".into());
        epochs.begin("b".to_owned(), 3, 1);
        epochs.begin("c".to_owned(), 5, 1);
        assert_eq!(
            [1, 3, 4, 5, 6, 9].map(|seq| find(&epochs, seq)),
            [("a", 1), ("a", 3), ("b", 1), ("b", 2), ("c", 1), ("c", 4)]
        );
        assert_eq!((epochs.present(), epochs.frames_before()), ("c", 5));
    }

    #[test]
    fn an_epoch_of_which_nothing_is_needed_is_forgotten() {
        let mut epochs = Epochs::new("a".into());
        epochs.begin("b".to_owned(), 0, 1);
        assert_eq!(epochs.list.len(), 1, "nothing came before it");
        epochs.begin("c".to_owned(), 3, 1);
        epochs.begin("d".to_owned(), 6, 4);
        assert_eq!(find(&epochs, 4), ("c", 1));
        assert_eq!(epochs.list.len(), 2, "of the second nothing is left");
    }

    #[test]
    fn an_epoch_has_had_the_frames_up_to_the_next_one() {
        let mut epochs = Epochs::new("a".into());
        epochs.begin("b".to_owned(), 3, 1);
        epochs.begin("c".to_owned(), 5, 1);
        assert_eq!([1, 4, 6].map(|seq| epochs.head_of(epochs.of(seq), 9)), [3, 2, 4]);
    }

    #[test]
    fn one_that_goes_on_behind_what_was_missed_keeps_its_name_and_its_numbers() {
        let mut epochs = Epochs::new("a".into());
        epochs.begin(Beginning { name: "a".into(), numbers_before: 12, lost: 9 }, 3, 1);
        assert_eq!([3, 4, 6].map(|frame| find(&epochs, frame)), [("a", 3), ("a", 13), ("a", 15)]);
        assert_eq!((epochs.head(3), epochs.head(6), epochs.number_of(4)), (12, 15, 13));
        assert_eq!([1, 13, 14].map(|number| epochs.frame_of(number)), [4, 4, 5]);
        assert_eq!([1, 4].map(|frame| epochs.head_of(epochs.of(frame), 6)), [3, 15]);
        assert_eq!([1, 4].map(|frame| epochs.of(frame).lost), [0, 9]);
    }

    #[test]
    fn whoever_needs_a_frame_of_one_that_is_too_long_past_has_to_go() {
        let mut epochs = Epochs::new("0".into());
        for nth in 1..=PAST_EPOCHS_MAX as u64 {
            assert_eq!(epochs.begin(nth.to_string(), nth, 1), 1, "{nth} are past");
        }
        assert_eq!(epochs.begin("next".to_owned(), PAST_EPOCHS_MAX as u64 + 1, 1), 2);
    }
}
