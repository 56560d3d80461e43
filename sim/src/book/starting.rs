//! Where somebody begins who has come: with what it has missed, or with the last messages.
//!
//! Leaves which messages there are to `log`. What must stay true: what is said to be lost is neither more nor less than what the newer half of the
//! backlog does not have.

use crate::book::Book;
use crate::book::telling::Told;

/// What somebody asked for who came, and what it was told.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The channel.
    pub channel: usize,
    /// The epoch, in the order of their being told.
    pub epoch: usize,
    /// Behind which message it wanted to go on, where that is known to the server.
    pub after: Option<u64>,
    /// How many of the last it wanted, where it wanted nothing else.
    pub history: u64,
    /// Behind which message it begins.
    pub seq: u64,
    /// How many are said to be lost.
    pub lost: u64,
    /// The newest message at that moment.
    pub head: u64,
}

impl Start {
    /// What can be said at once.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn check(&self) -> Result<(), String> {
        let Self { after, seq, lost, head, .. } = *self;
        if seq > head {
            return Err(format!("start: it begins behind {seq}, and the newest is {head}"));
        }
        match after {
            Some(after) if after + lost != seq => {
                Err(format!("lost: it goes on behind {seq}, {lost} behind {after} being lost"))
            }
            None if lost != 0 => Err(format!("lost: {lost} are lost of somebody who asked for nothing")),
            _ => Ok(()),
        }
    }
}

impl Book {
    /// Holds a start against what is in the log by now. False: not enough of that is known.
    ///
    /// # Errors
    /// If more or less is lost than has to be.
    pub fn start(&self, start: &Start, told: Told) -> Result<bool, String> {
        let Start { channel, epoch, after, history, seq, lost, head } = *start;
        let its = &self.channels[channel];
        let log = &its.epochs[epoch];
        let wanted = after.map_or_else(|| (head + 1).saturating_sub(history).max(1), |after| after + 1);
        // Where nothing is missing nothing has to be known.
        let newer_half = if wanted > head {
            head + 1
        } else {
            let Some(newer_half) = log.newer_half(head, self.backlog_bytes(channel)) else { return Ok(false) };
            newer_half
        };
        let first = wanted.max(newer_half);
        if first == seq + 1 || self.may_have_less() && first <= seq {
            return Ok(true);
        }
        let what = if after.is_some() { "lost" } else { "history" };
        Err(format!(
            "{what}: whoever asks for what comes from {wanted} on begins with {first}, and not with {} ({lost} lost; the newest is {head}; channel /{}, epoch {}, \
             told to client {} at {:?})",
            seq + 1,
            its.name,
            log.epoch,
            told.by,
            told.at
        ))
    }
}
