//! What is known of one channel: its epochs, their messages, what each board has told, and how far its readers are.
//!
//! What must stay true: a number names one message, whoever told it, and an epoch begins only where somebody has given a reason.

use std::collections::{BTreeMap, HashMap};

use soak::message::Name;
use soak::told::Told;

use crate::position::Position;
use crate::said::{Said, is_ordered};

/// The number of boards.
pub const BOARDS: usize = 3;
/// How far from the beginning of a forgetting a message may have been confirmed that nobody has got: readers may be as far behind.
const BEHIND_MICROS_MAX: u64 = 5_000_000;

/// A message with its number.
#[derive(Debug)]
pub struct Entry {
    pub name: Name,
    pub told: Told,
    /// When it came, by the first answer that says it.
    pub at: Option<(u64, Told)>,
}

/// One epoch.
#[derive(Debug)]
pub struct Epoch {
    told: Told,
    pub messages: Vec<Option<Entry>>,
    pub head: u64,
    pub head_told: Told,
}

/// A time in which Redis forgets what it had, in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Forgetting {
    pub begins: u64,
    /// When all boards were known to have found out.
    pub ends: u64,
}

/// The newest that somebody was told.
#[derive(Debug, Clone, Copy)]
pub struct Newest {
    pub position: Position,
    pub told: Told,
}

/// One channel.
#[derive(Debug, Default)]
pub struct Channel {
    pub epochs: BTreeMap<u64, Epoch>,
    pub deletions_asked: usize,
    pub forgettings: Vec<Forgetting>,
    /// The newest that anybody was told, and that each board has told.
    pub newest: Option<Newest>,
    pub newest_of: [Option<Newest>; BOARDS],
    /// Where each reader is who must not miss anything.
    pub places: Vec<Option<Position>>,
    /// Whether somebody was away for longer than the newer half of a log holds.
    pub has_lost: bool,
    /// What clients that do not count have got, one after the other, on one connection.
    pub runs: Vec<(Told, Vec<Name>)>,
}

/// What the end says of a channel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many messages it had.
    pub messages: u64,
    /// How many of them came twice, since Redis had forgotten.
    pub twice: u64,
}

impl Channel {
    /// The epoch of this number.
    ///
    /// # Errors
    /// If it is a new one, and there is no reason for so many.
    pub fn epoch(&mut self, number: u64, told: Told) -> Result<&mut Epoch, String> {
        let reasons = 1 + self.deletions_asked + self.forgettings.len();
        if !self.epochs.contains_key(&number) && self.epochs.len() >= reasons {
            let known: Vec<_> =
                self.epochs.iter().map(|(number, epoch)| format!("{number} ({})", epoch.told)).collect();
            let (deleted, forgot) = (self.deletions_asked, self.forgettings.len());
            return Err(format!(
                "a new epoch {number} ({told}), although there were {deleted} deletions, and Redis has forgotten {forgot} times; known are \
                 {}",
                known.join(", ")
            ));
        }
        let new = || Epoch { told, messages: Vec::new(), head: 0, head_told: told };
        Ok(self.epochs.entry(number).or_insert_with(new))
    }

    /// Somebody was told that this is there.
    ///
    /// # Errors
    /// If there must not be such an epoch.
    pub fn note(&mut self, board: Option<usize>, position: Position, told: Told) -> Result<(), String> {
        let epoch = self.epoch(position.epoch, told)?;
        if position.seq > epoch.head {
            (epoch.head, epoch.head_told) = (position.seq, told);
        }
        let its = board.map(|board| &mut self.newest_of[board]);
        for newest in its.into_iter().chain([&mut self.newest]) {
            if newest.is_none_or(|newest| newest.position < position) {
                *newest = Some(Newest { position, told });
            }
        }
        Ok(())
    }

    /// How far a reader is behind; without end if it has no place in the newest epoch.
    pub fn lag(&self, reader: usize) -> u64 {
        match (self.places[reader], self.epochs.last_key_value()) {
            (Some(place), Some((number, last))) if place.epoch == *number => last.head.saturating_sub(place.seq),
            _ => u64::MAX,
        }
    }

    /// Whether a message was on its way when Redis forgot.
    fn was_under_way(&self, said: &Said) -> bool {
        let confirmed = said.confirmed.map_or(u64::MAX, |(at, _)| at);
        self.forgettings.iter().any(|forgetting| said.sent <= forgetting.ends && confirmed >= forgetting.begins)
    }

