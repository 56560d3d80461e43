//! A reader who counts, and where it is.
//!
//! What must stay true: it goes from board to board and never back, misses nothing without being told, and gets nothing twice.

use std::sync::atomic::Ordering::Relaxed;

use fastrand::Rng;
use serde_json::Value;
use soak::message::Name;
use soak::told::{Told, Who};
use soak::wire::Broken;

use crate::book::Mark;
use crate::channel::BOARDS;
use crate::position::Position;
use crate::round::Round;

/// One reader.
pub struct Reader<'a> {
    pub round: &'a Round,
    pub who: Who,
    pub channel: usize,
    /// The board to which it speaks.
    pub board: usize,
    /// Whether it stays at this board.
    stays: bool,
    place: Option<usize>,
    position: Option<Position>,
}

impl<'a> Reader<'a> {
    /// One that must not miss anything of a channel, at any board.
    pub fn new(round: &'a Round, who: Who, channel: usize) -> Self {
        let place = Some(round.book.add_reader(channel));
        Self { round, who, channel, board: 0, stays: false, place, position: None }
    }

    /// One that goes away for so long that it may miss something.
    pub fn seldom(round: &'a Round, who: Who, channel: usize) -> Self {
        Self { round, who, channel, board: 0, stays: false, place: None, position: None }
    }

    /// The same, always at one board.
    pub fn staying(self, board: usize) -> Self {
        Self { board, stays: true, ..self }
    }

    /// Chooses the board of its next connection. Returns what has been told until now.
    pub fn choose_board(&mut self, rng: &mut Rng) -> Mark {
        if !self.stays {
            self.board = rng.usize(..BOARDS);
        }
        self.round.book.mark(self.channel, self.board)
    }

    /// What it tells of where it is.
    pub fn told(&self, by: &'static str) -> Told {
        self.round.book.told(self.who, by)
    }

    /// `EPOCH:SEQ`, if it has a place.
    pub fn after(&self) -> Option<String> {
        self.position.map(|position| position.to_string())
    }

    /// Where it is.
    pub fn position(&self) -> Position {
        self.position.unwrap_or_default()
    }

    /// Whether it knows of messages that it has not got.
    pub fn is_behind(&self) -> bool {
        self.round.book.newest(self.channel).is_some_and(|newest| newest > self.position())
    }

    /// What is wrong at its board.
    pub fn wrong<T>(&self, by: &'static str, what: &str) -> Result<T, Broken> {
        let (channel, board, told) = (self.channel, self.board, self.told(by));
        Err(Broken::Wrong(format!("channel {channel}, board {board}: {told}: {what}")))
    }

    /// Checks a hello, which answers a request that began at this mark. If it says that the channel has begun anew, with messages from before it
    /// came, it comes back for them.
    pub fn greet(&mut self, hello: &Value, since: &Mark, by: &'static str) -> Result<(), Broken> {
        let told = self.told(by);
        let (epoch, seq, head) = (hello["epoch"].as_str(), hello["seq"].as_u64(), hello["head"].as_u64());
        let (Some(epoch), Some(seq), Some(head)) = (epoch, seq, head) else {
            return self.wrong(by, &format!("the hello is {hello}"));
        };
        let its = Position::of(epoch, seq)?;
        let book = &self.round.book;
        book.head(self.channel, Position { seq: head, ..its }, since, told)?;
        let Some(before) = self.position else { return self.begin_anew(its) };
        if before.epoch != its.epoch {
            if !hello["lost"].is_null() {
                return self.wrong(by, &format!("it was at {before}, and lost is not null: {hello}"));
            }
            if before.epoch < its.epoch {
                return self.begin_anew(its);
            }
            if self.round.is_settled() {
                return self.wrong(by, &format!("it was at {before} already: {hello}"));
            }
            // This board does not know yet what the one before knew.
            book.counts.behind.fetch_add(1, Relaxed);
            return Err(Broken::Gone);
        }
        match hello["lost"].as_u64() {
            Some(0) if its == before => {}
            Some(lost) if lost > 0 && its.seq == before.seq + lost => {
                book.lost(self.channel, before, lost, told, self.place.is_some())?;
            }
            _ => return self.wrong(by, &format!("it came back after {before}, and was told {hello}")),
        }
        self.position = Some(its);
        book.counts.resumed.fetch_add(1, Relaxed);
        self.settle();
        Ok(())
    }

    fn begin_anew(&mut self, its: Position) -> Result<(), Broken> {
        self.position = Some(Position { seq: 0, ..its });
        self.settle();
        if its.seq > 0 { Err(Broken::Gone) } else { Ok(()) }
    }

