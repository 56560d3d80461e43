//! What is known of connections, from its file.
//!
//! What must stay true: only so many are kept at a time, of those that have ended the last; and what is wrong in one place makes all of it
//! unknown, since a client that is told too little sends again what got through.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;

use crate::config::limits::STATE_CONNECTIONS_MAX;
use crate::hub::channel_name::ChannelName;
use crate::hub::record::Origin;
use crate::storage::connection_record::{self, ConnectionRecord, Event, Found, HEADER_BYTES, RECORD_BYTES_MAX};
use crate::storage::damage::Damage;
use crate::storage::extent::Extent;
use crate::storage::file_name::CONNECTIONS;
use crate::storage::folder::Folder;
use crate::storage::read_buffer::ReadBuffer;
use crate::storage::restored::RestoredConnection;
use crate::storage::segment_reading::could_not_be_read;

/// The file that could be read.
#[derive(Debug)]
pub struct ReadConnections {
    /// What is in it.
    pub connections: Connections,
    file: File,
    bytes: u64,
    whole: Extent,
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// If it cannot be believed.
pub fn read(folder: &Folder) -> Result<Option<ReadConnections>, Damage> {
    let Some(file) = folder.open_file(CONNECTIONS)? else { return Ok(None) };
    let failed = |error: io::Error| could_not_be_read(CONNECTIONS, &error);
    let bytes = file.metadata().map_err(failed)?.len();
    let mut rest = ReadBuffer::new(&file, 0, bytes).map_err(failed)?;
    let header = rest.at_least(HEADER_BYTES).map_err(failed)?;
    connection_record::check_header(header).map_err(|why| Damage::new(CONNECTIONS, why))?;
    let mut whole = Extent::of(&header[..HEADER_BYTES]);
    rest.skip(HEADER_BYTES);
    let mut chain = connection_record::first_chain();
    let mut connections = Connections::default();
    while rest.left() > 0 {
        match connection_record::read(rest.at_least(RECORD_BYTES_MAX).map_err(failed)?, &mut chain) {
            Found::Record(record, bytes) => {
                connections.take(record);
                rest.skip(bytes);
                whole = Extent { bytes: whole.bytes + bytes as u64, checksum: chain.value() };
            }
            Found::Torn => break,
            Found::Wrong => return Err(Damage::new(CONNECTIONS, format!("is damaged at byte {}", whole.bytes))),
        }
    }
    Ok(Some(ReadConnections { connections, file, bytes, whole }))
}

impl ReadConnections {
    /// The file as it was found.
    pub fn found(&self) -> Extent {
        Extent { bytes: self.bytes, ..self.whole }
    }

    /// Cuts off what a killed server was writing, and returns the connections and the file.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn settle(self, folder: &Folder) -> Result<(Connections, (File, Extent)), Damage> {
        if self.bytes != self.whole.bytes {
            let cut = folder.cut(&self.file, self.whole.bytes);
            cut.map_err(|error| Damage::new(CONNECTIONS, format!("could not be put in order ({error})")))?;
        }
        Ok((self.connections, (self.file, self.whole)))
    }
}

/// Connections by their ids.
#[derive(Debug, Default)]
pub struct Connections {
    known: HashMap<u64, Connection>,
    /// Those that are there, in the order of their joining.
    there: BTreeMap<u64, u64>,
    /// Those that are not, in the order of their ends.
    ended: BTreeMap<u64, u64>,
    turns: u64,
    /// Epochs from which others follow in which the same holds, the newest last.
    renewed: Vec<(ChannelName, u32, u32)>,
}

#[derive(Debug)]
struct Connection {
    channel: ChannelName,
    taken: u64,
    epoch: u32,
    /// Its key where it stands in order.
    turn: u64,
}

impl Connections {
    fn take(&mut self, record: ConnectionRecord) {
        let ConnectionRecord { event, id, channel, taken, epoch } = record;
        if event == Event::Renewed {
            // What does not fit is no checksum.
            self.renewed.extend(u32::try_from(id).ok().map(|before| (channel, before, epoch)));
            return;
        }
        let before = self.known.get_mut(&id).filter(|connection| connection.channel == channel);
        let taken = before.as_ref().map_or(taken, |before| before.taken.max(taken));
        if event == Event::Taken {
            if let Some(connection) = before {
                (connection.taken, connection.epoch) = (taken, epoch);
            }
            return;
        }
        self.turns += 1;
        let turn = self.turns;
        if let Some(before) = self.known.insert(id, Connection { channel, taken, epoch, turn }) {
            self.there.remove(&before.turn);
            self.ended.remove(&before.turn);
        }
        if event == Event::Ended { &mut self.ended } else { &mut self.there }.insert(turn, id);
        if self.known.len() > STATE_CONNECTIONS_MAX {
            let (_, first) = self.ended.pop_first().or_else(|| self.there.pop_first()).expect("each stands somewhere");
            self.known.remove(&first);
        }
    }

    /// Notes that this channel has a message from there.
    pub fn see(&mut self, channel: &ChannelName, origin: Origin) {
        let known = self.known.get_mut(&origin.connection).filter(|connection| connection.channel == *channel);
        if let Some(connection) = known {
            connection.taken = connection.taken.max(origin.taken);
        }
    }

    /// Those of the channels that came back with the epoch in which it holds, in their order. `came_back` says with which.
    pub fn of(&self, came_back: impl Fn(&ChannelName) -> Option<u32>) -> Vec<RestoredConnection> {
        let restored = |id: &u64| {
            let Connection { channel, taken, epoch, .. } = self.known.get(id)?;
            let present = came_back(channel)?;
            let holds = *epoch == present || self.epochs_before(channel, present).contains(epoch);
            holds.then_some(())?;
            Some(RestoredConnection { id: *id, channel: channel.clone(), taken: *taken })
        };
        self.ended.values().chain(self.there.values()).filter_map(restored).collect()
    }

    /// The epochs from which this one of a channel follows.
    fn epochs_before(&self, channel: &ChannelName, epoch: u32) -> Vec<u32> {
        let mut epochs = vec![epoch];
        for (_, before, behind) in self.renewed.iter().rev().filter(|(its, ..)| its == channel) {
            if epochs.contains(behind) {
                epochs.push(*before);
            }
        }
        epochs
    }
}

#[cfg(test)]
mod tests;
