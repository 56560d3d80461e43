//! The recorder and the checker: everything that anybody was told, held against all that was told before.
//!
//! What must stay true: a fact that contradicts another is told with both, and who was told them when. Only what was told before a
//! request began counts against its answer, so the order in which clients come to write things down does not matter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fastrand::Rng;
use soak::message::Name;
use soak::told::{Told, Who};

use crate::channel::{Channel, Entry};
use crate::mark::{Ended, Mark};

/// What one message costs a backlog beside its payload, at most.
const OVERHEAD_BYTES: usize = 4 + 16;
/// How far two answers about when a message came may differ: each is rounded to seconds, twice.
const AT_TOLERANCE_SECS: u64 = 2;
/// The server knows this many connections that have ended; here with some reserve.
const KNOWN_CONNECTIONS: u32 = 3000;

/// All that is known.
#[derive(Debug)]
pub struct Book {
    began: Instant,
    channels: Vec<Mutex<Channel>>,
    /// How far writers may be ahead of the slowest reader.
    window: u64,
    /// The newer half of each channel's log.
    half_bytes: Vec<usize>,
    ids: Mutex<HashMap<String, Told>>,
    ended: Mutex<Vec<Ended>>,
    joins: AtomicU32,
    kills: AtomicU32,
    failure: Mutex<Option<String>>,
    is_over: AtomicBool,
    /// Messages that readers have got.
    pub deliveries: AtomicU64,
    /// Times that a reader has found its place again.
    pub resumed: AtomicU64,
    /// Other answers that were checked.
    pub answers: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// An empty one, for channels with such newer halves, of which those behind the first few may be forgotten.
    pub fn new(half_bytes: &[usize], in_use: usize, window: u64) -> Self {
        let channel = |nth| Mutex::new(Channel { is_forgotten: nth >= in_use, ..Channel::default() });
        Self {
            began: Instant::now(),
            channels: (0..half_bytes.len()).map(channel).collect(),
            window,
            half_bytes: half_bytes.to_vec(),
            ids: Mutex::default(),
            ended: Mutex::default(),
            joins: AtomicU32::new(0),
            kills: AtomicU32::new(0),
            failure: Mutex::default(),
            is_over: AtomicBool::new(false),
            deliveries: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            answers: AtomicU64::new(0),
        }
    }

    /// What is told to somebody now.
    pub fn told(&self, who: Who, by: &'static str) -> Told {
        Told { who, by, faults: self.kills.load(Relaxed), millis: self.began.elapsed().as_millis() }
    }

