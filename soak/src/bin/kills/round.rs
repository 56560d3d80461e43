//! What all clients of a round share: where the server is, what is known, and how far the round is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

use fastrand::Rng;
use serde_json::Value;
use soak::message::Name;
use soak::told::{Told, Who};
use soak::wire::Broken;

use crate::book::Book;
use crate::mark::Mark;

/// The paths of the channels.
pub const CHANNELS: [&str; 12] =
    ["/", "/c/a", "/c/b", "/c/deleted", "/c/f0", "/c/f1", "/c/f2", "/c/f3", "/c/f4", "/c/f5", "/c/f6", "/c/f7"];
/// How many of them, the first, are always in use.
pub const IN_USE: usize = 4;
/// `--max-channels`: so few that the others are forgotten again and again, one for another.
pub const CHANNELS_MAX: &str = "7";
/// The one whose messages are deleted now and then.
pub const DELETED: usize = 3;

/// How far a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everybody works.
    Load,
    /// Nothing new is said.
    Settling,
    /// All is confirmed and read: everybody goes.
    Over,
}

/// One round.
pub struct Round {
    pub bin: PathBuf,
    pub addresses: [SocketAddr; 2],
    /// For the files of clients.
    pub folder: PathBuf,
    pub book: Book,
    /// How many messages of a writer may be unconfirmed.
    pub unconfirmed_max: usize,
    /// How many have something to say, or wait for a confirmation.
    pub busy: AtomicUsize,
    stage: AtomicU8,
}

impl Round {
    /// One in which nobody has said anything.
    pub fn new(bin: PathBuf, addresses: [SocketAddr; 2], folder: PathBuf, book: Book, unconfirmed_max: usize) -> Self {
        Self { bin, addresses, folder, book, unconfirmed_max, busy: AtomicUsize::new(0), stage: AtomicU8::new(0) }
    }

    /// Goes on to this stage.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    /// Whether new messages are wanted.
    pub fn is_loaded(&self) -> bool {
        self.stage.load(Relaxed) == Stage::Load as u8 && !self.book.is_over()
    }

    /// Whether everybody goes.
    pub fn is_over(&self) -> bool {
        self.stage.load(Relaxed) == Stage::Over as u8 || self.book.is_over()
    }

    /// One of the server's addresses.
    pub fn address(&self, rng: &mut Rng) -> SocketAddr {
        self.addresses[rng.usize(..self.addresses.len())]
    }
}

/// A reader who counts, and where it is.
pub struct Reader<'a> {
    pub round: &'a Round,
    pub who: Who,
    pub channel: usize,
    place: Option<usize>,
    position: Option<(String, u64)>,
}

impl<'a> Reader<'a> {
    /// One that must not miss anything of a channel.
    pub fn new(round: &'a Round, who: Who, channel: usize) -> Self {
        let place = Some(round.book.add_reader(channel));
        Self { round, who, channel, place, position: None }
    }

    /// One that goes away for so long that it may miss something.
    pub fn seldom(round: &'a Round, who: Who, channel: usize) -> Self {
        Self { round, who, channel, place: None, position: None }
    }

    /// What it tells of where it is.
    pub fn told(&self, by: &'static str) -> Told {
        self.round.book.told(self.who, by)
    }

    /// `EPOCH:SEQ`, if it has a place.
    pub fn after(&self) -> Option<String> {
        self.position.as_ref().map(|(epoch, seq)| format!("{epoch}:{seq}"))
    }

    /// Checks a hello, which answers a request that began at this mark. If it says that the channel has begun anew, with messages from before it
    /// came, it comes back for them.
    pub fn greet(&mut self, hello: &Value, since: &Mark, by: &'static str) -> Result<(), Broken> {
        let told = self.told(by);
        let wrong = |what: &str| Broken::Wrong(format!("{told}: the hello has no {what}: {hello}"));
        let epoch = hello["epoch"].as_str().ok_or_else(|| wrong("epoch"))?;
        let seq = hello["seq"].as_u64().ok_or_else(|| wrong("seq"))?;
        let head = hello["head"].as_u64().ok_or_else(|| wrong("head"))?;
        let book = &self.round.book;
        book.head(self.channel, epoch, head, since, told)?;
        let Some((its, position)) = self.position.clone() else { return self.begin_anew(epoch, seq) };
        if its != epoch {
            if !hello["lost"].is_null() {
                return Err(Broken::Wrong(format!("{told}: {its} is over, and lost is not null: {hello}")));
            }
            return self.begin_anew(epoch, seq);
        }
        match hello["lost"].as_u64() {
            Some(0) if seq == position => {}
            Some(lost) if lost > 0 && seq == position + lost => {
                book.lost(self.channel, (epoch, position), lost, told, self.place.is_some())?;
                self.position = Some((epoch.to_owned(), seq));
            }
            _ => {
                let after = self.after().unwrap_or_default();
                return Err(Broken::Wrong(format!("{told}: it came back after {after}, and was told {hello}")));
            }
        }
        book.resumed.fetch_add(1, Relaxed);
        self.settle();
        Ok(())
    }

    fn begin_anew(&mut self, epoch: &str, seq: u64) -> Result<(), Broken> {
        self.position = Some((epoch.to_owned(), 0));
        self.settle();
        if seq > 0 { Err(Broken::Gone) } else { Ok(()) }
    }

    /// Numbers begin anew, on the same connection.
    pub fn go_over(&mut self, hello: &Value, by: &'static str) -> Result<(), Broken> {
        let told = self.told(by);
        let epoch = hello["epoch"].as_str().unwrap_or_default();
        let is_anew = self.position.as_ref().is_some_and(|(its, _)| its != epoch);
        if self.channel != DELETED || !is_anew || hello["seq"] != 0 {
            return Err(Broken::Wrong(format!("{told}: in the midst of the messages comes {hello}")));
        }
        // What was told to others meanwhile may be more: this was said before.
        let nothing = Mark::unbound();
        self.round.book.head(self.channel, epoch, 0, &nothing, told)?;
        self.position = Some((epoch.to_owned(), 0));
        self.settle();
        Ok(())
    }

    /// The next message has come. Returns who has said it.
    pub fn take(&mut self, bytes: &[u8], is_binary: bool, by: &'static str) -> Result<(Name, u64), Broken> {
        let told = self.told(by);
        let Some((epoch, seq)) = &mut self.position else {
            return Err(Broken::Wrong(format!("{told}: a message comes before the hello")));
        };
        *seq += 1;
        let name = self.round.book.message(self.channel, (epoch, *seq), (bytes, is_binary), told)?;
        let seq = *seq;
        self.round.book.deliveries.fetch_add(1, Relaxed);
        self.settle();
        Ok((name, seq))
    }

    /// The epoch in which it is.
    pub fn epoch(&self) -> &str {
        self.position.as_ref().map_or("", |(epoch, _)| epoch)
    }

    fn settle(&self) {
        if let (Some(place), Some((epoch, seq))) = (self.place, &self.position) {
            self.round.book.move_to(self.channel, place, epoch, *seq);
        }
    }
}
