//! What is known of one channel: its epochs, their messages, and how far its readers are.
//!
//! What must stay true: a number names one message, and an epoch begins only after somebody has asked for a deletion.

use std::collections::HashMap;

use soak::message::Name;
use soak::told::Told;

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
    pub name: String,
    told: Told,
    pub messages: Vec<Option<Entry>>,
    pub head: u64,
    pub head_told: Told,
}

/// One channel.
#[derive(Debug, Default)]
pub struct Channel {
    pub epochs: Vec<Epoch>,
    pub deletions_asked: usize,
    /// Where each reader is who must not miss anything: the epoch and the number of its last message.
    pub places: Vec<Option<(usize, u64)>>,
    /// Whether it is one that may be forgotten for another, at any time.
    pub is_forgotten: bool,
    /// Somebody was away for longer than the newer half of the log holds.
    pub has_lost: bool,
}

impl Channel {
    /// Which epoch this is, from 0.
    ///
    /// # Errors
    /// If it is a new one, and nobody has asked for a deletion.
    pub fn epoch(&mut self, name: &str, told: Told) -> Result<usize, String> {
        if let Some(nth) = self.epochs.iter().position(|epoch| epoch.name == name) {
            return Ok(nth);
        }
        if let Some(last) =
            self.epochs.last().filter(|_| self.epochs.len() > self.deletions_asked && !self.is_forgotten)
        {
            return Err(format!(
                "a new epoch {name} ({told}), although {} was not deleted (at first {}; at last {})",
                last.name, last.told, last.head_told
            ));
        }
        self.epochs.push(Epoch { name: name.to_owned(), told, messages: Vec::new(), head: 0, head_told: told });
        Ok(self.epochs.len() - 1)
    }

    /// Checks what can only be said at the end, and counts the messages. `sent` says how many messages each writer has sent; `must_be_there` whether
    /// a message has to be in the log (or must not).
    ///
    /// # Errors
    /// If a message is missing, doubled or out of order.
    pub fn check_all(
        &self,
        is_deleted: bool,
        must_be_there: impl Fn(Name) -> Option<bool>,
        sent: &[(u32, u32)],
    ) -> Result<u64, String> {
        let may_miss = is_deleted || self.is_forgotten || self.has_lost;
        let mut last: HashMap<u32, (u32, String)> = HashMap::new();
        let mut all: HashMap<Name, String> = HashMap::new();
        for epoch in &self.epochs {
            let reaches = usize::try_from(epoch.head).map_err(|error| error.to_string())?;
            for index in 0..reaches {
                let here = format!("{}:{}", epoch.name, index + 1);
                let Some(entry) = epoch.messages.get(index).and_then(Option::as_ref) else {
                    if may_miss {
                        continue;
                    }
                    return Err(format!("nobody has got {here}, although {}", epoch.head_told));
                };
                let Entry { name, told, .. } = entry;
                if let Some(first) = all.insert(*name, here.clone()) {
                    return Err(format!("{name} is {first} and {here} ({told})"));
                }
                if must_be_there(*name) == Some(false) {
                    return Err(format!("{name} is {here} ({told}), although its writer was refused"));
                }
                let before = last.insert(name.writer, (name.nth, here.clone()));
                if let Some((nth, there)) = before.filter(|(nth, _)| *nth > name.nth) {
                    return Err(format!("{name} is {here} ({told}), behind its message {nth} at {there}"));
                }
            }
        }
        let names = sent.iter().flat_map(|&(writer, sent)| (1..=sent).map(move |nth| Name { writer, nth }));
        let missing = names.filter(|name| !all.contains_key(name)).find(|name| must_be_there(*name) == Some(true));
        match missing.filter(|_| !may_miss) {
            Some(name) => Err(format!("{name} was confirmed, and nobody has got it")),
            None => Ok(all.len() as u64),
        }
    }

    /// How far a reader is behind; without end if it has no place in the newest epoch.
    pub fn lag(&self, reader: usize) -> u64 {
        match (self.places[reader], self.epochs.last()) {
            (Some((nth, seq)), Some(last)) if nth + 1 == self.epochs.len() => last.head.saturating_sub(seq),
            _ => u64::MAX,
        }
    }
}

impl Epoch {
    /// Somebody was told of a number.
    pub fn note_head(&mut self, head: u64, told: Told) {
        if head > self.head {
            (self.head, self.head_told) = (head, told);
        }
    }
}
