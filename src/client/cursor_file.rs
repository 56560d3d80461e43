//! `--cursor`: the file that says where a listener goes on after a restart.
//!
//! Leaves to its caller when it is written. What must stay true: whoever reads the file finds a whole position in it, the old one or
//! the new one; and nothing but a regular file is ever replaced. It is not synced: that would wear out a card with each message. A
//! power cut may leave it empty, and then it says nothing.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::hub::position::Position;

/// More than a position ever has, in bytes.
const BYTES_MAX: u64 = 256;
/// So much of what is no position is shown, in characters.
const SHOWN_CHARS: usize = 32;
/// So many links are followed, as the kernel does (`path_resolution(7)`).
const LINKS_MAX: usize = 40;
/// The mode of a new file, of which the umask is taken away.
const NEW_MODE: u32 = 0o666;
/// The bits of a mode that are permissions.
const PERMISSION_BITS: u32 = 0o777;

/// A file with one position in it, `EPOCH:SEQ` and a line feed.
#[derive(Debug)]
pub struct CursorFile {
    path: PathBuf,
}

impl CursorFile {
    /// The one at this path, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where to go on; `None` if there is no file, or nothing in it.
    ///
    /// # Errors
    /// A sentence, if it cannot be read, is no regular file or holds something else.
    pub fn read(&self) -> Result<Option<Position>, String> {
        let path = self.path.display();
        let bytes = match self.old_file().and_then(|old| old.map(|_| first_bytes(&self.path)).transpose()) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return Err(format!("cannot read the cursor from {path} ({error}): {}", advice(&error))),
        };
        // What a power cut leaves of a file is nothing, or zeros.
        if bytes.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace()) {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&bytes);
        let position = Position::parse(text.trim_ascii());
        position.map(Some).ok_or_else(|| {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            let dots = if shown.len() < text.len() { "…" } else { "" };
            format!(
                "{path} holds {shown:?}{dots} and no cursor (EPOCH:SEQ): delete it to begin anew, or name another file"
            )
        })
    }

    /// Writes a new file beside it and puts that in its place. A link stays, and what it leads to is replaced. The new file has
    /// the mode and, as far as this user may do that, the owner of the old one.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub fn write(&self, position: &Position) -> Result<(), String> {
        self.replace(position).map_err(|error| {
            format!("cannot write the cursor to {} ({error}): {}", self.path.display(), advice(&error))
        })
    }

    fn replace(&self, position: &Position) -> io::Result<()> {
        let old = self.old_file()?;
        let path = behind_links(&self.path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut new = tempfile::Builder::new()
            .prefix(".foghorn-cursor-")
            .permissions(Permissions::from_mode(NEW_MODE))
            .tempfile_in(folder)?;
        if let Some(old) = old {
            resemble(&new, &old)?;
        }
        new.write_all(format!("{position}\n").as_bytes())?;
        new.persist(path)?;
        Ok(())
    }

    /// What is there now.
    fn old_file(&self) -> io::Result<Option<Metadata>> {
        match fs::metadata(&self.path) {
            Ok(old) if old.is_file() => Ok(Some(old)),
            // A FIFO would never end, and a device in `/dev` must not become a file.
            Ok(_) => Err(ErrorKind::InvalidInput.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file that is meant, which need not be there.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // It is no link, or nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// Gives a new file the owner and the mode of an old one. The owner first: the kernel may take rights away with it.
fn resemble(new: &NamedTempFile, old: &Metadata) -> io::Result<()> {
    let own = new.as_file().metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        // Only root may. For all others the file is their own then, as one that an editor has saved.
        let _ = fchown(new.as_file(), Some(old.uid()), Some(old.gid()));
    }
    let mode = old.mode() & PERMISSION_BITS;
    if own.mode() & PERMISSION_BITS != mode {
        new.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "make its folder first (mkdir -p)",
        ErrorKind::PermissionDenied => "this user has to be allowed to read it, and to write into its folder",
        ErrorKind::ReadOnlyFilesystem => "name a file where this user may write",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there",
        ErrorKind::InvalidInput | ErrorKind::IsADirectory => "it is no regular file: name another one",
        _ => "name another file",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn position(text: &str) -> Position {
        Position::parse(text).unwrap()
    }

    fn cursor(content: &[u8]) -> (tempfile::TempDir, CursorFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        fs::write(&path, content).unwrap();
        (folder, CursorFile::new(path))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = CursorFile::new(folder.path().join("cursor"));
        assert_eq!(file.read(), Ok(None), "there is none yet");
        for text in ["kjxwqa:0", "kjxwqa:41", "other:7"] {
            file.write(&position(text)).unwrap();
            assert_eq!(fs::read_to_string(&file.path).unwrap(), format!("{text}\n"));
            assert_eq!(file.read(), Ok(Some(position(text))));
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn whoever_has_the_old_file_open_reads_the_old_position() {
        let (_folder, file) = cursor(b"kjxwqa:41\n");
        let mut old = File::open(&file.path).unwrap();
        file.write(&position("kjxwqa:42")).unwrap();
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kjxwqa:41\n");
    }

    #[test]
    fn what_a_power_cut_leaves_says_nothing() {
        for content in [&b""[..], b"\n", b" \r\n", &[0; 10]] {
            assert_eq!(cursor(content).1.read(), Ok(None), "{content:?}");
        }
    }

    #[test]
    fn a_cursor_that_a_person_has_written_is_read() {
        for content in ["kjxwqa:41", "kjxwqa:41\r\n", " kjxwqa:41 \n\n"] {
            assert_eq!(cursor(content.as_bytes()).1.read(), Ok(Some(position("kjxwqa:41"))), "{content:?}");
        }
    }

    #[test]
    fn what_is_no_cursor_is_shown_in_short() {
        let long = "x".repeat(1000);
        for (content, shown) in [
            (&b"41\n"[..], r#"holds "41\n" and"#),
            (b"kjxwqa:41 kjxwqa:42", r#"holds "kjxwqa:41 kjxwqa:42" and"#),
            (b"\x1b[2J\xff\0", "holds \"\\u{1b}[2J\u{fffd}\\0\" and"),
            (b"kjxwqa:41\0\0", r#"holds "kjxwqa:41\0\0" and"#),
            (long.as_bytes(), r#"holds "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… and"#),
        ] {
            let error = cursor(content).1.read().unwrap_err();
            assert!(error.contains(shown) && error.contains("delete it to begin anew"), "{error}");
        }
    }

    #[test]
    fn the_mode_of_the_old_file_stays_and_a_new_one_has_that_of_any_new_file() {
        let (folder, file) = cursor(b"");
        let usual = mode(&file.path);
        for kept in [0o600, 0o640, 0o666, 0o444] {
            fs::set_permissions(&file.path, Permissions::from_mode(kept)).unwrap();
            file.write(&position("kjxwqa:1")).unwrap();
            assert_eq!(mode(&file.path), kept);
        }
        let new = CursorFile::new(folder.path().join("new"));
        new.write(&position("kjxwqa:1")).unwrap();
        assert_eq!(mode(&new.path), usual);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written_though_it_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("disk")).unwrap();
        symlink("disk/there", folder.path().join("second")).unwrap();
        symlink(folder.path().join("second"), folder.path().join("first")).unwrap();
        let file = CursorFile::new(folder.path().join("first"));
        assert_eq!(file.read(), Ok(None));
        for text in ["kjxwqa:1", "kjxwqa:2"] {
            file.write(&position(text)).unwrap();
            assert_eq!(file.read(), Ok(Some(position(text))));
        }
        assert!(fs::symlink_metadata(&file.path).unwrap().is_symlink());
        assert!(fs::symlink_metadata(folder.path().join("disk/there")).unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_a_cursor_is_left_alone_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("loop", path("loop")).unwrap();
        // In place of a device: where this test runs as root and fails, that would be gone.
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), "").unwrap();
        for (name, word) in [("", "regular"), ("socket", "regular"), ("loop", "another"), ("file/below", "mkdir")] {
            let file = CursorFile::new(path(name));
            let written = file.write(&position("kjxwqa:1")).unwrap_err();
            let read = file.read().unwrap_err();
            assert!(written.contains(word) && read.contains(word), "{written}\n{read}");
        }
        // No folder is no file to read, yet nothing can be written.
        let file = CursorFile::new(path("away/cursor"));
        assert_eq!(file.read(), Ok(None));
        assert!(file.write(&position("kjxwqa:1")).unwrap_err().contains("mkdir"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    }
}
