//! From `--state` to what is kept there, or to why nothing is.
//!
//! Leaves files to `storage`. What must stay true: whatever is wrong with them, the server starts.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::{env, fs};

use log::{info, warn};

use crate::broadcast::keeper::Keeper;
use crate::broadcast::kept_state::KeptState;
use crate::config::settings::Config;
use crate::hub::backlog::Backlog;
use crate::hub::channel_name::ChannelName;
use crate::runtime::clock::{boot_secs, unix_secs};
use crate::storage::boot::Clocks;
use crate::storage::opening::{self, Settings};
use crate::storage::store::Store;

/// Where the kernel says which boot of the machine it is (`random(4)`). systemd's `ProcSubset=pid` hides it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Opens the folder, if one is set.
pub fn open(config: &Config, kept: &BTreeSet<ChannelName>) -> KeptState {
    let Some(folder) = &config.state else { return KeptState::Off };
    let limits = &config.limits;
    let settings = Settings {
        folder: folder.clone(),
        boot_id: boot_id(),
        now: Clocks { boot_secs: boot_secs(), unix_secs: unix_secs() },
        main_capacity_bytes: Backlog::capacity_bytes_for(limits.backlog_bytes),
        channel_capacity_bytes: Backlog::capacity_bytes_for(limits.channel_backlog_bytes),
        channels_max: limits.channels_max,
        kept: kept.clone(),
    };
    let shown = folder.display().to_string();
    let opened = opening::open(&settings).map_err(|unusable| unusable.to_string());
    let opened = opened.and_then(|(writer, restored)| {
        let store =
            Store::new(writer, shown.clone()).map_err(|error| format!("there is no thread for it ({error})"))?;
        Ok((store, restored))
    });
    match opened {
        Ok((store, restored)) => {
            for warning in &restored.warnings {
                warn!("{warning}");
            }
            let messages: usize = restored.channels.iter().map(|channel| channel.backlog.held_frames()).sum();
            info!(
                "what is said is kept in {shown}; {messages} messages of {} channels are there",
                restored.channels.len()
            );
            KeptState::On(Rc::new(Keeper::new(store)), restored)
        }
        Err(problem) => {
            warn!("nothing is kept: {problem}");
            KeptState::Unusable { folder: shown, problem }
        }
    }
}

/// Which boot it is: as systemd says, else as the kernel does.
fn boot_id() -> Option<String> {
    #[cfg(feature = "simulation")]
    if let Some(world) = crate::simulation::entered::world() {
        return Some(world.boot_id());
    }
    let named = env::var("FOGHORN_BOOT_ID").ok().filter(|id| !id.is_empty());
    named.or_else(|| fs::read_to_string(BOOT_ID).ok())
}
