//! What was sent: each message of each connection, and what is known of what became of it.
//!
//! Leaves to `log` which number it has. What must stay true: what is known of a message never changes but from unsure to settled, and whatever
//! says otherwise is found.

use std::time::Duration;

use crate::book::content::{Content, Style};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody was told.
    Unsure,
    /// Its sender was told that it is in the log, by a pong, which says nothing of where the log ends.
    Answered,
    /// Its sender was told that it is in the log, and was told of a newest number that is no less.
    Confirmed,
    /// Its sender was told that it is not, and never will be; or could not be.
    Never,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// What fills it, and how long it is.
    pub style: Style,
    /// Its length.
    pub bytes: u32,
    /// What became of it.
    pub fate: Fate,
    /// When it was sent.
    pub at: Duration,
    /// In which epoch of its channel it was seen, and with which number; 0 where it was not.
    pub seen: (u32, u64),
}

/// A connection that sends.
#[derive(Debug)]
pub struct Source {
    /// Whose it is.
    pub actor: u32,
    /// To which channel.
    pub channel: usize,
    /// In which life of the server it was asked for, and in which its client was told that it is there: it was let in in one of these.
    pub lives: [u64; 2],
    /// How many of its messages were taken, if its client was told.
    pub taken: Option<u64>,
    /// Up to which a pong has said that they are there.
    answered: u32,
    messages: Vec<Sent>,
}

impl Source {
    /// One that has sent nothing yet.
    pub fn new(actor: u32, channel: usize, life: u64) -> Self {
        Self { actor, channel, lives: [life; 2], taken: None, answered: 0, messages: Vec::new() }
    }

    /// Notes one more message, as number `source` of all sources.
    pub fn send(&mut self, source: u32, bytes: usize, style: Style, at: Duration) -> Content {
        let nth = u32::try_from(self.messages.len() + 1).unwrap_or(u32::MAX);
        let content = Content::new(source, nth, bytes, style);
        // Behind what was taken nothing is.
        let fate = if self.taken.is_some() { Fate::Never } else { Fate::Unsure };
        self.messages.push(Sent { style, bytes: content.bytes, fate, seen: (0, 0), at });
        content
    }

    /// A message by its number, from 1.
    pub fn get(&self, nth: u32) -> Option<&Sent> {
        self.messages.get((nth as usize).checked_sub(1)?)
    }

    /// What it was, as number `source` of all sources.
    pub fn content(&self, source: u32, nth: u32) -> Option<Content> {
        self.get(nth).map(|sent| Content { source, nth, bytes: sent.bytes, style: sent.style })
    }

