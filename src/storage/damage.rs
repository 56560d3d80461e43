//! What can be wrong: with the folder, with a file, and with writing one.
//!
//! What must stay true: each is a sentence for whoever runs the server.

use std::{fmt, io};

use rustix::io::Errno;

/// Why nothing can be kept in a folder, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable(pub(super) String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// Why a channel, or what is known of connections, is kept no longer. Its files were removed, the older one first, or could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepingEnded {
    /// What happened, to which file.
    pub why: String,
    /// Whether nothing of it is left.
    pub files_removed: bool,
}

impl KeepingEnded {
    /// For a file that could not be written, and whether its files could be removed then.
    pub fn new(shown: &str, error: &io::Error, removed: io::Result<()>) -> Self {
        let why = format!("{shown} could not be written: {error}");
        match removed {
            Ok(()) => Self { why, files_removed: true },
            Err(error) => Self { why: format!("{why}; and could not be removed: {error}"), files_removed: false },
        }
    }
}

impl fmt::Display for KeepingEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for KeepingEnded {}

/// What is wrong with a file that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file's name in the folder.
    pub file: String,
    /// What is wrong with it, such that it can follow its name and "which".
    pub why: String,
    /// What to do, if nothing is wrong with the file, and this process has not what it takes to read it.
    pub remedy: Option<&'static str>,
}

impl Damage {
    /// That a file of this name has this.
    pub fn new(file: &str, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), why: why.into(), remedy: None }
    }

    /// That something could not be done with it, as `why` says with the error.
    pub fn of(file: &str, why: impl Into<String>, error: &io::Error) -> Self {
        Self { remedy: remedy(error), ..Self::new(file, why) }
    }
}

/// What to do about an error that says nothing of a file.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
    let no_memory = "lower --backlog or --channel-backlog, or give it more memory";
    if error.kind() == io::ErrorKind::OutOfMemory {
        return Some(no_memory);
    }
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE) => Some("raise the limit of open files (ulimit -n, LimitNOFILE=)"),
        Some(Errno::NOMEM) => Some(no_memory),
        Some(Errno::NOSPC | Errno::DQUOT) => Some("make room there"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_told_with_why_and_whether_it_is_still_there() {
        let full = || io::Error::other("full");
        let ended = KeepingEnded::new("/state/main.0", &full(), Ok(()));
        assert_eq!(ended.to_string(), "/state/main.0 could not be written: full");
        assert!(ended.files_removed);
        let ended = KeepingEnded::new("/state/main.0", &full(), Err(io::Error::other("busy")));
        assert_eq!(ended.to_string(), "/state/main.0 could not be written: full; and could not be removed: busy");
        assert!(!ended.files_removed);
        assert_eq!(Unusable("name another".into()).to_string(), "name another");
    }

    #[test]
    fn what_lies_with_this_process_or_its_disk_has_a_remedy_and_is_no_damage() {
        let of = |errno: Errno| Damage::of("main.0", "could not be read", &errno.into()).remedy;
        for (errno, part) in [
            (Errno::MFILE, "open files"),
            (Errno::NFILE, "open files"),
            (Errno::NOMEM, "lower --backlog"),
            (Errno::NOSPC, "make room"),
            (Errno::DQUOT, "make room"),
        ] {
            assert!(of(errno).is_some_and(|remedy| remedy.contains(part)), "{errno}");
        }
        let no_memory = remedy(&io::ErrorKind::OutOfMemory.into());
        assert!(no_memory.is_some_and(|remedy| remedy.contains("lower --backlog")));
        assert_eq!([of(Errno::IO), of(Errno::ISDIR), remedy(&io::Error::other("short"))], [None; 3]);
    }
}