    /// Whether Redis forgot between the beginnings of these epochs.
    fn has_forgotten_between(&self, first: u64, second: u64) -> bool {
        self.forgettings.iter().any(|forgetting| first < forgetting.begins && forgetting.begins <= second)
    }

    /// Checks what can only be said at the end. `said` is what was said in this channel.
    ///
    /// # Errors
    /// If a message is missing, doubled, out of order, or must not be there.
    pub fn check_all(&self, said: &HashMap<Name, Said>) -> Result<Total, String> {
        let may_miss = self.deletions_asked > 0 || self.has_lost;
        let mut total = Total::default();
        let mut last: HashMap<u32, (Name, Position)> = HashMap::new();
        let mut all: HashMap<Name, Vec<Position>> = HashMap::new();
        for (&number, epoch) in &self.epochs {
            // Of an epoch that Redis forgot, nobody may have got the end.
            let is_forgotten = self.epochs.range(number + 1..).next().is_some() && !self.forgettings.is_empty();
            for seq in 1..=epoch.head {
                let here = Position { epoch: number, seq };
                let Some(Entry { name, told, .. }) = epoch.entry(seq) else {
                    if may_miss || is_forgotten {
                        continue;
                    }
                    return Err(format!("nobody has got {here}, although {}", epoch.head_told));
                };
                total.messages += 1;
                let its = said.get(name).ok_or_else(|| format!("{name} is {here} ({told}), and nobody has sent it"))?;
                if its.is_refused {
                    return Err(format!("{name} is {here} ({told}), although its writer was refused"));
                }
                let places = all.entry(*name).or_default();
                if let Some(first) = places.first() {
                    if !self.has_forgotten_between(first.epoch, number) || !self.was_under_way(its) {
                        return Err(format!("{name} is {first} and {here} ({told}){}", its.when()));
                    }
                    total.twice += 1;
                }
                places.push(here);
                if !is_ordered(name.writer) {
                    continue;
                }
                if let Some((before, there)) = last.insert(name.writer, (*name, here)) {
                    let is_excused = || {
                        self.was_under_way(its) || said.get(&before).is_some_and(|before| self.was_under_way(before))
                    };
                    if before.nth > name.nth && !is_excused() {
                        return Err(format!("{name} is {here} ({told}), behind its message {} at {there}", before.nth));
                    }
                }
            }
        }
        for (name, its) in said {
            let Some((at, told)) = its.confirmed.filter(|_| !may_miss && !all.contains_key(name)) else { continue };
            let is_forgotten =
                |forgetting: &Forgetting| at <= forgetting.ends && at + BEHIND_MICROS_MAX >= forgetting.begins;
            if !self.forgettings.iter().any(is_forgotten) {
                return Err(format!("{name} was confirmed ({told}), and nobody has got it"));
            }
        }
        self.check_runs(&all)?;
        Ok(total)
    }

    /// Clients that do not count get all that comes while they are there, in its order.
    fn check_runs(&self, all: &HashMap<Name, Vec<Position>>) -> Result<(), String> {
        for (told, names) in &self.runs {
            let mut before: Option<(Name, Position)> = None;
            for name in names {
                // Where one is in two epochs, or nobody has counted it, its number is not known.
                let Some([here]) = all.get(name).map(Vec::as_slice) else {
                    before = None;
                    if all.contains_key(name)
                        || self.deletions_asked > 0
                        || self.has_lost
                        || !self.forgettings.is_empty()
                    {
                        continue;
                    }
                    return Err(format!("{name} has come ({told}), and no reader who counts has got it"));
                };
                if let Some((earlier, there)) = before {
                    let follows =
                        here.epoch == there.epoch && (here.seq == there.seq + 1 || self.has_lost && *here > there);
                    if !follows && here.epoch <= there.epoch {
                        return Err(format!("behind {earlier} at {there} comes {name} at {here} ({told})"));
                    }
                }
                before = Some((*name, *here));
            }
        }
        Ok(())
    }
}

impl Epoch {
    /// The message of this number, if anybody was told of it.
    pub fn entry(&self, seq: u64) -> Option<&Entry> {
        self.messages.get(usize::try_from(seq).ok()?.checked_sub(1)?)?.as_ref()
    }
}
