//! Writes what is said into the files, segment by segment.
//!
//! No clock, and no thread: whoever calls it waits for the disk. What must stay true: when a call returns well, the files hold what it was
//! given, whenever the process dies; when one fails, the files of its channel are removed, since later messages would follow a gap.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;

use crate::config::limits::STATE_FILES_OPEN_MAX;
use crate::hub::channel_name::ChannelName;
use crate::hub::record::{self, Chain};
use crate::storage::boot::{Boot, Clocks};
use crate::storage::connection_record;
use crate::storage::damage::KeepingEnded;
use crate::storage::extent::{Extent, Segments};
use crate::storage::file_name::{self, CONNECTIONS};
use crate::storage::folder::Folder;
use crate::storage::mark::Mark;
use crate::storage::segment::{Beginning, SegmentHeader};
use crate::storage::stale_files::StaleFiles;

/// What the files may take of the free space: one part of so many.
const BUDGET_PARTS: u64 = 4;

/// Writes. See the head of this file.
#[derive(Debug)]
pub struct Writer {
    folder: Folder,
    boot: Boot,
    channels: HashMap<ChannelName, Segments>,
    /// The channels whose newest file is open, the one opened first in front.
    open: Vec<ChannelName>,
    stale: StaleFiles,
    connections: Option<(File, Extent)>,
    bytes: u64,
    budget_bytes: u64,
}

impl Writer {
    /// For a folder with these files, beside which so many bytes are free.
    pub(super) fn new(
        folder: Folder,
        boot: Boot,
        channels: HashMap<ChannelName, Segments>,
        connections: Option<(File, Extent)>,
        free_bytes: u64,
    ) -> Self {
        let of_channels = channels.values().map(Segments::bytes).sum::<u64>();
        let bytes = of_channels + connections.as_ref().map_or(0, |(_, extent)| extent.bytes);
        Self {
            folder,
            boot,
            channels,
            open: Vec::new(),
            stale: StaleFiles::default(),
            connections,
            bytes,
            budget_bytes: free_bytes.saturating_add(bytes) / BUDGET_PARTS,
        }
    }

    /// Where the files are.
    pub fn folder_path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the files are in memory, where writing never waits for a disk.
    pub fn is_in_memory(&self) -> bool {
        self.folder.is_in_memory()
    }

    /// What has to be added to a moment of this boot's clock for its [record](crate::hub::record::encode), so that the files go by one
    /// clock over several boots.
    pub fn clock_offset_secs(&self) -> i32 {
        self.boot.clock_offset_secs
    }

    /// The bytes of all files that are written to.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many they may be: a quarter of what was free at the start, with what they took by then.
    pub fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    /// Begins a segment of a channel: behind the one that it has, if that stays, or as its only one.
    ///
    /// # Errors
    /// If that cannot be written. The channel is not kept any longer then, until it begins anew.
    pub fn begin(&mut self, name: &ChannelName, beginning: &Beginning) -> Result<(), KeepingEnded> {
        let last =
            self.channels.get(name).map(|segments| segments.generation).or_else(|| self.stale.generation_of(name));
        if beginning.keeps_previous && !self.channels.contains_key(name) {
            return Err(not_kept());
        }
        let generation = last.map_or(0, |last| last + 1);
        let Beginning { epoch, first_seq, chain, keeps_previous } = beginning;
        let header = SegmentHeader { generation, first_seq: *first_seq, chain: *chain, epoch: epoch.clone() }.encode();
        let file = file_name::of_segment(name, generation);
        let written = self.check_budget(header.len()).and_then(|()| self.folder.replace(&file, &header));
        let opened = written.map_err(|error| self.end_keeping(name, &file, &error))?;
        self.close(name);
        let newest = Extent::of(&header);
        let before = self.channels.remove(name);
        self.bytes += newest.bytes;
        self.bytes -= before.as_ref().and_then(|before| before.older).map_or(0, |replaced| replaced.bytes);
        let older = before.as_ref().map(|before| before.newest);
        let mut segments = Segments { generation, newest, chain: *chain, older, open: Some(opened) };
        let older_file = file_name::of_segment(name, generation + 1);
        let settled = if *keeps_previous {
            self.seal(&older_file, before.expect("it has been looked up").chain, &mut segments)
        } else {
            self.folder.remove(&older_file).map(|()| {
                self.bytes -= segments.older.take().map_or(0, |removed| removed.bytes);
            })
        };
        self.channels.insert(name.clone(), segments);
        settled.map_err(|error| self.end_keeping(name, &older_file, &error))?;
        self.stale.note_channel_replaced(name);
        self.note_open(name);
        Ok(())
    }

    /// Appends records to a channel's newest segment, by one write; the last one has this chain.
    ///
    /// # Errors
    /// If not all could be written. The channel is not kept any longer then, until it begins anew.
    pub fn append(&mut self, name: &ChannelName, records: &[u8], chain: Chain) -> Result<(), KeepingEnded> {
        let checked = self.check_budget(records.len());
        let Some(segments) = self.channels.get_mut(name) else { return Err(not_kept()) };
        let was_open = segments.open.is_some();
        let appended = checked.and_then(|()| {
            let open = match &mut segments.open {
                Some(open) => open,
                closed => closed.insert(open_again(&self.folder, name, segments.generation, segments.newest)?),
            };
            self.folder.append(open, records)
        });
        if let Err(error) = appended {
            let file = file_name::of_segment(name, segments.generation);
            return Err(self.end_keeping(name, &file, &error));
        }
        segments.newest = Extent { bytes: segments.newest.bytes + records.len() as u64, checksum: chain.value() };
        segments.chain = chain;
        self.bytes += records.len() as u64;
        if !was_open {
            self.note_open(name);
        }
        Ok(())
    }

