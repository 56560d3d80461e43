//! The mark of a stop in order: what each file was then, so that another boot can trust it.
//!
//! What must stay true: a file that differs in length or checksum from what the mark says is not trusted, and neither is one that it does
//! not name. Who starts removes the mark before anything is appended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use crate::config::limits::CHANNELS_MAX;
use crate::storage::boot::Clocks;
use crate::storage::checked_text;
use crate::storage::damage::Damage;
use crate::storage::extent::Extent;
use crate::storage::file_name::MARK;
use crate::storage::folder::Folder;

const FIRST_LINE: &str = "foghorn stopped 1";
/// The longest line has a name, a length and a checksum.
const LINE_BYTES_MAX: usize = 128;
/// The longest file: two segments for each channel and the main one, and a few lines more.
const FILE_BYTES_MAX: u64 = (2 * (CHANNELS_MAX + 1) + 8) as u64 * LINE_BYTES_MAX as u64;

/// The mark. See the head of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What the folder's clock said at the stop.
    pub folder_secs: i32,
    /// What the clock of the day said, in seconds since 1970.
    pub unix_secs: u64,
    /// The files, by their names, in whose order they are written.
    pub files: BTreeMap<String, Extent>,
}

impl Mark {
    /// Reads the folder's; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be believed.
    pub fn read(folder: &Folder) -> Result<Option<Self>, Damage> {
        let Some(text) = folder.read_small(MARK, FILE_BYTES_MAX)? else { return Ok(None) };
        let lines = checked_text::read(&text).ok_or_else(|| Damage::new(MARK, "has a wrong checksum"))?;
        Self::parse(lines).map(Some).ok_or_else(|| Damage::new(MARK, "is not of this version"))
    }

    fn parse(lines: &str) -> Option<Self> {
        let mut lines = lines.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let (folder_secs, unix_secs) = lines.next()?.strip_prefix("clock ")?.split_once(' ')?;
        let file = |line: &str| {
            let mut words = line.strip_prefix("file ")?.split(' ');
            let (name, bytes, checksum) = (words.next()?, words.next()?, words.next()?);
            let extent = Extent { bytes: bytes.parse().ok()?, checksum: u32::from_str_radix(checksum, 16).ok()? };
            Some((name.to_owned(), extent))
        };
        let files = lines.map(file).collect::<Option<_>>()?;
        Some(Self { folder_secs: folder_secs.parse().ok()?, unix_secs: unix_secs.parse().ok()?, files })
    }

    /// Writes it; when this returns it is on the disk, but for its name.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn write(&self, folder: &Folder) -> io::Result<()> {
        let mut lines = format!("{FIRST_LINE}\nclock {} {}\n", self.folder_secs, self.unix_secs);
        for (name, Extent { bytes, checksum }) in &self.files {
            let _ = writeln!(lines, "file {name} {bytes} {checksum:08x}");
        }
        let file = folder.replace(MARK, checked_text::write(&lines).as_bytes())?;
        folder.sync(&file)
    }

    /// Whether these are the files of these names, all of them.
    pub fn vouches_for(&self, names: &[String], found: &[(String, Extent)]) -> bool {
        let marked = names.iter().filter(|name| self.files.contains_key(*name)).count();
        marked == found.len() && found.iter().all(|(name, extent)| self.files.get(name) == Some(extent))
    }

    /// What the folder's clock says by now, if that of the day did not jump, and at least what it said at the stop.
    pub fn folder_secs_at(&self, now: Clocks) -> i32 {
        let since = i32::try_from(now.unix_secs.saturating_sub(self.unix_secs)).unwrap_or(i32::MAX);
        self.folder_secs.saturating_add(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(bytes: u64, checksum: u32) -> Extent {
        Extent { bytes, checksum }
    }

    fn mark() -> Mark {
        let files = [("main.0".to_owned(), extent(68, 0xabc)), ("main.1".to_owned(), extent(1 << 40, u32::MAX))];
        Mark { folder_secs: -7, unix_secs: 1_764_000_000, files: files.into() }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let within = tempfile::tempdir().unwrap();
        let folder = Folder::open(&within.path().join("state")).unwrap();
        assert_eq!(Mark::read(&folder), Ok(None));
        mark().write(&folder).unwrap();
        assert_eq!(Mark::read(&folder), Ok(Some(mark())));
        let path = folder.path().join(MARK);
        let text = std::fs::read_to_string(&path).unwrap();
        for other in [text.replace("68", "69"), text.replace("abc", "abd"), String::new(), text[1..].to_owned()] {
            std::fs::write(&path, other).unwrap();
            assert!(Mark::read(&folder).is_err());
        }
        std::fs::write(&path, checked_text::write("foghorn stopped 2\n")).unwrap();
        assert!(Mark::read(&folder).is_err());
    }

    #[test]
    fn the_longest_mark_that_there_can_be_is_read() {
        let within = tempfile::tempdir().unwrap();
        let folder = Folder::open(&within.path().join("state")).unwrap();
        let names = (0..CHANNELS_MAX).flat_map(|nth| [0, 1].map(|slot| format!("c-{nth:x>64}.{slot}")));
        let names = names.chain(["main.0", "main.1", "connections"].map(str::to_owned));
        let files = names.map(|name| (name, extent(u64::MAX, u32::MAX))).collect();
        let longest = Mark { folder_secs: i32::MIN, unix_secs: u64::MAX, files };
        longest.write(&folder).unwrap();
        assert_eq!(Mark::read(&folder), Ok(Some(longest)));
    }

    #[test]
    fn it_vouches_for_what_it_names_as_it_was_and_nothing_may_be_missing() {
        let names = ["main.0", "main.1"].map(str::to_owned);
        let found = |bytes, checksum| {
            [("main.0".to_owned(), extent(68, 0xabc)), ("main.1".to_owned(), extent(bytes, checksum))]
        };
        assert!(mark().vouches_for(&names, &found(1 << 40, u32::MAX)));
        assert!(!mark().vouches_for(&names, &found(1 << 41, u32::MAX)));
        assert!(!mark().vouches_for(&names, &found(1 << 40, 0)));
        assert!(!mark().vouches_for(&names, &found(1 << 40, u32::MAX)[..1]), "one is missing");
        let others = ["c-a.0", "c-a.1"].map(str::to_owned);
        assert!(!mark().vouches_for(&others, &[("c-a.0".to_owned(), extent(68, 0xabc))]));
    }

    #[test]
    fn the_folders_clock_goes_on_with_that_of_the_day_and_never_back() {
        let at = |unix_secs| mark().folder_secs_at(Clocks { boot_secs: 3, unix_secs });
        assert_eq!([at(1_764_000_100), at(1_764_000_000), at(0), at(u64::MAX)], [93, -7, -7, i32::MAX - 7]);
    }
}
