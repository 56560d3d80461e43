//! What is left of a file, in one buffer, a large piece at a time.
//!
//! Leaves what it is to others. What must stay true: it takes no more memory than a piece, or than somebody asks for who knows that the file
//! has something so long.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::config::limits::STATE_READ_BYTES;
use crate::hub::record::Chain;

/// The rest of a file. See the head of this file.
#[derive(Debug)]
pub struct ReadBuffer<'a> {
    file: &'a File,
    /// How much of it was not read.
    unread: u64,
    buffer: Vec<u8>,
    /// Where in the buffer is what was read and not used.
    read: Range<usize>,
}

impl<'a> ReadBuffer<'a> {
    /// For what is between these two places of a file. It may have become longer, but that is nobody's we know.
    ///
    /// # Errors
    /// If it cannot be read there.
    pub fn new(mut file: &'a File, from: u64, to: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(from))?;
        let unread = to.saturating_sub(from);
        Ok(Self { file, unread, buffer: vec![0; STATE_READ_BYTES.min(in_memory(unread))], read: 0..0 })
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.unread + self.read.len() as u64
    }

    /// What is left: at least so many bytes of it, or all.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn at_least(&mut self, bytes: usize) -> io::Result<&[u8]> {
        if self.read.len() < bytes && self.unread > 0 {
            self.fill(bytes)?;
        }
        Ok(&self.buffer[self.read.clone()])
    }

    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        self.buffer.copy_within(self.read.clone(), 0);
        self.read = 0..self.read.len();
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes.min(in_memory(self.left())), 0);
        }
        let piece = (self.buffer.len() - self.read.end).min(in_memory(self.unread));
        self.file.read_exact(&mut self.buffer[self.read.end..][..piece])?;
        self.read.end += piece;
        self.unread -= piece as u64;
        Ok(())
    }

    /// So many bytes were used, of those that have been read.
    pub fn skip(&mut self, bytes: usize) {
        self.read.start += bytes;
    }

    /// Uses so many bytes, which the file has, for a checksum; a piece is in memory at a time.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn checksum_of(&mut self, mut bytes: usize) -> io::Result<Chain> {
        let mut checksum = Chain::default();
        while bytes > 0 {
            let piece = self.at_least(1)?;
            let piece = &piece[..piece.len().min(bytes)];
            checksum = checksum.over(piece);
            bytes -= piece.len();
            self.read.start += piece.len();
        }
        Ok(checksum)
    }
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
