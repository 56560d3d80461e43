//! Which boot of the machine the files are from, and the folder's own clock.
//!
//! That clock goes on over boots: what a message's record has is a moment of it, so that a file can have messages of several boots. In
//! each boot it is the boot's clock and a number of seconds. What must stay true: a boot that is not known is never the same as another.

use std::fmt::Write as _;
use std::io;

use crate::storage::checked_text;
use crate::storage::damage::Damage;
use crate::storage::file_name::BOOT;
use crate::storage::folder::Folder;

const FIRST_LINE: &str = "foghorn boot 1";
/// Stands for the id of a boot that is not known.
const UNKNOWN: &str = "?";
/// The longest id that is believed to be one, in bytes. The kernel's has 36.
const ID_BYTES_MAX: usize = 64;
/// The longest file.
const FILE_BYTES_MAX: u64 = 1024;

/// What both clocks say at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Seconds since the machine was started.
    pub boot_secs: i32,
    /// Seconds since 1970.
    pub unix_secs: u64,
}

/// A boot, as the files that were written in it have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Its id; `None` if that is not known.
    pub id: Option<String>,
    /// What the folder's clock says when the boot's is at 0, in seconds.
    pub clock_offset_secs: i32,
}

impl Boot {
    /// The id in what somebody has named as one.
    pub fn id_of(named: Option<&str>) -> Option<String> {
        let id = named?.trim();
        let is_id = (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        (is_id && id != UNKNOWN).then(|| id.to_owned())
    }

    /// Reads the folder's; `None` if that is missing.
    ///
    /// # Errors
    /// If it cannot be believed.
    pub fn read(folder: &Folder) -> Result<Option<Self>, Damage> {
        let Some(text) = folder.read_small(BOOT, FILE_BYTES_MAX)? else { return Ok(None) };
        let lines = checked_text::read(&text).ok_or_else(|| Damage::new(BOOT, "has a wrong checksum"))?;
        Self::parse(lines).map(Some).ok_or_else(|| Damage::new(BOOT, "is not of this version"))
    }

    fn parse(lines: &str) -> Option<Self> {
        let mut lines = lines.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let id = Self::id_of(Some(lines.next()?.strip_prefix("id ")?));
        let clock_offset_secs = lines.next()?.strip_prefix("clock ")?.parse().ok()?;
        Some(Self { id, clock_offset_secs })
    }

    /// Writes it.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn write(&self, folder: &Folder) -> io::Result<()> {
        let mut lines = format!("{FIRST_LINE}\nid {}\n", self.id.as_deref().unwrap_or(UNKNOWN));
        let _ = writeln!(lines, "clock {}", self.clock_offset_secs);
        let file = folder.replace(BOOT, checked_text::write(&lines).as_bytes())?;
        folder.sync(&file)
    }

    /// Whether it is the one with this id.
    pub fn is(&self, id: Option<&str>) -> bool {
        self.id.is_some() && self.id.as_deref() == id
    }

    /// What the folder's clock says when the boot's says this.
    pub fn folder_secs(&self, boot_secs: i32) -> i32 {
        boot_secs.saturating_add(self.clock_offset_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(id: Option<&str>, clock_offset_secs: i32) -> Boot {
        Boot { id: id.map(str::to_owned), clock_offset_secs }
    }

    #[test]
    fn a_boot_is_read_as_it_was_written() {
        let within = tempfile::tempdir().unwrap();
        let folder = Folder::open(&within.path().join("state")).unwrap();
        assert_eq!(Boot::read(&folder), Ok(None));
        for written in [boot(Some("9f86d081-4c7d"), 0), boot(None, -5), boot(Some("x"), i32::MAX)] {
            written.write(&folder).unwrap();
            assert_eq!(Boot::read(&folder), Ok(Some(written)));
        }
        std::fs::write(folder.path().join(BOOT), checked_text::write("foghorn boot 2\nid x\nclock 0\n")).unwrap();
        assert!(Boot::read(&folder).is_err());
    }

    #[test]
    fn a_boot_that_is_not_known_is_no_other() {
        assert!(boot(Some("x"), 0).is(Some("x")));
        assert!(!boot(Some("x"), 0).is(Some("y")) && !boot(Some("x"), 0).is(None));
        assert!(!boot(None, 0).is(None) && !boot(None, 0).is(Some("x")));
        assert_eq!(Boot::id_of(Some(" 9f86d081-4c7d\n")), Some("9f86d081-4c7d".into()));
        for no_id in [None, Some(""), Some("?"), Some("two words"), Some("\u{e4}"), Some(&*"x".repeat(65))] {
            assert_eq!(Boot::id_of(no_id), None, "{no_id:?}");
        }
    }
}
