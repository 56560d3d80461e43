//! A folder for one run, in memory or on disk.
//!
//! What must stay true: it goes with its value, unless somebody wants to look at it.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folder.
pub struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn new(is_in_memory: bool, nth: usize) -> Result<Self, String> {
        let parent = if is_in_memory {
            let runtime = || env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            Some(PathBuf::from("/dev/shm"))
                .filter(|folder| folder.is_dir())
                .or_else(runtime)
                .ok_or("no folder in memory")?
        } else {
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target")
        };
        let path = parent.join(format!("foghorn-torture-{}-{nth}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, is_kept: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it there, and says where that is.
    pub fn keep(&mut self) -> PathBuf {
        self.is_kept = true;
        self.path.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
