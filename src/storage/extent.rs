//! What files are, in short, by which they are known again.

use std::fs::File;

use crate::hub::record::Chain;

/// What a file is: its length in bytes, and the checksum of its last record, or of its header if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its last checksum.
    pub checksum: u32,
}

impl Extent {
    /// That of a file that has nothing but these bytes, which end with a checksum.
    pub fn of(bytes: &[u8]) -> Self {
        let checksum = bytes.last_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum));
        Self { bytes: bytes.len() as u64, checksum }
    }
}

/// A channel's files.
#[derive(Debug)]
pub struct Segments {
    /// The generation of the newer one.
    pub generation: u64,
    /// What the newer one is.
    pub newest: Extent,
    /// The chain behind its last record.
    pub chain: Chain,
    /// What the older one is, if there is one.
    pub older: Option<Extent>,
    /// The newer one, while it is open for writing.
    pub open: Option<File>,
}

impl Segments {
    /// What they take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.newest.bytes + self.older.map_or(0, |older| older.bytes)
    }
}
