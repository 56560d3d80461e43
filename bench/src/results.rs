//! The files of results: one for each kind of load, with every run in it.
//!
//! It leaves what is shown of them to `report` and `plots`. What must stay true: void runs are written too, and a kind
//! that was not measured this time keeps the file that it has.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::load::Kind;
use crate::outcome::Outcome;

/// What a file of results holds: one kind of load.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// Processor, cores and kernel.
    pub machine: String,
    /// Servers that could not be measured, with what would install them.
    pub missing: Vec<String>,
    /// All runs, void ones included.
    pub outcomes: Vec<Outcome>,
}

/// Writes a file for each kind that was measured.
pub fn save(folder: &Path, missing: &[String], outcomes: &[Outcome]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut kinds: Vec<Kind> = outcomes.iter().map(|o| o.load.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let results = Results {
            machine: machine(),
            missing: missing.to_vec(),
            outcomes: outcomes.iter().filter(|o| o.load.kind == kind).cloned().collect(),
        };
        let path = folder.join(format!("{}.json", kind.name()));
        let text = serde_json::to_string_pretty(&results)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// All results in this folder, in the order of the kinds.
pub fn read(folder: &Path) -> Result<Vec<Results>> {
    let listing = std::fs::read_dir(folder).with_context(|| format!("there are no results in {}", folder.display()))?;
    let mut paths: Vec<_> = listing.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let mut results = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        results.push(serde_json::from_str(&text).with_context(|| format!("{} holds no results", path.display()))?);
    }
    results.sort_by_key(|r: &Results| r.outcomes.first().map(|o| o.load.kind));
    Ok(results)
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")).map(|l| l.trim_start_matches([' ', '\t', ':']));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = kernel.split('-').next().unwrap_or("").trim().to_owned();
    let cores = info.lines().filter(|l| l.starts_with("processor")).count();
    format!("{}, {cores} cores, Linux {release}", model.unwrap_or(std::env::consts::ARCH))
}
