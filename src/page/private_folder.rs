//! The folder of the page's private socket, and those that killed servers have left.
//!
//! What must stay true: a folder is swept only when the server that made it has ended, however many start at the same moment. Each
//! holds a lock on its folder, which the kernel takes from it with its last breath (`flock(2)`).

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

const PREFIX: &str = "foghorn-";
const RANDOM_BYTES: usize = 6;
const SOCKET_NAME: &str = "page";
/// How often a folder is made anew since somebody who sweeps was quicker. That is seldom once, and never for ever.
const ATTEMPTS_MAX: u32 = 100;
/// The longest path of a Unix socket, in bytes (`unix(7)`: 108 with its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The longest path of a folder in which there can be one of ours, in bytes.
pub const PARENT_BYTES_MAX: usize =
    SOCKET_PATH_BYTES_MAX - "/".len() - PREFIX.len() - RANDOM_BYTES - "/".len() - SOCKET_NAME.len();

/// Where the private folder may go, by the variables that `named` looks up: what systemd has made for us (a list,
/// `systemd.exec(5)`), a user's own, the one for temporary files, and `/tmp`. What is empty or relative names none (the XDG base
/// directory specification says so too): it would be somewhere below the folder in which somebody was at the start.
pub fn runtime_folders(named: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let list = named("RUNTIME_DIRECTORY").unwrap_or_default();
    let others = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(&named).map(PathBuf::from);
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in env::split_paths(&list).chain(others).chain([PathBuf::from("/tmp")]) {
        if folder.is_absolute() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// A folder that only this user can open. It goes with this value, and so does the lock on it.
#[derive(Debug)]
pub struct PrivateFolder {
    folder: TempDir,
    lock: File,
}

impl PrivateFolder {
    /// Makes one in `parent`.
    ///
    /// # Errors
    /// If that cannot be written to, or a socket in it would have too long a path.
    pub fn make_in(parent: &Path) -> io::Result<Self> {
        if parent.as_os_str().len() > PARENT_BYTES_MAX {
            return Err(io::Error::other("its path is too long"));
        }
        for _ in 0..ATTEMPTS_MAX {
            let only_ours = Permissions::from_mode(0o700);
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .rand_bytes(RANDOM_BYTES)
                .permissions(only_ours)
                .tempdir_in(parent)?;
            // Whoever sweeps may see it before it is locked. Then another is made.
            let lock = match File::open(folder.path()) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match try_lock(&lock) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                locked => locked?,
            }
            let inode = lock.metadata()?.ino();
            if fs::metadata(folder.path()).is_ok_and(|there| there.ino() == inode) {
                return Ok(Self { folder, lock });
            }
        }
        Err(io::Error::other("each folder that is made is taken by another process"))
    }

    /// Where the socket goes.
    pub fn socket_path(&self) -> PathBuf {
        self.folder.path().join(SOCKET_NAME)
    }

    /// Removes the folders beside this one that killed servers of the same user have left.
    pub fn sweep(&self) {
        let Ok(uid) = self.lock.metadata().map(|own| own.uid()) else { return };
        let parent = self.folder.path().parent();
        for entry in parent.and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten() {
            let is_own_kind = is_own_name(entry.file_name().as_encoded_bytes())
                && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == uid);
            if is_own_kind {
                sweep_one(&entry.path());
            }
        }
    }
}

/// Whether a folder could be one of ours by its name: others may have begun theirs in the same way.
fn is_own_name(name: &[u8]) -> bool {
    let random = name.strip_prefix(PREFIX.as_bytes()).unwrap_or_default();
    random.len() == RANDOM_BYTES && random.iter().all(u8::is_ascii_alphanumeric)
}

/// Removes a folder that nobody holds, and in which there is nothing but the socket.
fn sweep_one(folder: &Path) {
    let Some(_lock) = File::open(folder).ok().filter(|folder| try_lock(folder).is_ok()) else { return };
    let socket = folder.join(SOCKET_NAME);
    if is_answered(&socket) {
        return;
    }
    if fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket()) {
        let _ = fs::remove_file(socket);
    }
    // It stays if there is more in it.
    let _ = fs::remove_dir(folder);
}

/// Whether somebody listens there: Foghorn 0.1.0 holds no lock.
fn is_answered(socket: &Path) -> bool {
    let connect = || -> io::Result<()> {
        let caller = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        caller.set_nonblocking(true)?;
        caller.connect(&SockAddr::unix(socket)?)
    };
    !matches!(connect(), Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound))
}

