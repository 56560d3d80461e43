//! A channel's files, and what is in them.
//!
//! Leaves to others what follows from damage. What must stay true: the messages that come back are those that were written, under their
//! numbers, and none is missing between them or behind them but one of which nobody was told; and nothing is changed in the folder before
//! somebody has decided that the files are to be believed.

use std::collections::TryReserveError;
use std::io;
use std::time::SystemTime;

use crate::hub::backlog::{Backlog, INDEX_ENTRY_BYTES};
use crate::hub::blocked_messages::OUTSIDER;
use crate::hub::channel_name::ChannelName;
use crate::hub::frame;
use crate::hub::record::{self, Header, Origin};
use crate::storage::damage::Damage;
use crate::storage::extent::{Extent, Segments};
use crate::storage::file_name;
use crate::storage::folder::Folder;
use crate::storage::segment_reading::{End, OpenSegment, Tail, could_not_be_read};

/// A channel that could be read.
#[derive(Debug)]
pub struct ReadChannel {
    /// The newest of its messages.
    pub backlog: Backlog,
    /// What the messages of its newest segment cost, in bytes.
    pub segment_cost_bytes: usize,
    newest: (OpenSegment, End),
    older: Option<(OpenSegment, End)>,
    /// What was still to be removed.
    leftover: Option<String>,
}

/// When a channel's files were last written to; `None` if it has none that can be looked at.
pub fn last_written(folder: &Folder, name: &ChannelName) -> Option<SystemTime> {
    let written = |file: &String| folder.open_file(file).ok()??.metadata().ok()?.modified().ok();
    file_name::of_segments(name).iter().filter_map(written).max()
}

/// The names of a channel's files in the order in which they have to go, so that what is left of them at any moment is never taken for all
/// of a log whose end is gone: those that cannot be read come last.
pub fn oldest_first(folder: &Folder, name: &ChannelName) -> Vec<String> {
    let mut files = Vec::new();
    let mut last = None;
    for file in file_name::of_segments(name) {
        let generation = match OpenSegment::open(folder, name, &file) {
            Ok(None) => continue,
            Ok(Some(segment)) => segment.header.generation,
            Err(_) => u64::MAX,
        };
        let is_older = last.is_some_and(|last| generation < last);
        files.insert(if is_older { 0 } else { files.len() }, file);
        last = Some(generation);
    }
    files
}

/// Reads the files of a channel into a backlog of this capacity, with `clock_offset_secs` taken from the moment of each message, and
/// hands out where each comes from. `None` if there are no files.
///
/// # Errors
/// If they cannot be believed.
pub fn read(
    folder: &Folder,
    name: &ChannelName,
    capacity_bytes: usize,
    clock_offset_secs: i32,
    see: &mut dyn FnMut(Origin),
) -> Result<Option<ReadChannel>, Damage> {
    let [even, odd] = file_name::of_segments(name).map(|file| OpenSegment::open(folder, name, &file));
    let (older, newest) = match (even?, odd?) {
        (Some(even), Some(odd)) if even.header.generation > odd.header.generation => (Some(odd), even),
        (even, Some(odd)) => (even, odd),
        (Some(even), None) => (None, even),
        (None, None) => return Ok(None),
    };
    let joins = |older: &OpenSegment| {
        older.header.generation + 1 == newest.header.generation && older.header.epoch == newest.header.epoch
    };
    let (older, leftover) = match older {
        Some(older) if joins(&older) => (Some(older), None),
        leftover => (None, leftover.map(|segment| segment.name)),
    };
    let first_seq = older.as_ref().unwrap_or(&newest).header.first_seq;
    let backlog = Backlog::restored_at(capacity_bytes, first_seq);
    let backlog = backlog.map_err(|error| could_not_be_read(&newest.name, &no_memory(&error)))?;
    let mut messages = Messages { backlog, cost_bytes: 0, clock_offset_secs, see };
    let frame_bytes_max = (capacity_bytes / 2).saturating_sub(INDEX_ENTRY_BYTES);
    let older = match older {
        None => None,
        Some(older) => {
            let end = older.read(frame_bytes_max, &mut |header, frame| messages.take(header, frame))?;
            let goes_on = messages.backlog.next_seq() == newest.header.first_seq && end.chain == newest.header.chain;
            if !goes_on || end.tail == Tail::RecordBegun {
                return Err(Damage::new(&newest.name, "does not begin where the one before it ends"));
            }
            Some((older, end))
        }
    };
    messages.cost_bytes = 0;
    let end = newest.read(frame_bytes_max, &mut |header, frame| messages.take(header, frame))?;
    if end.tail == Tail::Seal {
        return Err(Damage::new(&newest.name, "was followed by another one, which is missing"));
    }
    let Messages { backlog, cost_bytes, .. } = messages;
    Ok(Some(ReadChannel { backlog, segment_cost_bytes: cost_bytes, newest: (newest, end), older, leftover }))
}