    /// Numbers begin anew, on the same connection; or some are lost.
    pub fn go_over(&mut self, hello: &Value, by: &'static str) -> Result<(), Broken> {
        let (Some(epoch), Some(seq)) = (hello["epoch"].as_str(), hello["seq"].as_u64()) else {
            return self.wrong(by, &format!("in the midst of the messages comes {hello}"));
        };
        let (its, before) = (Position::of(epoch, seq)?, self.position());
        let told = self.told(by);
        if its.epoch == before.epoch {
            let lost = hello["lost"].as_u64().filter(|lost| *lost > 0 && its.seq == before.seq + lost);
            let Some(lost) = lost else {
                return self.wrong(by, &format!("in the midst of the messages, behind {before}, comes {hello}"));
            };
            self.round.book.lost(self.channel, before, lost, told, self.place.is_some())?;
        } else if its.epoch < before.epoch || its.seq != 0 {
            return self.wrong(by, &format!("in the midst of the messages, behind {before}, comes {hello}"));
        }
        // What was told to others meanwhile may be more: this was said before.
        self.round.book.head(self.channel, its, &Mark::unbound(self.board), told)?;
        self.position = Some(its);
        self.settle();
        Ok(())
    }

    /// The next message has come. Returns who has said it.
    pub fn take(&mut self, bytes: &[u8], is_binary: bool, by: &'static str) -> Result<Name, Broken> {
        let Some(position) = &mut self.position else {
            return self.wrong(by, "a message comes before the hello");
        };
        position.seq += 1;
        let told = self.told(by);
        let book = &self.round.book;
        let name = book.message(self.channel, Some(self.board), self.position(), (bytes, is_binary), told)?;
        book.counts.deliveries.fetch_add(1, Relaxed);
        self.settle();
        Ok(name)
    }

    fn settle(&self) {
        if let (Some(place), Some(position)) = (self.place, self.position) {
            self.round.book.move_to(self.channel, place, position);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::book::Book;
    use crate::round::Stage;

    fn round() -> Round {
        let address = ([127, 0, 0, 1], 9).into();
        Round::new([[address; 2]; BOARDS], Book::new(&[1 << 20; 4], 10), 6)
    }

    fn hello(epoch: u64, seq: u64, lost: Option<u64>) -> Value {
        json!({"epoch": epoch.to_string(), "seq": seq, "head": 9, "lost": lost})
    }

    /// A reader at 7:4, where all of 7 and 8 may be.
    fn reader(round: &Round) -> Reader<'_> {
        round.book.note_deletion(0);
        let mut reader = Reader::new(round, Who("test", 0), 0);
        reader.greet(&hello(7, 0, Some(0)), &Mark::unbound(0), "a hello").unwrap();
        for nth in 1..=4 {
            let name = Name { writer: 1, nth };
            round.book.note_sent(0, name);
            reader.take(name.text().as_bytes(), name.is_binary(), "a frame").unwrap();
        }
        assert_eq!(reader.after().as_deref(), Some("7:4"));
        reader
    }

    fn refused(result: Result<(), Broken>, words: &str) {
        match result {
            Err(Broken::Wrong(sentence)) => assert!(sentence.contains(words), "{sentence}"),
            other => panic!("that is wrong: {other:?}"),
        }
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was_or_is_told_what_is_lost() {
        let greet = |hello: Value| reader(&round()).greet(&hello, &Mark::unbound(1), "a hello");
        greet(hello(7, 4, Some(0))).unwrap();
        refused(greet(hello(7, 5, Some(0))), "it came back after 7:4");
        refused(greet(hello(7, 3, Some(0))), "it came back after 7:4");
        refused(greet(hello(7, 7, Some(2))), "it came back after 7:4");
        refused(greet(hello(7, 9, None)), "it came back after 7:4");
        refused(greet(hello(7, 9, Some(5))), "although only");
        refused(greet(hello(8, 0, Some(0))), "lost is not null");
        refused(greet(json!({"epoch": "7"})), "the hello is");
        refused(greet(json!({"epoch": "kj", "seq": 1, "head": 1})), "no decimal number");
    }

    #[test]
    fn nobody_goes_back_to_an_epoch_of_before() {
        let round = round();
        let mut reader = reader(&round);
        reader.greet(&hello(8, 0, None), &Mark::unbound(0), "a hello").unwrap();
        let behind = reader.greet(&hello(7, 9, None), &Mark::unbound(1), "a hello");
        assert!(matches!(behind, Err(Broken::Gone)), "it goes elsewhere");
        assert_eq!(reader.after().as_deref(), Some("8:0"));
        round.enter(Stage::Settled);
        refused(reader.greet(&hello(7, 9, None), &Mark::unbound(1), "a hello"), "it was at 8:0 already");
    }

    #[test]
    fn numbers_begin_anew_in_the_midst_only_with_a_newer_epoch() {
        let go_over = |hello: Value| reader(&round()).go_over(&hello, "an event");
        go_over(hello(8, 0, None)).unwrap();
        refused(go_over(hello(8, 1, None)), "in the midst");
        refused(go_over(hello(6, 0, None)), "in the midst");
        refused(go_over(hello(7, 4, Some(0))), "in the midst");
        refused(go_over(hello(7, 6, Some(1))), "in the midst");
    }
}
