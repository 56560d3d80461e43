//! One segment from its file: its header, then record by record.
//!
//! Leaves to `channel_reading` what two of them make together. What must stay true: memory is taken for one message at a time, of a length
//! that is checked and that the file has.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::config::limits::STATE_READ_BYTES;
use crate::hub::channel_name::ChannelName;
use crate::hub::record::{self, Chain, Found, Header};
use crate::storage::damage::Damage;
use crate::storage::extent::Extent;
use crate::storage::file_name;
use crate::storage::folder::Folder;
use crate::storage::segment::{HEADER_BYTES_MAX, SegmentHeader};

/// A segment whose header is right.
#[derive(Debug)]
pub struct OpenSegment {
    /// Its file's name.
    pub name: String,
    /// Its file.
    pub file: File,
    /// How long that is, in bytes.
    pub bytes: u64,
    /// What it says of itself.
    pub header: SegmentHeader,
    header_bytes: usize,
    header_checksum: u32,
}

/// What is behind the last whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Nothing,
    /// The seal of a segment that another follows, whole.
    Seal,
    /// The beginning of one.
    SealBegun,
    /// The beginning of a record.
    RecordBegun,
}

/// How far a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The chain behind its last record.
    pub chain: Chain,
    /// Its whole records, and the whole seal.
    pub whole: Extent,
    /// What is behind the last record.
    pub tail: Tail,
}

impl OpenSegment {
    /// Opens a file of a channel; `None` if there is none.
    ///
    /// # Errors
    /// If its header cannot be believed.
    pub fn open(folder: &Folder, channel: &ChannelName, name: &str) -> Result<Option<Self>, Damage> {
        let Some(file) = folder.open_file(name)? else { return Ok(None) };
        let mut begin = Vec::new();
        let read = file.metadata().and_then(|found| {
            (&file).take(HEADER_BYTES_MAX as u64).read_to_end(&mut begin)?;
            Ok(found.len())
        });
        let bytes = read.map_err(|error| could_not_be_read(name, &error))?;
        let (header, header_bytes) = SegmentHeader::read(&begin).map_err(|why| Damage::new(name, why))?;
        if file_name::of_segment(channel, header.generation) != name {
            return Err(Damage::new(name, "has the header of another file"));
        }
        let header_checksum = Extent::of(&begin[..header_bytes]).checksum;
        Ok(Some(Self { name: name.to_owned(), file, bytes, header, header_bytes, header_checksum }))
    }

    /// Reads it, and hands out each header with a reader, from which just its frame has to be read, and whether that is right has to
    /// be said.
    ///
    /// # Errors
    /// If something in it is wrong.
    pub fn read(&self, each: &mut dyn FnMut(&Header, &mut dyn Read) -> io::Result<bool>) -> Result<End, Damage> {
        let failed = |error: io::Error| could_not_be_read(&self.name, &error);
        let damaged = |at: u64| Damage::new(&self.name, format!("is damaged at byte {at}"));
        let mut reader = BufReader::with_capacity(STATE_READ_BYTES, &self.file);
        let mut at = reader.seek(SeekFrom::Start(self.header_bytes as u64)).map_err(failed)?;
        let mut chain = self.header.chain;
        let mut checksum = self.header_checksum;
        loop {
            let end = |tail| Ok(End { chain, whole: Extent { bytes: at, checksum }, tail });
            // It may have become longer, but that is nobody's we know.
            let left = self.bytes.saturating_sub(at);
            if left == 0 {
                return end(Tail::Nothing);
            }
            let mut head = [0; record::HEADER_BYTES_MAX];
            let head = read_head(&mut reader, left, &mut head).map_err(failed)?;
            let mut after = chain;
            match record::read(head, &mut after) {
                Found::Header(header) => {
                    let whole = (header.bytes + header.frame_bytes) as u64;
                    if whole > left {
                        return end(Tail::RecordBegun);
                    }
                    if !each(&header, &mut reader).map_err(failed)? {
                        return Err(damaged(at));
                    }
                    (at, chain, checksum) = (at + whole, after, after.value());
                }
                Found::Seal if left == head.len() as u64 => {
                    let whole = Extent { bytes: self.bytes, ..Extent::of(head) };
                    return Ok(End { chain, whole, tail: Tail::Seal });
                }
                Found::Torn if record::seal(chain).starts_with(head) => return end(Tail::SealBegun),
                Found::Torn => return end(Tail::RecordBegun),
                Found::Seal | Found::Wrong => return Err(damaged(at)),
            }
        }
    }
}

/// Reads the header of a record, or all that is left.
fn read_head<'a>(reader: &mut dyn Read, left: u64, head: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    let mut bytes = left.min(record::HEADER_BYTES_MIN);
    reader.read_exact(&mut head[..bytes])?;
    if record::is_longer(&head[..bytes]) {
        let whole = left.min(record::HEADER_BYTES_MAX);
        reader.read_exact(&mut head[bytes..whole])?;
        bytes = whole;
    }
    Ok(&head[..bytes])
}

/// That a file of this name could not be read.
pub fn could_not_be_read(name: &str, error: &dyn std::fmt::Display) -> Damage {
    Damage::new(name, format!("could not be read ({error})"))
}
