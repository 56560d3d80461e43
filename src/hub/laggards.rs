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
        Self { patience, accounts: BTreeMap::new() }
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
}