    /// The server is about to be killed.
    pub fn note_kill(&self) {
        self.kills.fetch_add(1, Relaxed);
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

    /// What has been told of a channel so far.
    pub fn mark(&self, channel: usize) -> Mark {
        let channel = lock(&self.channels[channel]);
        let last = channel.epochs.last();
        Mark {
            epoch: channel.epochs.len().saturating_sub(1),
            head: last.map_or(0, |epoch| epoch.head),
            told: last.map(|epoch| epoch.head_told),
        }
    }

    /// Somebody was told where the channel's newest message is, after a request that began at this mark.
    ///
    /// # Errors
    /// If the epoch is another without a reason, or somebody was told of more.
    pub fn head(&self, at: usize, epoch: &str, head: u64, since: &Mark, told: Told) -> Result<(), String> {
        self.answers.fetch_add(1, Relaxed);
        let mut channel = lock(&self.channels[at]);
        let nth = channel.epoch(epoch, told).map_err(|why| format!("channel {at}: {why}"))?;
        let earlier = since.told.map_or_else(String::new, |told| format!("{told}"));
        if nth < since.epoch {
            return Err(format!(
                "channel {at} is in epoch {epoch} ({told}), although it was in a later one before ({earlier})"
            ));
        }
        if nth == since.epoch && head < since.head {
            return Err(format!(
                "channel {at} has {head} messages in epoch {epoch} ({told}), although it had {} before ({earlier})",
                since.head
            ));
        }
        channel.epochs[nth].note_head(head, told);
        Ok(())
    }

    /// Somebody was told which message has a number.
    ///
    /// # Errors
    /// If another one had it, or nobody has said it.
    pub fn message(
        &self,
        at: usize,
        (epoch, seq): (&str, u64),
        (bytes, is_binary): (&[u8], bool),
        told: Told,
    ) -> Result<Name, String> {
        let here = || format!("channel {at}, {epoch}:{seq}");
        let name = Name::of(bytes, is_binary).map_err(|why| format!("{}: {why} ({told})", here()))?;
        let mut channel = lock(&self.channels[at]);
        let nth = channel.epoch(epoch, told).map_err(|why| format!("channel {at}: {why}"))?;
        if seq == 0 {
            return Err(format!("{}: there is no such number ({told})", here()));
        }
        let entries = &mut channel.epochs[nth].messages;
        let index = usize::try_from(seq).map_err(|error| error.to_string())? - 1;
        while entries.len() <= index {
            entries.push(None);
        }
        match &entries[index] {
            Some(entry) if entry.name != name => {
                return Err(format!("{} is {name} ({told}), and is {} ({})", here(), entry.name, entry.told));
            }
            Some(_) => {}
            None => {
                entries[index] = Some(Entry { name, told, at: None });
            }
        }
        channel.epochs[nth].note_head(seq, told);
        Ok(name)
    }

    /// Somebody was told when a message has come, in seconds since 1970.
    ///
    /// # Errors
    /// If it came at another time.
    pub fn came_at(&self, at: usize, (epoch, seq): (&str, u64), secs: u64, told: Told) -> Result<(), String> {
        let mut channel = lock(&self.channels[at]);
        let nth = channel.epoch(epoch, told)?;
        let index = usize::try_from(seq).map_err(|error| error.to_string())? - 1;
        let Some(Some(entry)) = channel.epochs[nth].messages.get_mut(index) else { return Ok(()) };
        let (first, first_told) = *entry.at.get_or_insert((secs, told));
        if first.abs_diff(secs) > AT_TOLERANCE_SECS {
            return Err(format!("channel {at}, {epoch}:{seq} came at {secs} ({told}), and at {first} ({first_told})"));
        }
        Ok(())
    }

    /// One more reader of a channel who must not miss anything. Nobody writes before it has [moved](Self::move_to) to its first place.
    pub fn add_reader(&self, channel: usize) -> usize {
        let places = &mut lock(&self.channels[channel]).places;
        places.push(None);
        places.len() - 1
    }

    /// A reader has all up to here.
    pub fn move_to(&self, channel: usize, reader: usize, epoch: &str, seq: u64) {
        let mut channel = lock(&self.channels[channel]);
        let nth = channel.epochs.iter().position(|known| known.name == epoch);
        channel.places[reader] = nth.map(|nth| (nth, seq));
    }

    /// How far a reader is behind.
    pub fn lag(&self, channel: usize, reader: usize) -> u64 {
        lock(&self.channels[channel]).lag(reader)
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
            (0..channel.places.len()).map(|reader| channel.lag(reader)).collect::<Vec<_>>()
        });
        format!("{:?}", lags.collect::<Vec<_>>())
    }

    /// Somebody was told that so many messages are lost behind `seq`; `was_near` if it is one of those who must not miss anything.
    ///
    /// # Errors
    /// If they are in the newer half of the log.
    pub fn lost(
        &self,
        at: usize,
        (epoch, seq): (&str, u64),
        lost: u64,
        told: Told,
        was_near: bool,
    ) -> Result<(), String> {
        let mut channel = lock(&self.channels[at]);
        let nth = channel.epoch(epoch, told)?;
        let from = usize::try_from(seq).map_err(|error| error.to_string())?;
        let cost: usize = channel.epochs[nth].messages[from..]
            .iter()
            .map(|entry| entry.as_ref().map_or(0, |entry| entry.name.text().len()) + OVERHEAD_BYTES)
            .sum();
        if cost + 4096 < self.half_bytes[at] {
            return Err(format!(
                "channel {at}: {lost} messages behind {epoch}:{seq} are lost ({told}), although only {cost} bytes came since"
            ));
        }
        channel.has_lost |= was_near;
        Ok(())
    }

    /// Whether somebody was away for longer than the newer half of a log holds.
    pub fn has_lost(&self, channel: usize) -> bool {
        lock(&self.channels[channel]).has_lost
    }

    /// Somebody is about to ask for a deletion.
    pub fn note_deletion(&self, channel: usize) {
        lock(&self.channels[channel]).deletions_asked += 1;
    }

    /// Somebody was told the id of its connection.
    ///
    /// # Errors
    /// If another connection has the same.
    pub fn id(&self, id: &str, told: Told) -> Result<(), String> {
        self.joins.fetch_add(1, Relaxed);
        match lock(&self.ids).insert(id.to_owned(), told) {
            Some(earlier) => Err(format!("a connection has an id ({told}) that another had ({earlier})")),
            None => Ok(()),
        }
    }

    /// Somebody was told how many messages of an earlier connection are in the log.
    pub fn note_ended(&self, channel: usize, id: &str, taken: u64, told: Told) {
        let joins = self.joins.load(Relaxed);
        lock(&self.ended).push(Ended { channel, id: id.to_owned(), taken, told, joins });
    }

    /// Somebody is about to come in whose id nobody is told of here.
    pub fn note_join(&self) {
        self.joins.fetch_add(1, Relaxed);
    }

    /// How many connections with an id are known to have come since.
    pub fn joins_since(&self, ended: &Ended) -> u32 {
        self.joins.load(Relaxed) - ended.joins
    }

    /// A connection that has ended, which the server has to know.
    pub fn any_ended(&self, rng: &mut Rng) -> Option<Ended> {
        let ended = lock(&self.ended);
        let ended = ended.get(rng.usize(..ended.len().max(1)))?;
        (self.joins_since(ended) < KNOWN_CONNECTIONS).then(|| ended.clone())
    }

    /// Checks what can only be said at the end, and counts the messages. `sent` says in which channel which writer has sent how many messages;
    /// `must_be_there` whether a message has to be in the log (or must not).
    ///
    /// # Errors
    /// If a message is missing, doubled or out of order.
    pub fn check_all(
        &self,
        deleted: usize,
        must_be_there: impl Fn(Name) -> Option<bool>,
        sent: &[(usize, u32, u32)],
    ) -> Result<u64, String> {
        let all = self.channels.iter().enumerate().map(|(at, channel)| {
            let its: Vec<_> =
                sent.iter().filter(|(its, ..)| *its == at).map(|(_, writer, sent)| (*writer, *sent)).collect();
            let checked = lock(channel).check_all(at == deleted, &must_be_there, &its);
            checked.map_err(|why| format!("channel {at}: {why}"))
        });
        all.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Who = Who("test", 0);

    fn book() -> Book {
        Book::new(&[1 << 20, 1 << 20], 2, 10)
    }

    fn say(book: &Book, seq: u64, name: Name) -> Result<Name, String> {
        let text = name.text();
        book.message(0, ("e", seq), (text.as_bytes(), name.is_binary()), book.told(WHO, "a frame"))
    }

    fn name(writer: u32, nth: u32) -> Name {
        Name { writer, nth }
    }

    fn refused<T>(result: Result<T, String>, words: &str) {
        let sentence = result.err().expect("that is wrong");
        assert!(sentence.contains(words), "{sentence}");
    }

    #[test]
    fn a_number_names_one_message() {
        let book = book();
        say(&book, 1, name(1, 1)).unwrap();
        say(&book, 1, name(1, 1)).unwrap();
        refused(say(&book, 1, name(2, 1)), "e:1 is message 1 of writer 2");
    }

    #[test]
    fn what_nobody_has_said_is_seen() {
        let book = book();
        let told = book.told(WHO, "a frame");
        refused(book.message(0, ("e", 1), (b"1 1 cut", false), told), "not what anybody has said");
        refused(book.message(0, ("e", 1), (name(1, 1).text().as_bytes(), true), told), "the other kind");
    }

    #[test]
    fn a_head_does_not_go_back() {
        let book = book();
        say(&book, 1, name(1, 1)).unwrap();
        say(&book, 2, name(1, 2)).unwrap();
        let since = book.mark(0);
        let told = book.told(WHO, "a hello");
        book.head(0, "e", 2, &since, told).unwrap();
        refused(book.head(0, "e", 1, &since, told), "although it had 2");
        book.head(0, "e", 1, &Mark::unbound(), told).expect("it may be from before");
    }

    #[test]
    fn an_epoch_begins_only_where_messages_are_deleted() {
        let book = book();
        let told = book.told(WHO, "a hello");
        book.head(0, "first", 0, &book.mark(0), told).unwrap();
        refused(book.head(0, "second", 0, &book.mark(0), told), "was not deleted");
        book.note_deletion(0);
        book.head(0, "second", 0, &book.mark(0), told).unwrap();
        refused(book.head(0, "third", 0, &book.mark(0), told), "was not deleted");
        refused(book.head(0, "first", 0, &book.mark(0), told), "in a later one before");
    }

    #[test]
    fn a_channel_that_was_forgotten_does_not_come_back() {
        let book = Book::new(&[1 << 20], 0, 10);
        let told = book.told(WHO, "the answer to a post");
        for epoch in ["first", "second"] {
            book.head(0, epoch, 5, &book.mark(0), told).unwrap();
        }
        refused(book.head(0, "first", 5, &book.mark(0), told), "in a later one before");
    }

    #[test]
    fn what_is_missing_doubled_or_out_of_order_is_seen_in_the_end() {
        let check = |names: &[Option<Name>], sent: u32| {
            let book = book();
            for (seq, name) in (1..).zip(names) {
                if let Some(name) = name {
                    say(&book, seq, *name).unwrap();
                }
            }
            book.check_all(1, |_| Some(true), &[(0, 1, sent)])
        };
        let [one, two, three] = [1, 2, 3].map(|nth| Some(name(1, nth)));
        assert_eq!(check(&[one, two, three], 3), Ok(3));
        refused(check(&[one, two], 3), "message 3 of writer 1 was confirmed");
        refused(check(&[one, None, two], 2), "nobody has got e:2");
        refused(check(&[one, two, one], 2), "is e:1 and e:3");
        refused(check(&[one, three, two], 3), "behind its message 3");
    }

    #[test]
    fn what_was_refused_must_not_be_there() {
        let book = book();
        say(&book, 1, name(1, 1)).unwrap();
        refused(book.check_all(1, |_| Some(false), &[(0, 1, 1)]), "was refused");
        assert_eq!(book.check_all(1, |_| None, &[(0, 1, 2)]), Ok(1), "of which nobody knows");
    }

    #[test]
    fn the_newer_half_is_never_lost() {
        let book = Book::new(&[10_000], 1, 10);
        for nth in 1..=3 {
            say(&book, nth.into(), name(1, nth)).unwrap();
        }
        let told = book.told(WHO, "a hello");
        refused(book.lost(0, ("e", 0), 3, told, true), "although only");
        for nth in 4..=2000 {
            say(&book, nth.into(), name(1, nth)).unwrap();
        }
        book.lost(0, ("e", 0), 3, told, true).unwrap();
    }

    #[test]
    fn an_id_and_a_time_are_given_once() {
        let book = book();
        let told = book.told(WHO, "a hello");
        book.id("a", told).unwrap();
        refused(book.id("a", told), "that another had");
        say(&book, 1, name(1, 1)).unwrap();
        book.came_at(0, ("e", 1), 100, told).unwrap();
        book.came_at(0, ("e", 1), 101, told).unwrap();
        refused(book.came_at(0, ("e", 1), 110, told), "came at 110");
    }

    #[test]
    fn nobody_writes_before_all_readers_are_there_nor_far_ahead_of_one() {
        let book = book();
        let reader = book.add_reader(0);
        assert!(!book.has_room(0));
        book.head(0, "e", 0, &book.mark(0), book.told(WHO, "a hello")).unwrap();
        book.move_to(0, reader, "e", 0);
        assert!(book.has_room(0) && book.is_read());
        for nth in 1..=10 {
            say(&book, nth.into(), name(1, nth)).unwrap();
        }
        assert!(!book.has_room(0) && !book.is_read());
        book.move_to(0, reader, "e", 10);
        assert!(book.has_room(0) && book.is_read());
    }
}
