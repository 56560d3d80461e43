//! Redis forgets: it is killed and has only what it had saved, all its keys go, or the stream of a channel.
//!
//! What must stay true: before it forgets, all boards have seen more than will be left, and nobody is killed until all have found out. A board that
//! has seen less than is left cannot know that anything is gone.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use soak::message::Name;
use soak::told::Who;

use crate::askers::Asker;
use crate::channel::BOARDS;
use crate::cluster::{Cluster, Life};
use crate::faults::Counts;
use crate::position::Position;
use crate::round::{CHANNELS, NAMES, POST_PATIENCE, Round};
use crate::said::FIRST_LATER;

/// The last of those who post: the driver itself.
const WRITER: u32 = FIRST_LATER - 1;
/// How long boards may take to find out.
const TIMEOUT: Duration = Duration::from_secs(40);

/// The driver as a client: it sees to it that boards know what they should.
pub struct Witness<'a> {
    asker: Asker<'a>,
    made: u32,
}

impl<'a> Witness<'a> {
    /// One who has asked nobody yet.
    pub fn new(round: &'a Round, rng: Rng) -> Self {
        Self { asker: Asker::new(round, Who("the driver", 0), 0, POST_PATIENCE, rng), made: 0 }
    }

    fn is_over(&self) -> bool {
        self.asker.round.is_over()
    }

    /// Goes to a channel of a board.
    fn go_to(&mut self, channel: usize, board: usize) {
        self.asker.channel = channel;
        self.asker.go_to(board);
    }

    /// Posts at a board until it takes a message: then it has been at Redis, and has read what it appended.
    fn post(&mut self, channel: usize, board: usize) -> Result<(), String> {
        let deadline = Instant::now() + TIMEOUT;
        while !self.is_over() {
            self.go_to(channel, board);
            self.made += 1;
            if self.asker.post(Name { writer: WRITER, nth: self.made })? == Some(true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return self.asker.wrong("its posts", &format!("none was taken for {} s", TIMEOUT.as_secs()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits until each board is at such a place in a channel. Returns where they are.
    fn wait_for(
        &mut self,
        channel: usize,
        what: &str,
        is_it: impl Fn(&[Position]) -> bool,
    ) -> Result<Vec<Position>, String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let mut positions = Vec::new();
            for board in 0..BOARDS {
                self.go_to(channel, board);
                positions.extend(self.asker.position()?);
            }
            if positions.len() == BOARDS && is_it(&positions) || self.is_over() {
                return Ok(positions);
            }
            if Instant::now() > deadline {
                let positions: Vec<_> = positions.iter().map(ToString::to_string).collect();
                return Err(format!(
                    "channel {channel}: waited in vain for {} s until all boards {what}; they are at {positions:?}",
                    TIMEOUT.as_secs()
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until all boards have read all that anybody was told, and nothing waits in them since before: of a connection that has a fence it would be
    /// appended when that is forgotten.
    fn level(&mut self) -> Result<(), String> {
        for channel in 0..CHANNELS.len() {
            for board in 0..BOARDS {
                self.post(channel, board)?;
            }
            let newest = self.asker.round.book.newest(channel).unwrap_or_default();
            self.wait_for(channel, &format!("have read {newest}"), |all| all.iter().all(|its| *its >= newest))?;
        }
        Ok(())
    }

    /// Waits until all boards are at the same place, while nobody says anything. Returns where that is, for each channel.
    ///
    /// # Errors
    /// If they never are.
    pub fn settle(&mut self) -> Result<Vec<Position>, String> {
        let mut all = Vec::new();
        for channel in 0..CHANNELS.len() {
            let same = |all: &[Position]| all.iter().all(|its| *its == all[0]);
            all.extend(self.wait_for(channel, "are at the same place", same)?.first().copied());
        }
        Ok(all)
    }

    /// Has Redis forget something.
    ///
    /// # Errors
    /// If it does not, or boards do not find out.
    pub fn forget(&mut self, cluster: &mut Cluster, rng: &mut Rng, counts: &mut Counts) -> Result<(), String> {
        let round = self.asker.round;
        let all: Vec<usize> = (0..CHANNELS.len()).collect();
        let kind = rng.u8(..4);
        if kind < 2 {
            cluster.ask(&["SAVE"])?;
            thread::sleep(Duration::from_millis(rng.u64(..600)));
        }
        self.level()?;
        round.book.note_fault();
        let (name, channels) = match kind {
            0 | 1 => {
                round.book.begin_forgetting(&all);
                cluster.bring_redis(Life::Dead)?;
                thread::sleep(Duration::from_millis(rng.u64(..500)));
                cluster.bring_redis(Life::Running)?;
                ("Redis restored", all)
            }
            2 => {
                round.book.begin_forgetting(&all);
                cluster.ask(&["FLUSHALL"])?;
                ("all keys gone", all)
            }
            _ => {
                let channel = rng.usize(..CHANNELS.len());
                round.book.begin_forgetting(&[channel]);
                cluster.ask(&["DEL", &format!("foghorn:stream:{}", NAMES[channel])])?;
                ("a stream gone", vec![channel])
            }
        };
        *counts.entry(name).or_default() += 1;
        round.book.write_down(&format_args!("{name}: channels {channels:?}"));
        for &channel in &channels {
            for board in 0..BOARDS {
                self.post(channel, board)?;
            }
            self.wait_for(channel, "are in the same epoch", |all| all.iter().all(|its| its.epoch == all[0].epoch))?;
        }
        round.book.end_forgetting(&channels);
        Ok(())
    }
}
