//! One segment from its file: its header, then record by record.
//!
//! Leaves to `channel_reading` what two of them make together. What must stay true: memory is taken for one message at a time, of a length
//! that is checked and that the file has.

use std::fs::File;
use std::io;

use crate::hub::channel_name::ChannelName;
use crate::hub::record::{self, Chain, Found, Header};
use crate::storage::damage::Damage;
use crate::storage::extent::Extent;
use crate::storage::file_name;
use crate::storage::folder::{Folder, first_bytes};
use crate::storage::read_buffer::ReadBuffer;
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

/// Takes a message, by its header and its frame, without the frame if that is longer than what was asked for; says whether it is right.
pub type Take<'a> = dyn FnMut(&Header, Option<&[u8]>) -> io::Result<bool> + 'a;

impl OpenSegment {
    /// Opens a file of a channel; `None` if there is none.
    ///
    /// # Errors
    /// If its header cannot be believed.
    pub fn open(folder: &Folder, channel: &ChannelName, name: &str) -> Result<Option<Self>, Damage> {
        let Some(file) = folder.open_file(name)? else { return Ok(None) };
        let read = file.metadata().and_then(|found| Ok((found.len(), first_bytes(&file, HEADER_BYTES_MAX as u64)?)));
        let (bytes, begin) = read.map_err(|error| could_not_be_read(name, &error))?;
        let (header, header_bytes) = SegmentHeader::read(&begin).map_err(|why| Damage::new(name, why))?;
        if file_name::of_segment(channel, header.generation) != name {
            return Err(Damage::new(name, "has the header of another file"));
        }
        let header_checksum = Extent::of(&begin[..header_bytes]).checksum;
        Ok(Some(Self { name: name.to_owned(), file, bytes, header, header_bytes, header_checksum }))
    }

    /// Reads it, and hands out each message.
    ///
    /// # Errors
    /// If something in it is wrong.
    pub fn read(&self, frame_bytes_max: usize, each: &mut Take<'_>) -> Result<End, Damage> {
        let failed = |error: io::Error| could_not_be_read(&self.name, &error);
        let damaged = |at: u64| Damage::new(&self.name, format!("is damaged at byte {at}"));
        let mut at = self.header_bytes as u64;
        let mut rest = ReadBuffer::new(&self.file, at, self.bytes).map_err(failed)?;
        let mut chain = self.header.chain;
        let mut checksum = self.header_checksum;
        loop {
            let end = |tail| Ok(End { chain, whole: Extent { bytes: at, checksum }, tail });
            let left = rest.left();
            let head = rest.at_least(record::HEADER_BYTES_MAX).map_err(failed)?;
            if head.is_empty() {
                return end(Tail::Nothing);
            }
            let mut after = chain;
            match record::read(head, &mut after) {
                Found::Header(header) => {
                    if header.bytes as u64 + header.frame_bytes as u64 > left {
                        return end(Tail::RecordBegun);
                    }
                    rest.skip(header.bytes);
                    let is_right = if header.frame_bytes <= frame_bytes_max {
                        let frame = &rest.at_least(header.frame_bytes).map_err(failed)?[..header.frame_bytes];
                        let is_right = Chain::default().over(frame) == header.frame_crc
                            && each(&header, Some(frame)).map_err(failed)?;
                        rest.skip(header.frame_bytes);
                        is_right
                    } else {
                        rest.checksum_of(header.frame_bytes).map_err(failed)? == header.frame_crc
                            && each(&header, None).map_err(failed)?
                    };
                    if !is_right {
                        return Err(damaged(at));
                    }
                    at += (header.bytes + header.frame_bytes) as u64;
                    (chain, checksum) = (after, after.value());
                }
                Found::Seal if left == record::HEADER_BYTES_MIN as u64 => {
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

/// That a file of this name could not be read.
pub fn could_not_be_read(name: &str, error: &io::Error) -> Damage {
    Damage::of(name, format!("could not be read ({error})"), error)
}
