//! The recorder and the checker: everything that anybody was told by any board, held against all that was told before.
//!
//! What must stay true: a fact that contradicts another is told with both, and who was told them when. Boards may be behind each other: what one
//! of them has told counts against its own later answers, and against all only where that has to be (a new message comes behind all that
//! was told, a number names one message).

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use soak::message::Name;
use soak::told::{Told, Who};

use crate::channel::{Channel, Entry, Forgetting, Newest, Total};
use crate::position::Position;
use crate::said::Said;

/// What one message costs a backlog beside its payload, at most.
const OVERHEAD_BYTES: usize = 4 + 16;
/// How far two answers about when a message came may differ: each is rounded to seconds, twice, and a board that was told late what time it is at
/// Redis is behind by that, up to the 5 s that an answer may take.
const AT_TOLERANCE_SECS: u64 = 2 + 5;

/// All that is known.
#[derive(Debug)]
pub struct Book {
    began: Instant,
    channels: Vec<Mutex<Channel>>,
    said: Mutex<HashMap<Name, Said>>,
    /// How far writers may be ahead of the slowest reader.
    window: u64,
    /// The newer half of each channel's log.
    half_bytes: Vec<usize>,
    ids: Mutex<HashMap<String, Told>>,
    faults: AtomicU32,
    failure: Mutex<Option<String>>,
    is_over: AtomicBool,
    /// What has happened, line by line, for people.
    diary: Mutex<Option<File>>,
    /// Counters, for people.
    pub counts: Counts,
}

/// How often what was seen.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages that readers have got.
    pub deliveries: AtomicU64,
    /// Times that a reader has found its place again.
    pub resumed: AtomicU64,
    /// Times that a reader was told how many messages it has missed for good.
    pub lost: AtomicU64,
    /// Other answers that were checked.
    pub answers: AtomicU64,
    /// Times that a reader came to a board that was still in an epoch of before.
    pub behind: AtomicU64,
    /// Times that a writer could not be told what got through, since Redis had forgotten.
    pub unsure: AtomicU64,
}

/// What had been told of a channel when a request to a board began.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    board: usize,
    by_board: Option<Newest>,
    by_any: Option<Newest>,
}

impl Mark {
    /// One that binds nobody: what answers it may be from long before.
    pub fn unbound(board: usize) -> Self {
        Self { board, by_board: None, by_any: None }
    }

    /// The epoch in which the board was.
    pub fn epoch(&self) -> u64 {
        self.by_board.map_or(0, |newest| newest.position.epoch)
    }

