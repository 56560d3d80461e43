//! Opening what lies at a path that was found to have no links, whatever has come to lie there since.
//!
//! Leaves finding such paths to `served_root`. What must stay true: no link is followed, at the end or on the way; nothing is opened
//! but plain files and folders, since to open a FIFO means to wait for who writes to it, and to open a device can do anything.

use std::fs::{self, File, ReadDir};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::{Errno, retry_on_intr};

/// Opens the plain file at this absolute path to be read; `None` if something else lies there.
///
/// # Errors
/// If nothing is there, with a link in the way or not, or the file system refuses it.
pub fn open_plain_file(path: &Path) -> io::Result<Option<File>> {
    let found = File::from(hold(path)?);
    if !found.metadata()?.is_file() {
        return Ok(None);
    }
    // Without O_NONBLOCK, which a file with a lease, such as Samba takes, would refuse.
    File::open(path_of(&found)).map_err(named).map(Some)
}

/// Reads the folder at this absolute path.
///
/// # Errors
/// If there is none, with a link in the way or not, or the file system refuses it.
pub fn read_folder(path: &Path) -> io::Result<ReadDir> {
    let found = File::from(hold(path)?);
    if !found.metadata()?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    // Its entries keep a descriptor of their own.
    fs::read_dir(path_of(&found)).map_err(named)
}

/// Whether it says that no file can have such a name (`ENAMETOOLONG`), for which std has a word from Rust 1.87 on.
pub fn is_name_too_long(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NAMETOOLONG)
}

/// Holds what lies at a path without opening it, and goes there by folders alone: `O_NOFOLLOW` for all of a path, which the kernel has
/// since 5.6 (`openat2`) and not everybody's sandbox lets pass.
fn hold(path: &Path) -> io::Result<OwnedFd> {
    const HELD: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    const FOLDER: OFlags = HELD.union(OFlags::DIRECTORY);
    let mut ahead = path.components().filter(|step| *step != Component::RootDir).peekable();
    // The first step goes with the root: what is emulated on another machine has a root of its own, and its files in ours.
    let first = Path::new("/").join(ahead.next().unwrap_or(Component::RootDir));
    let flags = |is_last: bool| if is_last { HELD } else { FOLDER };
    let mut at = retry_on_intr(|| open(&first, flags(ahead.peek().is_none()), Mode::empty()))?;
    while let Some(step) = ahead.next() {
        at = retry_on_intr(|| openat(&at, step.as_os_str(), flags(ahead.peek().is_none()), Mode::empty()))?;
    }
    Ok(at)
}

/// The path of what is held itself, wherever it lies by now: to open that follows nothing else.
fn path_of(held: &File) -> PathBuf {
    format!("/proc/self/fd/{}", held.as_raw_fd()).into()
}

/// What is held is there, so if it is said to be missing, /proc is. That must not pass for a file that is missing.
fn named(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::NotFound { io::Error::other("/proc is not mounted") } else { error }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    /// A folder with a file in a folder, and its path without links.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        fs::create_dir_all(path.join("sub/deep")).unwrap();
        fs::write(path.join("sub/deep/x.txt"), "x").unwrap();
        (folder, path)
    }

    #[test]
    fn a_plain_file_is_opened_to_be_read_and_a_folder_is_not() {
        let (_folder, path) = folder();
        let mut text = String::new();
        open_plain_file(&path.join("sub/deep/x.txt")).unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        assert!(open_plain_file(&path.join("sub")).unwrap().is_none());
        assert!(open_plain_file(Path::new("/")).unwrap().is_none());
        assert_eq!(open_plain_file(&path.join("nothing")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_folder_is_read_and_a_file_is_not() {
        let (_folder, path) = folder();
        let entries: Vec<_> = read_folder(&path.join("sub/deep")).unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.iter().map(fs::DirEntry::file_name).collect::<Vec<_>>(), ["x.txt"]);
        assert_eq!(entries[0].metadata().unwrap().len(), 1, "when nothing is held any longer");
        assert!(read_folder(Path::new("/")).is_ok());
        assert_eq!(read_folder(&path.join("sub/deep/x.txt")).unwrap_err().kind(), ErrorKind::NotADirectory);
    }

    #[test]
    fn no_link_is_followed_at_the_end_or_on_the_way() {
        let (_folder, path) = folder();
        symlink("sub/deep/x.txt", path.join("file")).unwrap();
        symlink("sub", path.join("folder")).unwrap();
        assert!(open_plain_file(&path.join("file")).unwrap().is_none());
        assert_eq!(open_plain_file(&path.join("folder/deep/x.txt")).unwrap_err().kind(), ErrorKind::NotADirectory);
        for name in ["folder", "folder/deep"] {
            assert_eq!(read_folder(&path.join(name)).unwrap_err().kind(), ErrorKind::NotADirectory, "{name}");
        }
    }

    #[test]
    fn nobody_waits_for_who_writes_to_a_fifo() {
        let (_folder, path) = folder();
        mknodat(CWD, path.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(open_plain_file(&path.join("fifo")).unwrap().is_none());
        assert!(read_folder(&path.join("fifo")).is_err());
    }
}
