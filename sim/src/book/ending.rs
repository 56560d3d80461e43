//! What can only be said at the end: what had to be in a log and is in none, and what stands there out of order.
//!
//! Leaves what was seen to `log` and `sources`. What must stay true: where not all of a log is known, as much is let pass as may lie in what is not.

use crate::book::Book;
use crate::book::channel::Channel;
use crate::book::sources::{Fate, Source};

impl Book {
    /// The last checks, at the end.
    pub fn close(&mut self) {
        let mut found = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            let channel = &self.channels[source.channel];
            if let Err(why) = in_order(source, channel) {
                found.push(format!(
                    "{why} (connection {number:x} of client {}, channel /{})",
                    source.actor, channel.name
                ));
            }
        }
        for (nth, channel) in self.channels.iter().enumerate() {
            let sources = self.sources.iter().filter(|source| source.channel == nth);
            if let Err(why) = all_there(sources, channel) {
                found.push(format!("{why} (channel /{})", channel.name));
            }
        }
        self.found.append(&mut found);
    }
}

/// Whether the messages of a connection stand in their order, and none is missing between two of them.
fn in_order(source: &Source, channel: &Channel) -> Result<(), String> {
    let mut before: Option<(u32, u32, u64)> = None;
    let mut missing = 0;
    for (nth, sent) in source.iter() {
        let (epoch, seq) = sent.seen;
        if seq == 0 {
            missing += usize::from(sent.fate != Fate::Never);
            if sent.fate == Fate::Never {
                // What comes behind it was not sent by a WebSocket.
                before = None;
            }
            continue;
        }
        if let Some((its, before_epoch, before_seq)) = before.filter(|before| before.1 == epoch) {
            if seq <= before_seq {
                return Err(format!(
                    "order: its message {nth} has number {seq}, and message {its} number {before_seq}"
                ));
            }
            let log = &channel.epochs[before_epoch as usize];
            if missing > 0 && log.room_for_nameless(before_seq + 1, seq - 1) < missing {
                return Err(format!(
                    "missing: {missing} between its messages {its} and {nth}, which are {}:{before_seq} and {seq}",
                    log.epoch
                ));
            }
        }
        before = Some((nth, epoch, seq));
        missing = 0;
    }
    Ok(())
}

/// Whether all are in the log whose senders were told so.
fn all_there<'a>(sources: impl Iterator<Item = &'a Source>, channel: &Channel) -> Result<(), String> {
    if channel.reasons > 0 || channel.may_begin_anew || channel.epochs.len() != 1 {
        return Ok(());
    }
    let log = &channel.epochs[0];
    let unknown = log.unknown(1, log.head);
    let unseen = |source: &Source| -> Vec<u32> {
        let its = source.iter().filter(|(_, sent)| sent.fate == Fate::Confirmed && sent.seen.1 == 0 && sent.bytes > 0);
        its.map(|(nth, _)| nth).collect()
    };
    let mut missing = 0;
    let mut example = String::new();
    for source in sources {
        let its = unseen(source);
        if let Some(nth) = its.first().filter(|_| example.is_empty()) {
            example = format!("message {nth} of client {}", source.actor);
        }
        missing += its.len();
    }
    if missing > unknown {
        return Err(format!(
            "gone: {missing} messages whose senders were told that they are in the log were told to nobody, and {unknown} numbers up to {} are open; such as {example}",
            log.head
        ));
    }
    Ok(())
}