    /// The request has made this message.
    ///
    /// # Errors
    /// If it is not behind all that was told before.
    pub fn check_made(&self, position: Position, told: Told) -> Result<(), String> {
        match self.by_any.filter(|before| before.position >= position) {
            Some(before) => Err(format!(
                "{position} is new ({told}), although {} was there before ({})",
                before.position, before.told
            )),
            None => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Microseconds since 1970: by the same clock Redis numbers epochs.
pub fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Book {
    /// An empty one, for channels with such newer halves.
    pub fn new(half_bytes: &[usize], window: u64) -> Self {
        Self {
            began: Instant::now(),
            channels: half_bytes.iter().map(|_| Mutex::default()).collect(),
            said: Mutex::default(),
            window,
            half_bytes: half_bytes.to_vec(),
            ids: Mutex::default(),
            faults: AtomicU32::new(0),
            failure: Mutex::default(),
            is_over: AtomicBool::new(false),
            diary: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// The same, which writes down in a file what has happened, for whoever looks for a reason.
    pub fn with_diary(self, file: File) -> Self {
        *lock(&self.diary) = Some(file);
        self
    }

    /// Writes down what has happened.
    pub fn write_down(&self, sentence: &dyn Display) {
        let millis = self.began.elapsed().as_millis();
        if let Some(file) = &mut *lock(&self.diary) {
            // Whoever reads it will see that it is not whole.
            let _ = writeln!(file, "{millis:>6} {sentence}");
        }
    }

    /// What is told to somebody now.
    pub fn told(&self, who: Who, by: &'static str) -> Told {
        Told { who, by, faults: self.faults.load(Relaxed), millis: self.began.elapsed().as_millis() }
    }

    /// Something is about to go wrong, on purpose.
    pub fn note_fault(&self) {
        self.faults.fetch_add(1, Relaxed);
    }

    /// Something is wrong: everybody may go. The first that is wrong is what is told.
    pub fn fail(&self, sentence: String) {
        lock(&self.failure).get_or_insert(sentence);
        self.is_over.store(true, Relaxed);
    }

    /// What was wrong first.
    pub fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Whether something is wrong.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// What has been told of a channel so far, for a request to this board.
    pub fn mark(&self, channel: usize, board: usize) -> Mark {
        let channel = lock(&self.channels[channel]);
        Mark { board, by_board: channel.newest_of[board], by_any: channel.newest }
    }

    /// The newest that anybody was told of a channel.
    pub fn newest(&self, channel: usize) -> Option<Position> {
        lock(&self.channels[channel]).newest.map(|newest| newest.position)
    }

    /// A board has told where the channel's newest message is, after a request that began at this mark.
    ///
    /// # Errors
    /// If there must not be such an epoch, or the board has gone back.
    pub fn head(&self, at: usize, head: Position, since: &Mark, told: Told) -> Result<(), String> {
        self.last(at, head, since, told)?;
        lock(&self.channels[at]).note(Some(since.board), head, told)
    }

    /// The same for one that says what Redis has, which the board itself may not have read yet.
    ///
    /// # Errors
    /// If there must not be such an epoch, or the board has gone back.
    pub fn last(&self, at: usize, head: Position, since: &Mark, told: Told) -> Result<(), String> {
        self.counts.answers.fetch_add(1, Relaxed);
        let mut channel = lock(&self.channels[at]);
        channel.note(None, head, told).map_err(|why| format!("channel {at}: {why}"))?;
        match since.by_board.filter(|before| before.position > head) {
            Some(before) => Err(format!(
                "channel {at}: board {} is at {head} ({told}), although it was at {} before ({})",
                since.board, before.position, before.told
            )),
            None => Ok(()),
        }
    }

    /// Somebody was told which message has a number.
    ///
    /// # Errors
    /// If another one had it, or nobody has said it.
    pub fn message(
        &self,
        at: usize,
        board: Option<usize>,
        position: Position,
        (bytes, is_binary): (&[u8], bool),
        told: Told,
    ) -> Result<Name, String> {
        let here = || format!("channel {at}, {position}");
        let name = Name::of(bytes, is_binary).map_err(|why| format!("{}: {why} ({told})", here()))?;
        match lock(&self.said).get(&name) {
            Some(said) if said.channel == at => {}
            Some(said) => {
                return Err(format!("{} is {name} ({told}), which was sent to channel {}", here(), said.channel));
            }
            None => return Err(format!("{} is {name} ({told}), which nobody has sent", here())),
        }
        let mut channel = lock(&self.channels[at]);
        channel.note(board, position, told).map_err(|why| format!("channel {at}: {why}"))?;
        let index = usize::try_from(position.seq).ok().and_then(|seq| seq.checked_sub(1));
        let index = index.ok_or_else(|| format!("{}: there is no such number ({told})", here()))?;
        let entries = &mut channel.epoch(position.epoch, told)?.messages;
        while entries.len() <= index {
            entries.push(None);
        }
        match &entries[index] {
            Some(entry) if entry.name != name => {
                Err(format!("{} is {name} ({told}), and is {} ({})", here(), entry.name, entry.told))
            }
            Some(_) => Ok(name),
            None => {
                entries[index] = Some(Entry { name, told, at: None });
                Ok(name)
            }
        }
    }

    /// Somebody was told when a message has come, in seconds since 1970.
    ///
    /// # Errors
    /// If it came at another time.
    pub fn came_at(&self, at: usize, position: Position, secs: u64, told: Told) -> Result<(), String> {
        let mut channel = lock(&self.channels[at]);
        let index = usize::try_from(position.seq).ok().and_then(|seq| seq.checked_sub(1)).unwrap_or(usize::MAX);
        let epoch = channel.epoch(position.epoch, told)?;
        let Some(Some(entry)) = epoch.messages.get_mut(index) else { return Ok(()) };
        let (first, first_told) = *entry.at.get_or_insert((secs, told));
        if first.abs_diff(secs) > AT_TOLERANCE_SECS {
            return Err(format!("channel {at}, {position} came at {secs} ({told}), and at {first} ({first_told})"));
        }
        Ok(())
    }

    /// Somebody is about to send a message, for the first time or again.
    pub fn note_sent(&self, channel: usize, name: Name) {
        let said = || Said { channel, sent: now_micros(), confirmed: None, is_refused: false };
        lock(&self.said).entry(name).or_insert_with(said);
    }

    /// Its writer was told that a message is in the log.
    pub fn note_confirmed(&self, name: Name, told: Told) {
        if let Some(said) = lock(&self.said).get_mut(&name) {
            said.confirmed.get_or_insert((now_micros(), told));
        }
    }

    /// Its writer was told that a message is not in the log, and never will be.
    pub fn note_refused(&self, name: Name) {
        if let Some(said) = lock(&self.said).get_mut(&name) {
            said.is_refused = true;
        }
    }

    /// One who does not count has got these, one after the other, on one connection.
    pub fn note_run(&self, channel: usize, told: Told, names: Vec<Name>) {
        lock(&self.channels[channel]).runs.push((told, names));
    }

    /// One more reader of a channel who must not miss anything. Nobody writes before it has [moved](Self::move_to) to its first place.
    pub fn add_reader(&self, channel: usize) -> usize {
        let places = &mut lock(&self.channels[channel]).places;
        places.push(None);
        places.len() - 1
    }

    /// A reader has all up to here.
    pub fn move_to(&self, channel: usize, reader: usize, position: Position) {
        lock(&self.channels[channel]).places[reader] = Some(position);
    }

    /// Whether more may be written: all readers are there, and none is far behind.
    pub fn has_room(&self, channel: usize) -> bool {
        let channel = lock(&self.channels[channel]);
        (0..channel.places.len()).all(|reader| channel.lag(reader) < self.window)
    }

    /// Whether all readers have all.
    pub fn is_read(&self) -> bool {
        self.channels.iter().all(|channel| {
            let channel = lock(channel);
            (0..channel.places.len()).all(|reader| channel.lag(reader) == 0)
        })
    }

    /// Who is how far behind, for people.
    pub fn lags(&self) -> String {
        let lags = self.channels.iter().map(|channel| {
            let channel = lock(channel);
            let lags = (0..channel.places.len()).map(|reader| match channel.lag(reader) {
                u64::MAX => format!("nowhere ({:?})", channel.places[reader].map(|place| place.to_string())),
                lag => lag.to_string(),
            });
            format!(
                "[{}] of {:?}",
                lags.collect::<Vec<_>>().join(" "),
                channel.newest.map(|newest| newest.position.to_string())
            )
        });
        lags.collect::<Vec<_>>().join(", ")
    }

    /// Somebody was told that so many messages are lost behind a position; `was_near` if it is one of those who must not miss anything.
    ///
    /// # Errors
    /// If they are in the newer half of the log.
    pub fn lost(&self, at: usize, behind: Position, lost: u64, told: Told, was_near: bool) -> Result<(), String> {
        self.counts.lost.fetch_add(1, Relaxed);
        let mut channel = lock(&self.channels[at]);
        let epoch = channel.epoch(behind.epoch, told)?;
        let cost = |seq: u64| epoch.entry(seq).map_or(0, |entry| entry.name.text().len()) + OVERHEAD_BYTES;
        let cost: usize = (behind.seq + 1..=epoch.head).map(cost).sum();
        if cost + 4096 < self.half_bytes[at] {
            return Err(format!(
                "channel {at}: {lost} messages behind {behind} are lost ({told}), although only {cost} bytes came since"
            ));
        }
        channel.has_lost |= was_near;
        Ok(())
    }

    /// Somebody is about to ask for a deletion.
    pub fn note_deletion(&self, channel: usize) {
        lock(&self.channels[channel]).deletions_asked += 1;
    }

    /// Redis is about to forget something of these channels.
    pub fn begin_forgetting(&self, channels: &[usize]) {
        for channel in channels {
            let forgetting = Forgetting { begins: now_micros(), ends: u64::MAX };
            lock(&self.channels[*channel]).forgettings.push(forgetting);
        }
    }

    /// All boards have found out.
    pub fn end_forgetting(&self, channels: &[usize]) {
        for channel in channels {
            if let Some(last) = lock(&self.channels[*channel]).forgettings.last_mut() {
                last.ends = now_micros();
            }
        }
    }

    /// Whether Redis has forgotten something of a channel since.
    pub fn has_forgotten_since(&self, channel: usize, micros: u64) -> bool {
        lock(&self.channels[channel]).forgettings.iter().any(|forgetting| forgetting.ends >= micros)
    }

    /// Somebody was told the id of its connection.
    ///
    /// # Errors
    /// If another connection has the same.
    pub fn id(&self, id: &str, told: Told) -> Result<(), String> {
        match lock(&self.ids).insert(id.to_owned(), told) {
            Some(earlier) => Err(format!("a connection has an id ({told}) that another had ({earlier})")),
            None => Ok(()),
        }
    }

    /// Which message has a number, as far as anybody was told.
    pub fn name_at(&self, channel: usize, position: Position) -> Option<Name> {
        let channel = lock(&self.channels[channel]);
        Some(channel.epochs.get(&position.epoch)?.entry(position.seq)?.name)
    }

    /// Checks what can only be said at the end, and counts the messages.
    ///
    /// # Errors
    /// If a message is missing, doubled, out of order, or must not be there.
    pub fn check_all(&self) -> Result<Total, String> {
        let said = lock(&self.said);
        let mut total = Total::default();
        for (at, channel) in self.channels.iter().enumerate() {
            let its: HashMap<_, _> =
                said.iter().filter(|(_, said)| said.channel == at).map(|(name, said)| (*name, *said)).collect();
            let Total { messages, twice } =
                lock(channel).check_all(&its).map_err(|why| format!("channel {at}: {why}"))?;
            total.messages += messages;
            total.twice += twice;
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests;
