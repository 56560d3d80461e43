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

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_BYTES: usize = 3 * STATE_READ_BYTES + 5;

    fn file() -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..=250).cycle().take(FILE_BYTES).collect();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn a_file_is_read_as_it_is_however_it_is_asked_for_and_no_more_memory_is_taken_than_for_that() {
        let (file, bytes) = file();
        let to = FILE_BYTES - 3;
        for asked in [1, 7, 4096, STATE_READ_BYTES - 1, STATE_READ_BYTES, STATE_READ_BYTES + 1, FILE_BYTES, usize::MAX]
        {
            let mut rest = ReadBuffer::new(&file, 2, to as u64).unwrap();
            let mut at = 2;
            while rest.left() > 0 {
                assert_eq!(rest.left(), (to - at) as u64);
                let found = rest.at_least(asked).unwrap();
                assert!(found.len() >= asked.min(to - at), "{asked} at {at}");
                let used = found.len().min(asked);
                assert!(found[..used] == bytes[at..at + used], "{asked} at {at}");
                rest.skip(used);
                at += used;
            }
            assert_eq!((at, rest.at_least(asked).unwrap()), (to, &[][..]));
            assert!(rest.buffer.len() <= STATE_READ_BYTES.max(asked).min(to), "{asked}");
        }
    }

    #[test]
    fn a_checksum_is_of_the_next_bytes_and_takes_a_piece_at_a_time() {
        let (file, bytes) = file();
        let mut rest = ReadBuffer::new(&file, 0, FILE_BYTES as u64).unwrap();
        rest.at_least(10).unwrap();
        rest.skip(10);
        let until = 2 * STATE_READ_BYTES + 100;
        assert_eq!(rest.checksum_of(until - 10).unwrap(), Chain::default().over(&bytes[10..until]));
        assert_eq!((rest.buffer.len(), rest.at_least(1).unwrap()[0]), (STATE_READ_BYTES, bytes[until]));
    }

    #[test]
    fn nothing_is_moved_while_as_much_is_there_as_is_asked_for() {
        let (file, _) = file();
        let mut rest = ReadBuffer::new(&file, 0, FILE_BYTES as u64).unwrap();
        rest.at_least(10).unwrap();
        rest.skip(10);
        rest.at_least(STATE_READ_BYTES - 10).unwrap();
        assert_eq!(rest.read, 10..STATE_READ_BYTES);
        rest.at_least(STATE_READ_BYTES - 9).unwrap();
        assert_eq!(rest.read, 0..STATE_READ_BYTES);
        let mut last = ReadBuffer::new(&file, 0, 20).unwrap();
        last.at_least(20).unwrap();
        last.skip(5);
        assert_eq!((last.at_least(100).unwrap().len(), last.read), (15, 5..20), "nor when there is no more");
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error() {
        let (file, _) = file();
        let mut rest = ReadBuffer::new(&file, 0, FILE_BYTES as u64).unwrap();
        rest.at_least(1).unwrap();
        file.set_len(STATE_READ_BYTES as u64 + 1).unwrap();
        assert!(rest.at_least(FILE_BYTES).is_err());
    }
}