    /// All of them, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Sent)> {
        (1..).zip(&self.messages)
    }

    /// Notes that a message was seen in a log.
    ///
    /// # Errors
    /// If it must not be there, is there already, or stands on the wrong side of one that was sent before or behind it.
    pub fn see(&mut self, nth: u32, epoch: u32, seq: u64) -> Result<(), String> {
        let Some(sent) = self.get(nth).copied() else { return Err("unsent: nobody has sent it".to_owned()) };
        if sent.fate == Fate::Never {
            return Err("never taken: its sender was told that it is not there".to_owned());
        }
        if sent.seen.1 != 0 && sent.seen != (epoch, seq) {
            return Err(format!("twice: it has number {} too", sent.seen.1));
        }
        let neighbour = |nth: Option<u32>| nth.and_then(|nth| self.get(nth)).map(|sent| sent.seen);
        let before = neighbour(nth.checked_sub(1)).filter(|seen| seen.0 == epoch && seen.1 != 0);
        let behind = neighbour(nth.checked_add(1)).filter(|seen| seen.0 == epoch && seen.1 != 0);
        if before.is_some_and(|(_, its)| its >= seq) {
            return Err("order: the one that was sent before it comes behind it".to_owned());
        }
        if behind.is_some_and(|(_, its)| its <= seq) {
            return Err("order: the one that was sent behind it comes before it".to_owned());
        }
        self.messages[nth as usize - 1].seen = (epoch, seq);
        Ok(())
    }

    /// Its sender was told that a message is in the log.
    ///
    /// # Errors
    /// If it was told that it is not.
    pub fn confirm(&mut self, nth: u32) -> Result<(), String> {
        self.settle(nth, Fate::Confirmed)
    }

    /// The same of all up to this one, by a pong.
    ///
    /// # Errors
    /// If it was told that one of them is not.
    pub fn answer(&mut self, nth: u32) -> Result<(), String> {
        for nth in self.answered + 1..=nth {
            self.settle(nth, Fate::Answered)?;
        }
        self.answered = self.answered.max(nth);
        Ok(())
    }

    /// Its sender was told that a message is not in the log, or knows that it cannot come to be there.
    ///
    /// # Errors
    /// If it is.
    pub fn refuse(&mut self, nth: u32) -> Result<(), String> {
        self.settle(nth, Fate::Never)
    }

    fn settle(&mut self, nth: u32, fate: Fate) -> Result<(), String> {
        let Some(sent) = self.messages.get_mut((nth as usize).wrapping_sub(1)) else {
            return Err(format!("unsent: message {nth} was never sent"));
        };
        match (fate, sent.fate) {
            (Fate::Never, Fate::Confirmed | Fate::Answered) => {
                return Err(format!("taken too little: message {nth} is not there, although it was said to be"));
            }
            (Fate::Confirmed | Fate::Answered, Fate::Never) => {
                return Err(format!("taken too much: message {nth} is there, although it was said not to be"));
            }
            (Fate::Never, _) if sent.seen.1 != 0 => {
                return Err(format!(
                    "taken too little: message {nth} is not there, although it was seen with number {}",
                    sent.seen.1
                ));
            }
            (Fate::Answered, Fate::Confirmed) => {}
            _ => sent.fate = fate,
        }
        Ok(())
    }

    /// Its client was told that so many are in the log, and no more ever will be.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn take(&mut self, taken: u64) -> Result<(), String> {
        if let Some(before) = self.taken.filter(|&before| before != taken) {
            return Err(format!("taken: {taken} were taken, and {before} when it was asked before"));
        }
        if taken > self.messages.len() as u64 {
            return Err(format!("taken too much: {taken} were taken, although {} were sent", self.messages.len()));
        }
        self.taken = Some(taken);
        for nth in 1..=self.messages.len() {
            let nth = u32::try_from(nth).unwrap_or(u32::MAX);
            if u64::from(nth) <= taken { self.confirm(nth)? } else { self.refuse(nth)? }
        }
        Ok(())
    }

    /// What was confirmed and nobody has seen can be seen no more: it was lost with what it was in.
    pub fn lose(&mut self) {
        for sent in &mut self.messages {
            if sent.seen.1 == 0 && matches!(sent.fate, Fate::Confirmed | Fate::Answered) {
                sent.fate = Fate::Unsure;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(messages: usize) -> Source {
        let mut source = Source::new(0, 0, 0);
        for _ in 0..messages {
            source.send(1, 20, Style::Words, Duration::ZERO);
        }
        source
    }

    fn wrong(result: Result<(), String>, kind: &str) {
        let sentence = result.expect_err("that cannot be");
        assert!(sentence.starts_with(kind), "{sentence}");
    }

    #[test]
    fn a_message_is_seen_once_in_its_order_and_only_if_it_was_sent() {
        let mut source = source(3);
        source.see(2, 0, 7).unwrap();
        source.see(2, 0, 7).unwrap();
        wrong(source.see(2, 0, 9), "twice");
        wrong(source.see(1, 0, 8), "order");
        wrong(source.see(3, 0, 6), "order");
        wrong(source.see(4, 0, 10), "unsent");
        wrong(source.see(0, 0, 10), "unsent");
        source.see(1, 0, 6).unwrap();
        source.see(3, 1, 1).unwrap();
    }

    #[test]
    fn what_was_taken_is_there_and_nothing_else() {
        let mut source = source(3);
        source.confirm(1).unwrap();
        source.see(2, 0, 2).unwrap();
        wrong(source.take(0), "taken too little");
        let mut source = self::source(3);
        source.see(2, 0, 2).unwrap();
        wrong(source.take(1), "taken too little");
        let mut source = self::source(3);
        wrong(source.take(4), "taken too much");
        source.take(2).unwrap();
        source.take(2).unwrap();
        wrong(source.take(3), "taken:");
        wrong(source.see(3, 0, 3), "never taken");
        wrong(source.confirm(3), "taken too much");
        source.see(1, 0, 1).unwrap();
    }
}
