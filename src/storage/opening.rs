//! From a folder to what it remembers, and to whoever writes into it.
//!
//! In this order: what is in the files, which of them are to be believed, what others have left; then the boot, whose name makes all that
//! is there trusted the next time; and the mark goes. What must stay true: what is not believed is not there any more before the boot is
//! written, and the mark is gone before anything is appended.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::hub::channel_name::ChannelName;
use crate::storage::boot::{Boot, Clocks};
use crate::storage::channel_reading::{self, ReadChannel};
use crate::storage::connection_reading::{self, Connections};
use crate::storage::connection_record::epoch_checksum;
use crate::storage::damage::{Damage, Unusable, remedy};
use crate::storage::extent::{Extent, Segments};
use crate::storage::file_name::{self, CONNECTIONS, MARK};
use crate::storage::folder::Folder;
use crate::storage::mark::Mark;
use crate::storage::restored::{Restored, RestoredChannel};
use crate::storage::writer::Writer;

/// Where the files are, and what is wanted of them.
#[derive(Debug)]
pub struct Settings {
    /// The folder. It is made if only it is missing.
    pub folder: PathBuf,
    /// Which boot of the machine it is; `None` if that is not known, and this start counts as another one.
    pub boot_id: Option<String>,
    /// What both clocks say.
    pub now: Clocks,
    /// The capacity of the main channel's backlog, in bytes.
    pub main_capacity_bytes: usize,
    /// That of any other channel's.
    pub channel_capacity_bytes: usize,
    /// How many channels there may be beside the main one.
    pub channels_max: usize,
    /// Those that are forgotten last.
    pub kept: BTreeSet<ChannelName>,
}

/// Takes the folder, and reads what is in it. Who gets this begins a segment for each channel that did not come back before it appends
/// to it, and what is known of connections in any case.
///
/// # Errors
/// If it cannot be used.
pub fn open(settings: &Settings) -> Result<(Writer, Restored), Unusable> {
    let folder = Folder::open(&settings.folder)?;
    let failed = |error: io::Error| {
        if let Some(unusable) = error.get_ref().and_then(|inner| inner.downcast_ref::<Unusable>()) {
            return unusable.clone();
        }
        let remedy = remedy(&error).unwrap_or("let this user read and write it");
        Unusable(format!("{} could not be used ({error}); {remedy}", folder.path().display()))
    };
    let free_bytes = folder.free_bytes().map_err(failed)?;
    let mut opening = Opening::begin(&folder, settings).map_err(failed)?;
    let connections = opening.read_connections().map_err(failed)?;
    let (mut known, file) = connections.map_or_else(Default::default, |(known, file)| (known, Some(file)));
    let channels = opening.read_channels(settings, &mut known).map_err(failed)?;
    let Opening { boot, warnings, .. } = opening;
    boot.write(&folder).and_then(|()| folder.remove(MARK)).and_then(|()| folder.sync_names()).map_err(failed)?;

    let connections = known.of(|name| {
        let (channel, _) = channels.iter().find(|(channel, _)| channel.name == *name)?;
        Some(epoch_checksum(&channel.epoch))
    });
    let mut of_channels = HashMap::new();
    let split = |(channel, segments): (RestoredChannel, Segments)| {
        of_channels.insert(channel.name.clone(), segments);
        channel
    };
    let channels = channels.into_iter().map(split).collect();
    let writer = Writer::new(folder, boot, of_channels, file, free_bytes);
    Ok((writer, Restored { channels, connections, warnings }))
}

/// Which files are believed.
#[derive(Debug)]
enum Trust {
    /// Those of this boot: what was written is there, however the server ended.
    All,
    /// Those of another one that were not changed since the stop.
    Marked(Mark),
    /// None: what was written may have got lost, in any order.
    None,
}

/// A folder that is being opened.
struct Opening<'a> {
    folder: &'a Folder,
    names: Vec<String>,
    trust: Trust,
    boot: Boot,
    warnings: Vec<String>,
}

impl<'a> Opening<'a> {
    /// Finds out which files are believed.
    fn begin(folder: &'a Folder, settings: &Settings) -> io::Result<Self> {
        let mut opening = Self {
            folder,
            names: folder.names()?,
            trust: Trust::None,
            boot: Boot { id: Boot::id_of(settings.boot_id.as_deref()), clock_offset_secs: 0 },
            warnings: Vec::new(),
        };
        for name in opening.names.iter().filter(|name| file_name::is_new(name)) {
            if folder.remove(name).is_err() {
                folder.put_aside(name)?;
            }
        }
        let before = Boot::read(folder).or_else(|damage| opening.put_aside(&damage, "").map(|()| None))?;
        let mark = Mark::read(folder).or_else(|damage| opening.put_aside(&damage, "").map(|()| None))?;
        match (before, mark) {
            (Some(before), _) if before.is(opening.boot.id.as_deref()) => {
                opening.boot = before;
                opening.trust = Trust::All;
            }
            (_, Some(mark)) => {
                let offset = i64::from(mark.folder_secs_at(settings.now)) - i64::from(settings.now.boot_secs);
                let nearest = if offset < 0 { i32::MIN } else { i32::MAX };
                opening.boot.clock_offset_secs = i32::try_from(offset).unwrap_or(nearest);
                opening.trust = Trust::Marked(mark);
            }
            (_, None) => opening.forget_all()?,
        }
        Ok(opening)
    }

