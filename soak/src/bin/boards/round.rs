//! What all clients of a round share: where the boards are, what is known, and how far the round is.
//!
//! What must stay true: a client that waits in vain goes to another board; only the driver says that all of them stand still.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use soak::wire::Broken;

use crate::book::Book;
use crate::channel::BOARDS;
use crate::said::FIRST_LATER;

/// The paths of the channels.
pub const CHANNELS: [&str; 4] = ["/", "/c/a", "/c/b", "/c/deleted"];
/// Their names in Redis.
pub const NAMES: [&str; CHANNELS.len()] = ["", "a", "b", "deleted"];
/// The one whose messages are deleted now and then.
pub const DELETED: usize = 3;
/// How long a client waits for an answer before it goes to another board.
pub const PATIENCE: Duration = Duration::from_millis(1500);
/// How long one who posts waits, at most: a board may have a post wait for 5 s.
pub const POST_PATIENCE: Duration = Duration::from_secs(8);

/// How far a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everybody works.
    Load,
    /// Nothing new is said.
    Settling,
    /// All is confirmed and read, and all boards are at the same place.
    Settled,
    /// Everybody goes.
    Over,
}

/// One round.
pub struct Round {
    pub addresses: [[SocketAddr; 2]; BOARDS],
    pub book: Book,
    /// How many messages of a writer may be unconfirmed.
    pub unconfirmed_max: usize,
    /// How many have something to say, or wait for a confirmation.
    pub busy: AtomicUsize,
    stage: AtomicU8,
    writers: AtomicU32,
}

impl Round {
    /// One in which nobody has said anything.
    pub fn new(addresses: [[SocketAddr; 2]; BOARDS], book: Book, unconfirmed_max: usize) -> Self {
        Self {
            addresses,
            book,
            unconfirmed_max,
            busy: AtomicUsize::new(0),
            stage: AtomicU8::new(0),
            writers: AtomicU32::new(FIRST_LATER),
        }
    }

    /// Goes on to this stage.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    /// Whether new messages are wanted.
    pub fn is_loaded(&self) -> bool {
        self.stage.load(Relaxed) == Stage::Load as u8 && !self.book.is_over()
    }

    /// Whether all boards have to be at the same place.
    pub fn is_settled(&self) -> bool {
        self.stage.load(Relaxed) >= Stage::Settled as u8
    }

    /// Whether everybody goes.
    pub fn is_over(&self) -> bool {
        self.stage.load(Relaxed) == Stage::Over as u8 || self.book.is_over()
    }

    /// One of a board's addresses.
    pub fn address(&self, board: usize, rng: &mut Rng) -> SocketAddr {
        self.addresses[board][rng.usize(..2)]
    }

    /// The number of a writer that comes later.
    pub fn next_writer(&self) -> u32 {
        self.writers.fetch_add(1, Relaxed)
    }

    /// Has connections, one after the other, until the round is over.
    ///
    /// # Errors
    /// What was wrong on one of them.
    pub fn come_again(
        &self,
        rng: &mut Rng,
        mut connection: impl FnMut(&mut Rng) -> Result<(), Broken>,
    ) -> Result<(), String> {
        while !self.is_over() {
            match connection(rng) {
                Ok(()) => {}
                Err(Broken::Wrong(sentence)) => return Err(sentence),
                // Not at once: a board that is away from Redis sends everybody away.
                Err(_) => thread::sleep(Duration::from_millis(rng.u64(2..30))),
            }
        }
        Ok(())
    }
}