impl ReadChannel {
    /// The files by their names, as they were found.
    pub fn found(&self) -> Vec<(String, Extent)> {
        let found =
            |(segment, end): &(OpenSegment, End)| (segment.name.clone(), Extent { bytes: segment.bytes, ..end.whole });
        self.older.iter().chain([&self.newest]).map(found).collect()
    }

    /// The name of its epoch.
    pub fn epoch(&self) -> &str {
        &self.newest.0.header.epoch
    }

    /// Brings the files, which are to be believed, into the order in which a server that stops leaves them: what a killed one was
    /// writing is cut, and what it had still to do is done.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn settle(&self, folder: &Folder) -> Result<Segments, Damage> {
        let failed = |name: &str, error: &io::Error| Damage::new(name, format!("could not be put in order ({error})"));
        if let Some(leftover) = &self.leftover {
            folder.remove(leftover).map_err(|error| failed(leftover, &error))?;
        }
        let (newest, end) = &self.newest;
        cut_tail(folder, newest, end).map_err(|error| failed(&newest.name, &error))?;
        let seal = |(older, end): &(OpenSegment, End)| {
            if end.tail == Tail::Seal {
                return Ok(end.whole);
            }
            let seal = record::seal(end.chain);
            let sealed = cut_tail(folder, older, end).and_then(|()| folder.append(&older.file, &seal));
            sealed.map_err(|error| failed(&older.name, &error))?;
            Ok(Extent { bytes: end.whole.bytes + seal.len() as u64, ..Extent::of(&seal) })
        };
        let older = self.older.as_ref().map(seal).transpose()?;
        Ok(Segments { generation: newest.header.generation, newest: end.whole, chain: end.chain, older, open: None })
    }
}

fn cut_tail(folder: &Folder, segment: &OpenSegment, end: &End) -> io::Result<()> {
    if segment.bytes == end.whole.bytes {
        return Ok(());
    }
    log::debug!("{} ends within what a killed server was writing; cut", folder.shown(&segment.name));
    folder.cut(&segment.file, end.whole.bytes)
}

/// Takes messages in, one after the other.
struct Messages<'a> {
    backlog: Backlog,
    /// What all of them cost, those too for which there is no room.
    cost_bytes: usize,
    clock_offset_secs: i32,
    see: &'a mut dyn FnMut(Origin),
}

impl Messages<'_> {
    /// Takes the one with this header and this frame, if that is not too large for the log; returns whether it is a message.
    fn take(&mut self, header: &Header, frame: Option<&[u8]>) -> io::Result<bool> {
        let cost_bytes = header.frame_bytes.saturating_add(INDEX_ENTRY_BYTES);
        self.cost_bytes = self.cost_bytes.saturating_add(cost_bytes);
        if let Some(origin) = header.origin {
            (self.see)(origin);
        }
        let Some(frame) = frame else {
            // The log was larger then. What is before it goes with it, so that none is missing between others.
            let next_seq = self.backlog.next_seq() + 1;
            let backlog = Backlog::restored_at(self.backlog.capacity_bytes(), next_seq);
            self.backlog = backlog.map_err(|error| no_memory(&error))?;
            return Ok(true);
        };
        if !frame::is_message(frame) {
            return Ok(false);
        }
        self.backlog.append_bytes(frame, OUTSIDER, header.at_secs.saturating_sub(self.clock_offset_secs));
        Ok(true)
    }
}

fn no_memory(error: &TryReserveError) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, error.to_string())
}

#[cfg(test)]
mod tests;
