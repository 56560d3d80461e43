//! Folders to be served, and the project's own files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

/// More than is handed through tiny_http, and more than a kernel takes at once for a reader that does not read.
pub const LARGE_BYTES: usize = 8 << 20;

/// A folder to be served, with these files.
pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, contents) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

/// A folder with a large file, which takes no room on the disk.
pub fn folder_with_large_file(bytes: u64) -> TempDir {
    let www = folder(&[("index.html", b"from disk")]);
    fs::File::create(www.path().join("large.bin")).unwrap().set_len(bytes).unwrap();
    www
}

/// Contents by which a misplaced byte is seen.
pub fn contents(bytes: usize) -> Vec<u8> {
    let mut contents = Vec::with_capacity(bytes + 8);
    while contents.len() < bytes {
        contents.extend((contents.len() as u64).to_be_bytes());
    }
    contents.truncate(bytes);
    contents
}

/// The project's folder.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file or a folder that its owner may not read, or only as far as a mode says, until the end of a test: what is closed could not be
/// removed.
pub struct Closed {
    path: PathBuf,
    before: Permissions,
}

impl Closed {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_mode(path, 0o000)
    }

    pub fn with_mode(path: impl Into<PathBuf>, mode: u32) -> Self {
        let path = path.into();
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Self { path, before }
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let opened = fs::set_permissions(&self.path, self.before.clone());
        assert!(opened.is_ok() || thread::panicking(), "{}: {opened:?}", self.path.display());
    }
}
