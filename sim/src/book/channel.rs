//! What is known of one channel: its epochs, and why there may be more than one.
//!
//! Leaves an epoch's messages to `log`. What must stay true: a new epoch has a reason, and one that was over is over.

use std::time::Duration;

use crate::book::log::Log;

/// What was known of a channel when somebody asked it for something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark {
    /// When.
    pub at: Duration,
    /// The epoch that was told last, and its newest number.
    pub position: Option<(usize, u64)>,
}

/// A channel.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says what may be for a reason of its own")]
pub struct Channel {
    /// Its name; empty for the main one.
    pub name: String,
    /// Its epochs, in the order in which they were told.
    pub epochs: Vec<Log>,
    /// How many may have begun, beside the first.
    pub reasons: usize,
    /// It may have been forgotten for another.
    pub may_be_forgotten: bool,
    /// Any number may have begun: it may have been forgotten for another, or the disk has failed.
    pub may_begin_anew: bool,
    /// One that was over may be there again: its files could not be removed, and a later server has found them.
    pub may_go_back: bool,
    /// In which life of the server that may be for the first time.
    pub goes_back_from: u64,
    /// Somebody has read in it who takes a little now and then.
    pub has_slow_readers: bool,
    /// Since when there has been nobody who could have been told of what the server had then.
    pub lost_at: Duration,
    /// When somebody was told last of a message that nobody was told of before.
    pub last_news: Duration,
    kept_bytes_max: usize,
}

impl Channel {
    /// One that nobody was told of.
    pub fn new(name: String, kept_bytes_max: usize) -> Self {
        Self {
            name,
            epochs: Vec::new(),
            reasons: 0,
            may_be_forgotten: false,
            may_begin_anew: false,
            may_go_back: false,
            goes_back_from: u64::MAX,
            has_slow_readers: false,
            lost_at: Duration::ZERO,
            last_news: Duration::ZERO,
            kept_bytes_max,
        }
    }

    /// What is known now.
    pub fn mark(&self, at: Duration) -> Mark {
        let newest =
            self.epochs.iter().enumerate().filter(|(_, log)| !log.is_dead).max_by_key(|(_, log)| log.windows[1].1);
        Mark { at, position: newest.map(|(nth, log)| (nth, log.head)) }
    }

    /// Somebody was told, in answer to a request that began at `mark`, that the channel is in this epoch, with this newest number.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn position(&mut self, epoch: &str, head: u64, mark: &Mark, now: Duration) -> Result<usize, String> {
        let window = (mark.at, now);
        let found = self.epochs.iter().position(|log| log.epoch == epoch);
        let nth = match found {
            Some(nth) => nth,
            None => self.begin(epoch, window)?,
        };
        let log = &mut self.epochs[nth];
        if log.is_dead && mark.at >= self.lost_at {
            return Err(format!("epoch: {epoch} goes on, although it was lost before the request began"));
        }
        if let Some((its, known)) = mark.position {
            if its == nth && head < known {
                return Err(format!("head: epoch {epoch} has {head} messages, although it had {known} before"));
            }
        }
        if now < log.windows[0].1 {
            log.windows[0] = window;
        }
        if window.0 >= log.windows[1].0 {
            log.windows[1] = window;
        }
        log.head = log.head.max(head);
        let (first, last) = (log.windows[0].1, log.windows[1].0);
        let lies_between = |window: &(Duration, Duration)| first < window.0 && window.1 < last;
        for (other, log) in self.epochs.iter().enumerate() {
            if other != nth && !self.may_go_back && log.windows.iter().any(lies_between) {
                return Err(format!("epoch: {epoch} is there again, and between was {}", log.epoch));
            }
        }
        Ok(nth)
    }

    fn begin(&mut self, epoch: &str, window: (Duration, Duration)) -> Result<usize, String> {
        if self.epochs.len() > self.reasons && !self.may_begin_anew && !self.epochs.is_empty() {
            let last = self.epochs.last().map_or("", |log| &log.epoch);
            return Err(format!("new epoch: {epoch} has begun behind {last}, and there was no reason"));
        }
        self.epochs.push(Log::new(epoch, self.kept_bytes_max, window));
        Ok(self.epochs.len() - 1)
    }

    /// All that the server had is gone: nobody who asks from now on is told of it.
    pub fn lose(&mut self, now: Duration) {
        self.epochs.iter_mut().for_each(|log| log.is_dead = true);
        self.lost_at = now;
        self.reasons += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn mark(channel: &Channel, at: u64) -> Mark {
        channel.mark(secs(at))
    }

    fn wrong(result: Result<usize, String>, kind: &str) {
        let sentence = result.expect_err("that cannot be");
        assert!(sentence.starts_with(kind), "{sentence}");
    }

    #[test]
    fn an_epoch_needs_a_reason() {
        let mut channel = Channel::new(String::new(), 1000);
        channel.position("a", 3, &mark(&channel, 0), secs(1)).unwrap();
        wrong(channel.position("b", 0, &mark(&channel, 2), secs(3)), "new epoch");
        channel.reasons += 1;
        channel.position("b", 0, &mark(&channel, 2), secs(3)).unwrap();
        wrong(channel.position("c", 0, &mark(&channel, 4), secs(5)), "new epoch");
        wrong(channel.position("a", 3, &mark(&channel, 6), secs(7)), "epoch: a is there again");
    }

    #[test]
    fn who_has_asked_before_may_be_told_of_what_was_there_then() {
        let mut channel = Channel::new(String::new(), 1000);
        let early = mark(&channel, 0);
        channel.reasons = 1;
        channel.position("b", 0, &mark(&channel, 1), secs(2)).unwrap();
        channel.position("a", 3, &early, secs(3)).unwrap();
        channel.position("b", 1, &mark(&channel, 4), secs(5)).unwrap();
    }

    #[test]
    fn the_newest_number_does_not_go_back() {
        let mut channel = Channel::new(String::new(), 1000);
        let early = mark(&channel, 0);
        channel.position("a", 3, &early, secs(1)).unwrap();
        wrong(channel.position("a", 2, &mark(&channel, 2), secs(3)), "head");
        channel.position("a", 2, &early, secs(3)).unwrap();
    }

    #[test]
    fn what_was_lost_does_not_come_back() {
        let mut channel = Channel::new(String::new(), 1000);
        channel.position("a", 3, &mark(&channel, 0), secs(1)).unwrap();
        let before = mark(&channel, 1);
        channel.lose(secs(2));
        channel.position("a", 3, &before, secs(3)).unwrap();
        wrong(channel.position("a", 3, &mark(&channel, 2), secs(3)), "epoch: a goes on");
        channel.position("b", 0, &mark(&channel, 2), secs(3)).unwrap();
    }
}
