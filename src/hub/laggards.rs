//! Subscribers that are behind: who of them is the furthest, how long others have waited for each, and for whom they have waited
//! long enough.
//!
//! No clock: the time comes in as an argument. What must stay true: the lowest cursor is known at once, and nothing here costs
//! more than those who are behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::limits::PROGRESS_BYTES_MIN;

/// All that are behind, in the order of their cursors. Each is known by its slot.
#[derive(Debug)]
pub struct Laggards {
    patience: Duration,
    accounts: BTreeMap<(u64, usize), Account>,
    /// Whether somebody waited at the last review.
    is_charging: bool,
}

/// How long others have waited for one subscriber.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// Since its last progress, the present wait not counted.
    waited: Duration,
    /// When the present wait began, if somebody is waiting for it.
    since: Option<Instant>,
    /// Where its cursor was at its last progress.
    progress_mark: u64,
}

impl Laggards {
    /// Nobody is behind. Others wait for one of them for at most `patience`.
    pub fn new(patience: Duration) -> Self {
        Self { patience, accounts: BTreeMap::new(), is_charging: false }
    }

    /// How many are behind.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether nobody is behind.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The cursor of the one that is the furthest behind.
    pub fn lowest_cursor(&self) -> Option<u64> {
        self.accounts.first_key_value().map(|((cursor, _), _)| *cursor)
    }

    /// Whether somebody waited at the last review, so that waits run until the next.
    pub fn is_charging(&self) -> bool {
        self.is_charging
    }

    /// Takes in one that has just fallen behind.
    pub fn insert(&mut self, slot: usize, cursor: u64) {
        let account = Account { waited: Duration::ZERO, since: None, progress_mark: cursor };
        self.accounts.insert((cursor, slot), account);
    }

    /// Forgets one that has caught up, which clears its account, or has left.
    pub fn remove(&mut self, slot: usize, cursor: u64) {
        self.accounts.remove(&(cursor, slot));
    }

    /// Moves a subscriber that is still behind. Its wait starts again at zero each time it has taken [`PROGRESS_BYTES_MIN`]: a
    /// slow reader that moves stays, one that trickles is dropped.
    pub fn advance(&mut self, slot: usize, from: u64, to: u64) {
        let mut account = self.accounts.remove(&(from, slot)).expect("it was inserted when it fell behind");
        if to - account.progress_mark >= PROGRESS_BYTES_MIN {
            // A wait that is under way begins anew with the next review.
            account = Account { waited: Duration::ZERO, since: None, progress_mark: to };
        }
        self.accounts.insert((to, slot), account);
    }

    /// Runs the wait of every subscriber below `charged_below`, and stops that of the others. Returns the slots of those that
    /// have blocked others for longer than the patience, and when to check next: `None` if nobody is blocked.
    pub fn review(&mut self, now: Instant, charged_below: Option<u64>) -> (Vec<usize>, Option<Instant>) {
        self.is_charging = charged_below.is_some();
        let mut late = Vec::new();
        let mut look_again = charged_below.map(|_| now + self.patience);
        for (&(cursor, slot), account) in &mut self.accounts {
            if charged_below.is_some_and(|position| cursor < position) {
                let since = *account.since.get_or_insert(now);
                let ends = since + self.patience.saturating_sub(account.waited);
                if ends <= now {
                    late.push(slot);
                } else {
                    look_again = look_again.min(Some(ends));
                }
            } else if let Some(since) = account.since.take() {
                account.waited += now.saturating_duration_since(since);
            }
        }
        (late, look_again)
    }

    /// Begins the accounts of these anew: others have waited for something else.
    pub fn excuse(&mut self, is_excused: impl Fn(usize) -> bool) {
        for (&(cursor, slot), account) in &mut self.accounts {
            if is_excused(slot) {
                *account = Account { waited: Duration::ZERO, since: None, progress_mark: cursor };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[test]
    fn a_trickle_does_not_buy_patience_and_a_stream_does() {
        for (bytes_per_sec, stays) in [(PROGRESS_BYTES_MIN / 8, false), (PROGRESS_BYTES_MIN, true)] {
            let mut laggards = Laggards::new(PATIENCE);
            let mut now = Instant::now();
            let mut cursor = 10 * PROGRESS_BYTES_MIN;
            laggards.insert(0, cursor);
            let mut late = Vec::new();
            for _ in 0..10 {
                late.extend(laggards.review(now, Some(u64::MAX)).0);
                now += Duration::from_secs(1);
                laggards.advance(0, cursor, cursor + bytes_per_sec);
                cursor += bytes_per_sec;
            }
            assert_eq!(late.is_empty(), stays, "{bytes_per_sec} bytes a second");
        }
    }

    #[test]
    fn a_wait_that_is_over_stops_the_account_but_does_not_clear_it() {
        let mut laggards = Laggards::new(PATIENCE);
        let start = Instant::now();
        laggards.insert(0, 0);
        for (begins_secs, waits_ms) in [(0, 1500), (60, 300)] {
            let begins = start + Duration::from_secs(begins_secs);
            assert!(laggards.review(begins, Some(1)).0.is_empty());
            let is_over = begins + Duration::from_millis(waits_ms);
            assert_eq!(laggards.review(is_over, None), (vec![], None), "nobody waits any longer");
        }
        let much_later = start + Duration::from_secs(120);
        let ends = much_later + Duration::from_millis(200);
        assert_eq!(laggards.review(much_later, Some(1)), (vec![], Some(ends)), "1.8 of 2 seconds are used up");
        assert_eq!(laggards.review(ends, Some(1)).0, [0]);
    }

    #[test]
    fn who_is_excused_has_all_patience_again() {
        let mut laggards = Laggards::new(PATIENCE);
        let start = Instant::now();
        for slot in [0, 1] {
            laggards.insert(slot, 0);
        }
        laggards.review(start, Some(1));
        laggards.excuse(|slot| slot == 1);
        let ends = start + PATIENCE;
        assert_eq!(laggards.review(ends, Some(1)).0, [0]);
        assert_eq!(laggards.review(ends + PATIENCE, Some(1)).0, [0, 1]);
    }

    #[test]
    fn only_those_below_what_somebody_waits_for_are_charged() {
        let mut laggards = Laggards::new(PATIENCE);
        assert!(laggards.is_empty());
        let start = Instant::now();
        for (slot, cursor) in [(0, 50), (1, 10), (2, 20)] {
            laggards.insert(slot, cursor);
        }
        assert_eq!(laggards.lowest_cursor(), Some(10));
        laggards.review(start, Some(20));
        assert_eq!(laggards.review(start + PATIENCE, Some(20)).0, [1], "20 has all below 20");
        laggards.remove(1, 10);
        assert_eq!((laggards.lowest_cursor(), laggards.len(), laggards.is_empty()), (Some(20), 2, false));
    }
}