/// Locks a folder; `WouldBlock` if somebody else holds it.
fn try_lock(folder: &File) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| flock(folder, FlockOperation::NonBlockingLockExclusive))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    fn names(parent: &Path) -> usize {
        fs::read_dir(parent).unwrap().count()
    }

    #[test]
    fn what_a_killed_server_has_left_is_swept_and_all_else_stays() {
        let parent = tempfile::tempdir().unwrap();
        let running = PrivateFolder::make_in(parent.path()).unwrap();
        drop(UnixListener::bind(running.socket_path()).unwrap());
        for name in ["foghorn-killed", "foghorn-others", "elsewhere"] {
            fs::create_dir(parent.path().join(name)).unwrap();
            drop(UnixListener::bind(parent.path().join(name).join(SOCKET_NAME)).unwrap());
        }
        fs::create_dir(parent.path().join("foghorn-early0")).unwrap();
        fs::create_dir(parent.path().join("foghorn-nolock")).unwrap();
        let _listening = UnixListener::bind(parent.path().join("foghorn-nolock/page")).unwrap();
        fs::write(parent.path().join("foghorn-others/precious"), "").unwrap();
        fs::write(parent.path().join("foghorn-afile0"), "").unwrap();
        for name in ["foghorn-state", "foghorn-state-Xy34uV", "foghorn-Xy.4uV"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let own = PrivateFolder::make_in(parent.path()).unwrap();
        own.sweep();
        for (name, stays) in [
            ("foghorn-state", true),
            ("foghorn-state-Xy34uV", true),
            ("foghorn-Xy.4uV", true),
            ("foghorn-killed", false),
            ("foghorn-early0", false),
            ("foghorn-others/precious", true),
            ("elsewhere/page", true),
            ("foghorn-nolock/page", true),
            ("foghorn-afile0", true),
        ] {
            assert_eq!(parent.path().join(name).exists(), stays, "{name}");
        }
        assert!(running.socket_path().exists(), "its server runs");
    }

    #[test]
    fn it_goes_to_the_first_absolute_path_that_is_named_and_tmp_comes_last() {
        let folders = |variables: &[(&str, &str)]| {
            let named = |name: &str| variables.iter().find(|(its, _)| *its == name).map(|(_, value)| value.into());
            runtime_folders(named).iter().map(|folder| folder.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(folders(&[]), ["/tmp"]);
        let all = [("RUNTIME_DIRECTORY", "/run/a:/run/b"), ("XDG_RUNTIME_DIR", "/run/user/1"), ("TMPDIR", "/var/tmp")];
        assert_eq!(folders(&all), ["/run/a", "/run/b", "/run/user/1", "/var/tmp", "/tmp"]);
        for name in ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"] {
            for names_none in ["", "run", "./run", "../run", "~/run", "/tmp"] {
                assert_eq!(folders(&[(name, names_none)]), ["/tmp"], "{name}={names_none}");
            }
        }
        assert_eq!(folders(&[("RUNTIME_DIRECTORY", ":run:/run/a:")]), ["/run/a", "/tmp"]);
    }

    #[test]
    fn the_longest_path_in_which_there_can_be_a_socket_is_known() {
        let within = tempfile::tempdir().unwrap();
        let folder_of = |bytes: usize| {
            let folder = within.path().join("x".repeat(bytes - within.path().as_os_str().len() - 1));
            fs::create_dir(&folder).unwrap();
            folder
        };
        let longest = PrivateFolder::make_in(&folder_of(PARENT_BYTES_MAX)).unwrap();
        drop(UnixListener::bind(longest.socket_path()).unwrap());
        let too_long = folder_of(PARENT_BYTES_MAX + 1);
        assert!(PrivateFolder::make_in(&too_long).unwrap_err().to_string().contains("too long"));
        assert_eq!(names(&too_long), 0);
    }

    #[test]
    fn many_who_start_at_once_leave_each_other_alone() {
        let parent = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let own = PrivateFolder::make_in(parent.path()).unwrap();
                        own.sweep();
                        let _socket = UnixListener::bind(own.socket_path()).unwrap();
                        assert!(own.socket_path().exists());
                    }
                });
            }
        });
        assert_eq!(names(parent.path()), 0);
    }
}
