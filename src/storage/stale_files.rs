//! Files that are not written to any more, and could not be removed: another server would believe them, and go on where they end.
//!
//! Leaves when that is tried again to `writer`. What must stay true: of a channel's files the older one goes first, so that the newer one is
//! never taken for all of it.

use std::io;

use crate::hub::channel_name::ChannelName;
use crate::storage::connection_record;
use crate::storage::file_name::{self, CONNECTIONS};
use crate::storage::folder::Folder;

/// What stays behind. See the head of this file.
#[derive(Debug, Default)]
pub(super) struct StaleFiles {
    /// With the generation of the newest file.
    channels: Vec<(ChannelName, u64)>,
    connections: bool,
}

impl StaleFiles {
    /// The generation of a channel's newest file that stays behind, if one does.
    pub(super) fn generation_of(&self, name: &ChannelName) -> Option<u64> {
        self.channels.iter().find(|(its, _)| its == name).map(|(_, generation)| *generation)
    }

    /// Removes a channel's files, the newest of which is of this generation. What cannot be removed is stale from now on.
    ///
    /// # Errors
    /// If one of them stays.
    pub(super) fn remove_channel(&mut self, folder: &Folder, name: &ChannelName, generation: u64) -> io::Result<()> {
        let files = [generation + 1, generation].map(|generation| file_name::of_segment(name, generation));
        let removed = files.iter().try_for_each(|file| folder.remove(file));
        self.note_channel_replaced(name);
        if removed.is_err() {
            self.channels.push((name.clone(), generation));
        }
        removed
    }

    /// Removes what is known of connections, or has it say nothing, which is as good: what stays would say too little of who sends on.
    ///
    /// # Errors
    /// If neither can be.
    pub(super) fn remove_connections(&mut self, folder: &Folder) -> io::Result<()> {
        let removed = folder.remove(CONNECTIONS);
        let nothing = connection_record::header();
        let removed = removed.or_else(|error| folder.replace(CONNECTIONS, &nothing).map(drop).map_err(|_| error));
        self.connections = removed.is_err();
        removed
    }

    /// Notes that a channel's files were taken by others.
    pub(super) fn note_channel_replaced(&mut self, name: &ChannelName) {
        self.channels.retain(|(its, _)| its != name);
    }

    /// Notes that the file of connections is a new one.
    pub(super) fn note_connections_replaced(&mut self) {
        self.connections = false;
    }

    /// Tries it again with all of them.
    pub(super) fn remove_again(&mut self, folder: &Folder) {
        for (name, generation) in std::mem::take(&mut self.channels) {
            let _ = self.remove_channel(folder, &name, generation);
        }
        if self.connections {
            let _ = self.remove_connections(folder);
        }
    }
}