    /// Removes the files of a channel that is no more: the older one first, so that the newer one is never taken for all of it.
    pub fn remove(&mut self, name: &ChannelName) {
        let _ = self.remove_files(name);
    }

    /// Writes what is known of connections anew: these records, from the [first](connection_record::first_chain) chain on.
    ///
    /// # Errors
    /// If that cannot be written. Connections are not kept any longer then, until this goes well.
    pub fn begin_connections(&mut self, records: &[u8]) -> Result<(), KeepingEnded> {
        let mut whole = connection_record::header().to_vec();
        whole.extend_from_slice(records);
        let written = self.check_budget(whole.len()).and_then(|()| self.folder.replace(CONNECTIONS, &whole));
        let opened = written.map_err(|error| self.end_connections(&error))?;
        let extent = Extent::of(&whole);
        self.bytes += extent.bytes;
        self.bytes -= self.connections.replace((opened, extent)).map_or(0, |(_, replaced)| replaced.bytes);
        self.stale.note_connections_replaced();
        Ok(())
    }

    /// Appends to what is known of connections, by one write.
    ///
    /// # Errors
    /// As [`begin_connections`](Self::begin_connections).
    pub fn append_connections(&mut self, records: &[u8]) -> Result<(), KeepingEnded> {
        if records.is_empty() {
            return Ok(());
        }
        let checked = self.check_budget(records.len());
        let Some((opened, extent)) = &mut self.connections else { return Err(not_kept()) };
        match checked.and_then(|()| self.folder.append(opened, records)) {
            Ok(()) => {
                *extent = Extent { bytes: extent.bytes + records.len() as u64, ..Extent::of(records) };
                self.bytes += records.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.end_connections(&error)),
        }
    }

    /// Tries again to remove what could not be removed.
    pub(super) fn remove_stale(&mut self) {
        self.stale.remove_again(&self.folder);
    }

    /// Marks that all was written and nothing will follow, so that another boot can trust it.
    ///
    /// # Errors
    /// If that could not be written; another boot begins anew then.
    pub fn stop(mut self, now: Clocks) -> io::Result<()> {
        self.remove_stale();
        let mut files = BTreeMap::new();
        for (name, Segments { generation, newest, older, .. }) in &self.channels {
            files.insert(file_name::of_segment(name, *generation), *newest);
            files.extend(older.map(|older| (file_name::of_segment(name, *generation + 1), older)));
        }
        files.extend(self.connections.take().map(|(_, extent)| (CONNECTIONS.to_owned(), extent)));
        if !self.is_in_memory() {
            // What is missing, or cannot be synced, counts for nothing in another boot; the rest does.
            files.retain(|name, _| self.folder.open_existing(name).and_then(|file| self.folder.sync(&file)).is_ok());
        }
        let folder_secs = self.boot.folder_secs(now.boot_secs);
        Mark { folder_secs, unix_secs: now.unix_secs, files }.write(&self.folder)?;
        self.folder.sync_names()
    }

    /// Says at the end of the older segment that there is a newer one.
    fn seal(&mut self, file: &str, chain: Chain, segments: &mut Segments) -> io::Result<()> {
        let seal = record::seal(chain);
        self.folder.append(&self.folder.open_existing(file)?, &seal)?;
        let older = segments.older.as_mut().expect("it stays");
        *older = Extent { bytes: older.bytes + seal.len() as u64, ..Extent::of(&seal) };
        self.bytes += seal.len() as u64;
        Ok(())
    }

    fn check_budget(&self, bytes: usize) -> io::Result<()> {
        let fits = self.bytes.saturating_add(bytes as u64) <= self.budget_bytes;
        if fits { Ok(()) } else { Err(io::Error::other("a quarter of what was free at the start is used")) }
    }

    /// Only a few are open, since there may be more channels than descriptors.
    fn note_open(&mut self, name: &ChannelName) {
        self.open.push(name.clone());
        if self.open.len() > STATE_FILES_OPEN_MAX {
            let first = self.open[0].clone();
            self.close(&first);
        }
    }

    fn close(&mut self, name: &ChannelName) {
        self.open.retain(|its| its != name);
        if let Some(segments) = self.channels.get_mut(name) {
            segments.open = None;
        }
    }

    /// A channel's files go, since something went wrong with one of them.
    fn end_keeping(&mut self, name: &ChannelName, file: &str, error: &io::Error) -> KeepingEnded {
        let removed = self.remove_files(name);
        KeepingEnded::new(&self.folder.shown(file), error, removed)
    }

    fn remove_files(&mut self, name: &ChannelName) -> io::Result<()> {
        self.close(name);
        let generation = match self.channels.remove(name) {
            Some(segments) => {
                self.bytes -= segments.bytes();
                segments.generation
            }
            None => self.stale.generation_of(name).unwrap_or(0),
        };
        self.stale.remove_channel(&self.folder, name, generation)
    }

    fn end_connections(&mut self, error: &io::Error) -> KeepingEnded {
        self.bytes -= self.connections.take().map_or(0, |(_, extent)| extent.bytes);
        let removed = self.stale.remove_connections(&self.folder);
        KeepingEnded::new(&self.folder.shown(CONNECTIONS), error, removed)
    }
}

/// Opens a channel's newest file, which nobody else has written to.
fn open_again(folder: &Folder, name: &ChannelName, generation: u64, newest: Extent) -> io::Result<File> {
    let file = file_name::of_segment(name, generation);
    let opened = folder.open_existing(&file)?;
    if opened.metadata()?.len() != newest.bytes {
        return Err(io::Error::other("somebody else has written to it"));
    }
    Ok(opened)
}

fn not_kept() -> KeepingEnded {
    KeepingEnded { why: "it has not begun".to_owned(), files_removed: true }
}

#[cfg(test)]
mod tests;
