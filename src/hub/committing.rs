//! From staged to in the log: messages of a channel that has a file.
//!
//! No files: bytes to write come out, and that they are written comes in. Leaves what is staged to `staging`. What must stay true: nothing of
//! a message is told before [`Channel::commit`]; messages are in the log in the order in which they were staged.

use crate::hub::channel::Channel;
use crate::hub::position::Position;
use crate::hub::record::Chain;
use crate::hub::staging::{Batch, Staging};
use crate::hub::way::Way;

impl<T> Channel<T> {
    /// From now on, messages are staged. `chain` is the value behind the last record that the channel's file has, or begins with;
    /// `clock_offset_secs` is what the clock of its records is ahead of the log's.
    pub fn keep(&mut self, chain: Chain, clock_offset_secs: i32) {
        self.way = Way::Kept(Staging::new(chain, clock_offset_secs));
    }

    fn staging(&self) -> Option<&Staging> {
        if let Way::Kept(staging) = &self.way { Some(staging) } else { None }
    }

    fn staging_mut(&mut self) -> Option<&mut Staging> {
        if let Way::Kept(staging) = &mut self.way { Some(staging) } else { None }
    }

    /// The records that wait to be written, if there are any. The caller writes them and [commits](Self::commit) them.
    pub fn take_staged(&mut self) -> Option<Batch> {
        self.staging_mut()?.take()
    }

    /// Whether messages are on their way into the log.
    pub fn is_staging(&self) -> bool {
        !self.way.is_empty() || self.arriving_bytes > 0
    }

    /// Whether records wait to be written, and none are being written.
    pub fn has_next_batch(&self) -> bool {
        self.staging().is_some_and(|staging| staging.untaken() > 0 && staging.taken() == 0)
    }

    /// Puts the messages of a batch, the oldest that was taken, into the log. Returns those from outside among them, by the numbers that
    /// they went by.
    ///
    /// # Panics
    /// If no such batch was taken.
    pub fn commit(&mut self, batch: Batch) -> Vec<(u64, Position)> {
        let Way::Kept(staging) = &mut self.way else { panic!("a batch was taken") };
        let mut posts = Vec::new();
        staging.commit(batch, |staged, frame| {
            self.backlog.append_bytes(frame, staged.sender, staged.at_secs);
            if let Some(number) = staged.post {
                let seq = self.epochs.head(self.backlog.next_seq() - 1);
                posts.push((number, Position { epoch: self.epochs.present().to_owned(), seq }));
            }
        });
        posts
    }

    /// How many messages were staged, ever, and how many of these are committed. Where messages go into the log at once both are always 0.
    pub fn staged(&self) -> (u64, u64) {
        self.way.counts()
    }

    /// How many messages were [taken](Self::take_staged), and are not committed.
    pub fn staged_and_taken(&self) -> u64 {
        self.staging().map_or(0, Staging::taken)
    }

    /// The value behind the last record, taken or not.
    pub fn chain(&self) -> Option<Chain> {
        self.staging().map(Staging::chain)
    }
}
