//! For how long somebody may wait whose message has to get into a log.
//!
//! Leaves which message it is to others. What must stay true: the bounds follow from what docs/reference.md and SECURITY.md say, and none is so wide that a hang
//! gets past it.

use std::time::Duration;

use foghorn::config::settings::Limits;

use crate::book::Book;
use crate::book::telling::Told;
use crate::scenario::State;

/// A client that others wait for has to take so much in each patience, in bytes.
const PROGRESS_BYTES: usize = 64 * 1024;
/// What a disk takes, and what waits for it.
const DISK_TAKES: Duration = Duration::from_secs(60);
/// What is between the server and its client at most, beside what follows from the patience.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Who else is in a channel in which somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Each takes all at once, or nothing any more.
    TakeAllOrNothing,
    /// Some take a little now and then, and so may begin a patience of their own with what they have taken before.
    TakeSome,
    /// Whoever waits is not told what gets into the log meanwhile.
    Unknown,
}

/// For how long a channel may stand still in which somebody waits: each client that keeps the next message waiting takes 64 KiB in each
/// patience or is dropped, and all of them have to take what makes room for it: its own length, and that of one message that is out in part.
pub fn standstill_max(limits: &Limits, message_bytes_max: usize, others: Others) -> Duration {
    let more = match others {
        Others::TakeAllOrNothing => 0,
        Others::TakeSome => 1,
        Others::Unknown => 2,
    };
    let turns = (2 * (message_bytes_max + 26)).div_ceil(PROGRESS_BYTES) + more;
    limits.patience * u32::try_from(turns).unwrap_or(u32::MAX)
}

impl Book {
    /// Whether somebody who is prompt, and has waited `since` then for its message to get into the log, still may; and whether it is
    /// told of what gets there.
    ///
    /// # Errors
    /// If the channel has stood still for too long.
    pub fn check_wait(&self, channel: usize, since: Duration, is_told: bool, told: Told) -> Result<(), String> {
        let its = &self.channels[channel];
        let stands_since = since.max(its.last_news);
        let others = match (is_told, its.has_slow_readers) {
            (false, _) => Others::Unknown,
            (true, true) => Others::TakeSome,
            (true, false) => Others::TakeAllOrNothing,
        };
        let due = stands_since + self.wait_max(channel, others);
        if told.at <= due {
            return Ok(());
        }
        Err(format!(
            "waited too long: client {} waits for the pong behind its messages since {since:?}, and channel /{} has had nothing new since {:?}, now it is {:?}",
            told.by, its.name, its.last_news, told.at
        ))
    }

    /// Whether what is said has to be on a disk before it is told.
    pub fn has_disk(&self) -> bool {
        self.state == State::OnDisk
    }

    /// Whether the server may not have on its disk yet what there was to write at this moment.
    pub fn may_wait_for_disk(&self, since: Duration) -> bool {
        let (works, rested_at) = self.disk_works;
        works && rested_at < since
    }

    /// For how long a channel may stand still in which somebody waits, and what else takes time.
    pub fn wait_max(&self, channel: usize, others: Others) -> Duration {
        // A way is quick enough for who is prompt if it takes an eighth of the patience.
        let on_its_way = (self.limits.patience / 2 + ON_ITS_WAY / 8).min(ON_ITS_WAY);
        let on_its_way = if self.state == State::OnDisk { DISK_TAKES } else { on_its_way };
        standstill_max(&self.limits, self.message_bytes_max(channel), others) + on_its_way
    }

    /// Somebody reads in a channel who takes a little now and then.
    pub fn note_slow_reader(&mut self, channel: usize) {
        self.channels[channel].has_slow_readers = true;
    }
}
