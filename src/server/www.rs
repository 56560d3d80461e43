//! From `--www` and the flags beside it to what is served of a folder, and what watches it.
//!
//! Leaves both to `page`. What must stay true: where links in its path lead may change, so they stay.

use std::fs;
use std::path::{self, Path};

use crate::config::settings::Config;
use crate::page::reload::Reload;
use crate::page::resources::Resources;
use crate::page::watching::Watching;
use crate::page::www_folder::WwwFolder;

/// What the page's server has, and with `--reload` who tells pages of changes.
///
/// # Errors
/// A sentence: there is no such folder, or no thread that could watch it.
pub(super) fn open(config: &Config) -> Result<(Resources, Option<Reload>), String> {
    let www = config.www.as_deref().map(|www| find(www, config.list_folders)).transpose()?;
    let reload = match &www {
        Some(www) if config.reload => Some(watch(www, config)?),
        _ => None,
    };
    Ok((Resources { www, provides_reload: reload.is_some() }, reload))
}

/// The folder, found from wherever the process is.
fn find(www: &Path, is_listed: bool) -> Result<WwwFolder, String> {
    let path = fs::read_dir(www).and_then(|_| path::absolute(www)).map_err(|error| {
        format!("cannot serve --www {} ({error}): give a folder that exists and can be read", www.display())
    })?;
    Ok(WwwFolder { path, is_listed })
}

fn watch(www: &WwwFolder, config: &Config) -> Result<Reload, String> {
    let (watching, changes) = Watching::start(www.path.clone()).map_err(|error| {
        format!("cannot start the thread of --reload ({error}): raise the limit of threads (ulimit -u, TasksMax=)")
    })?;
    Ok(Reload::new(watching, changes, config.limits.heartbeat))
}
