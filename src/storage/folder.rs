//! The folder: whether it can be used, the lock on it, and every step that changes something in it.
//!
//! Leaves to others what the files hold. What must stay true: only the server that has the lock uses it (`flock(2)`: the kernel takes
//! it back with the server's last breath); no link is followed in it, nothing but plain files of our own are opened, and nobody
//! waits for who writes to a FIFO.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstatfs, fstatvfs, openat, renameat, statat, unlinkat,
};
use rustix::io::retry_on_intr;
use rustix::process::geteuid;

use crate::storage::damage::{Damage, Unusable};
use crate::storage::file_name;
use crate::storage::steps::{self, Step};

/// File systems that are memory (`statfs(2)`): tmpfs, ramfs.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
/// Who is not the owner, and may write.
const OTHERS_MAY_WRITE: u32 = 0o022;

/// Opened as nobody else can make it wait or lead elsewhere.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A folder that is ours, for as long as this value lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    locked: File,
    is_in_memory: bool,
}

impl Folder {
    /// Makes it if it is missing, and takes it.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(path: &Path) -> Result<Self, Unusable> {
        let shown = path.display();
        if let Err(error) = rustix::fs::mkdir(path, Mode::RWXU).map_err(io::Error::from) {
            match error.kind() {
                ErrorKind::AlreadyExists => {}
                ErrorKind::NotFound => return Err(Unusable(format!("there is no folder for {shown}; make it"))),
                _ => return Err(Unusable(format!("{shown} could not be made ({error}); make it for this user"))),
            }
        }
        // A path may lead over links: systemd's /run/foghorn is one.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let locked =
            retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from).map_err(|error| {
                Unusable(match io::Error::from(error) {
                    error if error.kind() == ErrorKind::NotADirectory => format!("{shown} is not a folder; name one"),
                    error => format!("{shown} could not be opened ({error}); let this user read and write it"),
                })
            })?;
        let failed = |error: io::Error| Unusable(format!("{shown} could not be used ({error}); name another folder"));
        let found = locked.metadata().map_err(failed)?;
        if found.uid() != geteuid().as_raw() {
            return Err(Unusable(format!("{shown} belongs to another user; name a folder of this user's own")));
        }
        if found.mode() & OTHERS_MAY_WRITE != 0 {
            return Err(Unusable(format!("others may write to {shown}; take that from them with chmod go-w")));
        }
        match retry_on_intr(|| flock(&locked, FlockOperation::NonBlockingLockExclusive)).map_err(io::Error::from) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(Unusable(format!("{shown} is used by another Foghorn; give each a folder of its own")));
            }
            taken => taken.map_err(failed)?,
        }
        let found = fstatfs(&locked).map_err(|error| failed(error.into()))?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "kinds have 32 bits, in whatever type"
        )]
        let kind = found.f_type as u32;
        let is_in_memory = IN_MEMORY.contains(&kind);
        #[cfg(feature = "simulation")]
        let is_in_memory = steps::is_in_memory().unwrap_or(is_in_memory);
        Ok(Self { path: path.to_owned(), locked, is_in_memory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of it is, for people.
    pub fn shown(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Whether its files are in memory, and gone with the machine's power.
    pub fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// How many bytes this user could still write there.
    ///
    /// # Errors
    /// If the file system does not tell.
    pub fn free_bytes(&self) -> io::Result<u64> {
        #[cfg(feature = "simulation")]
        if let Some(free_bytes) = steps::free_bytes() {
            return Ok(free_bytes);
        }
        let found = fstatvfs(&self.locked)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// The names in it, in their order.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.locked)? {
            // One of ours is plain text.
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a plain file of ours for reading and writing; `None` if there is nothing of this name.
    ///
    /// # Errors
    /// If something else lies there, or it cannot be opened.
    pub fn open_file(&self, name: &str) -> Result<Option<File>, Damage> {
        let failed = |error: io::Error| Damage::of(name, format!("could not be opened ({error})"), &error);
        let found = match statat(&self.locked, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(failed)?,
        };
        // To open a device can do anything.
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(Damage::new(name, "is not a plain file"));
        }
        let flags = OFlags::RDWR | OFlags::APPEND | PLAIN;
        let file = retry_on_intr(|| openat(&self.locked, name, flags, Mode::empty()));
        let file = File::from(file.map_err(|error| failed(error.into()))?);
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || found.uid() != geteuid().as_raw() {
            return Err(Damage::new(name, "is not a plain file of this user"));
        }
        Ok(Some(file))
    }

    /// Opens one that is there.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file), or if it is not.
    pub fn open_existing(&self, name: &str) -> io::Result<File> {
        let opened = self.open_file(name).map_err(|damage| io::Error::other(damage.why))?;
        opened.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Reads a whole file of ours; `None` if there is nothing of this name.
    ///
    /// # Errors
    /// If something else lies there, it cannot be read, or is longer than that.
    pub fn read_small(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Damage> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let read = first_bytes(&file, bytes_max + 1);
        let bytes = read.map_err(|error| Damage::of(name, format!("could not be read ({error})"), &error))?;
        let fits = bytes.len() as u64 <= bytes_max;
        if fits { Ok(Some(bytes)) } else { Err(Damage::new(name, "is longer than it can be")) }
    }

    /// Makes the file that is to have this name once it is [put in place](Self::put_in_place).
    ///
    /// # Errors
    /// If that cannot be.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let new = file_name::of_new(name);
        self.remove(&new)?;
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | PLAIN;
        steps::take(&self.path, Step::Create, || {
            Ok(retry_on_intr(|| openat(&self.locked, &new, flags, Mode::RUSR | Mode::WUSR))?.into())
        })
    }

    /// Appends to a file with one call, whole or not at all as far as we are concerned.
    ///
    /// # Errors
    /// If not all could be written; a part of it may be.
    pub fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        let written = steps::append(&self.path, bytes, |bytes| {
            loop {
                match file.write(bytes) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    written => return written,
                }
            }
        })?;
        #[cfg(feature = "simulation")]
        steps::date(file)?;
        if written == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    /// Gives a file that was [made](Self::create) its name, in place of the one that has it.
    ///
    /// # Errors
    /// If that cannot be; the new file is removed then.
    pub fn put_in_place(&self, name: &str) -> io::Result<()> {
        let new = file_name::of_new(name);
        let renamed = steps::take(&self.path, Step::Rename, || Ok(renameat(&self.locked, &new, &self.locked, name)?));
        if renamed.is_err() {
            let _ = self.remove(&new);
        }
        renamed
    }

    /// Writes the beginning of a file, or all of a small one, in place of the one that has its name.
    ///
    /// # Errors
    /// If that cannot be; nothing of it is left then.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<File> {
        let file = self.create(name)?;
        let written = self.append(&file, bytes);
        if let Err(error) = written {
            let _ = self.remove(&file_name::of_new(name));
            return Err(error);
        }
        self.put_in_place(name)?;
        Ok(file)
    }

    /// Cuts a file.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn cut(&self, file: &File, bytes: u64) -> io::Result<()> {
        steps::take(&self.path, Step::Cut, || file.set_len(bytes))
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// If it is there and stays.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let removed = steps::take(&self.path, Step::Remove, || Ok(unlinkat(&self.locked, name, AtFlags::empty())?));
        removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    /// Puts aside whatever has this name, and returns its new name. An earlier one is replaced.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn put_aside(&self, name: &str) -> io::Result<String> {
        let aside = file_name::of_aside(name);
        let rename = || renameat(&self.locked, name, &self.locked, &aside);
        steps::take(&self.path, Step::Rename, || {
            if rename().is_err() {
                // A folder takes no file's place, nor the other way round.
                let _ = unlinkat(&self.locked, &*aside, AtFlags::empty());
                let _ = unlinkat(&self.locked, &*aside, AtFlags::REMOVEDIR);
                // Where that place is taken for good, a file goes for ever rather than all others.
                rename().or_else(|_| unlinkat(&self.locked, name, AtFlags::empty()))?;
            }
            Ok(())
        })?;
        Ok(aside)
    }

    /// Waits until a file is on the disk, if it is on one.
    ///
    /// # Errors
    /// If it is not.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        if self.is_in_memory { Ok(()) } else { steps::take(&self.path, Step::Sync, || file.sync_all()) }
    }

    /// The same for the names in the folder.
    ///
    /// # Errors
    /// If they are not.
    pub fn sync_names(&self) -> io::Result<()> {
        self.sync(&self.locked)
    }
}

/// What a file begins with: so many bytes, or all.
///
/// # Errors
/// If it cannot be read.
pub fn first_bytes(file: &File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
