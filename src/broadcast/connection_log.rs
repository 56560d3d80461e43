//! What the file of connections is told: who has come with an id, how many of its messages were taken, and who has gone.
//!
//! Leaves writing to `keeping`. What must stay true: the file does not grow for ever, however many come and go.

use crate::broadcast::connection_id::ConnectionId;
use crate::config::limits::CONNECTION_RECORDS_BYTES_MIN;
use crate::hub::channel_name::ChannelName;
use crate::hub::record::Chain;
use crate::storage::connection_record::{self, ConnectionRecord, Event};

/// Records that are not written yet, and how many bytes were.
#[derive(Debug)]
pub struct ConnectionLog {
    records: Vec<u8>,
    chain: Chain,
    /// Since the file was begun.
    written_bytes: usize,
    /// With which it was begun; `None` if it was not.
    begun_bytes: Option<usize>,
}

impl ConnectionLog {
    /// The file is not begun.
    pub fn new() -> Self {
        Self { records: Vec::new(), chain: connection_record::first_chain(), written_bytes: 0, begun_bytes: None }
    }

    /// Notes that there is a connection with this id.
    pub fn join(&mut self, id: ConnectionId, channel: &ChannelName, epoch: u32, taken: u64) {
        self.push(Event::Joined, id.number(), channel, epoch, taken);
    }

    /// Notes how many of a connection's messages were taken.
    pub fn count(&mut self, id: ConnectionId, channel: &ChannelName, epoch: u32, taken: u64) {
        self.push(Event::Taken, id.number(), channel, epoch, taken);
    }

    /// Notes that a connection has ended.
    pub fn end(&mut self, id: ConnectionId, channel: &ChannelName, epoch: u32, taken: u64) {
        self.push(Event::Ended, id.number(), channel, epoch, taken);
    }

    /// Notes that a channel's messages are about to be deleted: what holds in the one epoch holds in the next, too.
    pub fn renew(&mut self, channel: &ChannelName, before: u32, epoch: u32) {
        self.push(Event::Renewed, before.into(), channel, epoch, 0);
    }

    fn push(&mut self, event: Event, id: u64, channel: &ChannelName, epoch: u32, taken: u64) {
        let record = ConnectionRecord { event, id, channel: channel.clone(), taken, epoch };
        record.encode(&mut self.records, &mut self.chain);
    }

    /// Whether this process has begun the file.
    pub fn is_begun(&self) -> bool {
        self.begun_bytes.is_some()
    }

    /// Whether there is something to write.
    pub fn has_new(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether the file should be begun anew, with what is still known.
    pub fn is_long(&self) -> bool {
        let written_bytes = self.written_bytes + self.records.len();
        self.begun_bytes.is_none_or(|begun| written_bytes > begun.max(CONNECTION_RECORDS_BYTES_MIN))
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// What is to be written, behind what was.
    pub fn take(&mut self) -> Vec<u8> {
        let records = std::mem::take(&mut self.records);
        if self.begun_bytes.is_none() {
            self.begun_bytes = Some(records.len());
        } else {
            self.written_bytes += records.len();
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::connection_record::{Found, read};

    #[test]
    fn what_is_taken_can_be_read_one_behind_the_other() {
        let (id, name) = (ConnectionId::of_number(7), ChannelName::parse("lights").unwrap());
        let mut log = ConnectionLog::new();
        log.join(id, &name, 1, 0);
        let mut bytes = log.take();
        log.count(id, &name, 1, 5);
        log.renew(&name, 1, 2);
        log.end(id, &name, 2, 6);
        bytes.extend(log.take());
        let (mut rest, mut chain, mut events) = (&bytes[..], connection_record::first_chain(), Vec::new());
        while let Found::Record(record, bytes) = read(rest, &mut chain) {
            assert_eq!(record.channel, name);
            events.push((record.event, record.id, record.epoch, record.taken));
            rest = &rest[bytes..];
        }
        assert!(rest.is_empty());
        let expected =
            [(Event::Joined, 7, 1, 0), (Event::Taken, 7, 1, 5), (Event::Renewed, 1, 2, 0), (Event::Ended, 7, 2, 6)];
        assert_eq!(events, expected);
    }

    #[test]
    fn the_file_is_begun_anew_when_more_was_added_than_it_began_with_and_than_is_worth_it() {
        let id = ConnectionId::of_number(7);
        let mut log = ConnectionLog::new();
        log.join(id, &ChannelName::MAIN, 1, 0);
        let first = log.take();
        let enough = CONNECTION_RECORDS_BYTES_MIN / first.len() + 1;
        for (began_with, added_max) in [(1, enough - 1), (enough, enough), (2 * enough, 2 * enough)] {
            log.clear();
            assert!(log.is_long() && !log.is_begun() && !log.has_new(), "there is none");
            for _ in 0..began_with {
                log.join(id, &ChannelName::MAIN, 1, 0);
            }
            assert!(log.has_new());
            assert!(log.take().starts_with(&first), "nothing goes before it");
            assert!(log.is_begun() && !log.has_new());
            for nth in 0..=added_max {
                assert!(!log.is_long(), "{nth} records are not many beside {began_with}");
                log.count(id, &ChannelName::MAIN, 1, 0);
                if nth % 3 == 0 {
                    log.take();
                }
            }
            assert!(log.is_long(), "whether they are written or not");
            log.take();
            assert!(log.is_long());
        }
    }
}