    /// Removes what nobody can vouch for.
    fn forget_all(&mut self) -> io::Result<()> {
        let channels = self.channels();
        for name in &channels {
            self.remove(name)?;
        }
        self.folder.remove(CONNECTIONS)?;
        if !channels.is_empty() {
            let shown = self.folder.path().display();
            self.warnings.push(format!(
                "All channels begin anew: {shown} is of another boot, in which Foghorn was not stopped in order."
            ));
        }
        Ok(())
    }

    /// The channels that have files.
    fn channels(&self) -> BTreeSet<ChannelName> {
        self.names.iter().filter_map(|name| file_name::channel_of(name)).collect()
    }

    /// Reads what is known of connections, and the file to which more is appended.
    fn read_connections(&mut self) -> io::Result<Option<(Connections, (File, Extent))>> {
        let read = connection_reading::read(self.folder).and_then(|read| {
            let Some(read) = read else { return Ok(None) };
            match &self.trust {
                Trust::Marked(mark) if mark.files.get(CONNECTIONS) != Some(&read.found()) => Err(changed(CONNECTIONS)),
                _ => read.settle(self.folder).map(Some),
            }
        });
        match read {
            Ok(read) => Ok(read),
            Err(damage) => {
                self.put_aside(&damage, "What earlier connections have sent is not known any more: ")?;
                Ok(None)
            }
        }
    }

    /// Reads the channels, those that were used last before others, and removes those for which there is no place. The one that was not
    /// used for longest comes first.
    fn read_channels(
        &mut self,
        settings: &Settings,
        known: &mut Connections,
    ) -> io::Result<Vec<(RestoredChannel, Segments)>> {
        let dated = |name| (channel_reading::last_written(self.folder, &name), name);
        let mut named: Vec<(Option<SystemTime>, ChannelName)> = self.channels().into_iter().map(dated).collect();
        named.sort();
        let mut channels: Vec<_> = named.iter().map(|_| None).collect();
        let mut places = settings.channels_max;
        for is_kept in [true, false] {
            for ((_, name), channel) in named.iter().zip(&mut channels).rev() {
                if (name.is_main() || settings.kept.contains(name)) != is_kept {
                    continue;
                }
                if !name.is_main() && places == 0 {
                    self.remove(name)?;
                } else {
                    *channel = self.read_channel(settings, name, known)?;
                    places -= usize::from(channel.is_some() && !name.is_main());
                }
            }
        }
        Ok(channels.into_iter().flatten().collect())
    }

    fn read_channel(
        &mut self,
        settings: &Settings,
        name: &ChannelName,
        known: &mut Connections,
    ) -> io::Result<Option<(RestoredChannel, Segments)>> {
        let capacity_bytes =
            if name.is_main() { settings.main_capacity_bytes } else { settings.channel_capacity_bytes };
        let see = &mut |origin| known.see(name, origin);
        let read = channel_reading::read(self.folder, name, capacity_bytes, self.boot.clock_offset_secs, see);
        let settled = read.and_then(|read| {
            let Some(read) = read else { return Ok(None) };
            if let Trust::Marked(mark) = &self.trust {
                let found = read.found();
                if !mark.vouches_for(&file_name::of_segments(name), &found) {
                    return Err(changed(&found[0].0));
                }
            }
            let segments = read.settle(self.folder)?;
            Ok(Some((read, segments)))
        });
        match settled {
            Ok(None) => Ok(None),
            Ok(Some((read, segments))) => {
                let epoch = read.epoch().to_owned();
                let ReadChannel { backlog, segment_cost_bytes, .. } = read;
                let name = name.clone();
                let channel = RestoredChannel { name, epoch, backlog, chain: segments.chain, segment_cost_bytes };
                Ok(Some((channel, segments)))
            }
            Err(damage) => {
                self.check_is_damage(&damage)?;
                let others = channel_reading::oldest_first(self.folder, name);
                for file in others.iter().filter(|file| **file != damage.file) {
                    self.folder.put_aside(file)?;
                }
                let begins = match name.as_str() {
                    "" => "The main channel begins anew: ".to_owned(),
                    name => format!("The channel {name} begins anew: "),
                };
                self.put_aside(&damage, &begins)?;
                Ok(None)
            }
        }
    }

    /// Removes a channel's files.
    fn remove(&self, name: &ChannelName) -> io::Result<()> {
        for file in channel_reading::oldest_first(self.folder, name) {
            if self.folder.remove(&file).is_err() {
                self.folder.put_aside(&file)?;
            }
        }
        Ok(())
    }

    /// Nothing is changed in the folder for want of memory or descriptors: with these, all is there.
    fn check_is_damage(&self, damage: &Damage) -> io::Result<()> {
        let Damage { file, why, remedy } = damage;
        let unusable = |remedy| io::Error::other(Unusable(format!("{} {why}; {remedy}", self.folder.shown(file))));
        remedy.map_or(Ok(()), |remedy| Err(unusable(remedy)))
    }

    /// Puts aside what is not believed, with a warning that has this in front.
    fn put_aside(&mut self, damage: &Damage, follows: &str) -> io::Result<()> {
        self.check_is_damage(damage)?;
        let Damage { file, why, .. } = damage;
        let (shown, aside) = (self.folder.shown(file), self.folder.put_aside(file)?);
        self.warnings.push(format!("{follows}{shown} {why}. It is {aside} now."));
        Ok(())
    }
}

fn changed(file: &str) -> Damage {
    Damage::new(file, "is not as it was when Foghorn was stopped, in another boot")
}

#[cfg(test)]
mod tests;
