//! Messages to standard output, as fast as it takes them, without waiting for it.
//!
//! What must stay true: nobody gets a part of a message and then another one; nothing waits in here that standard output would take.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use crate::client::incoming::{End, Incoming};
use crate::client::waiting::{Interest, Ready};
use crate::config::client_limits::{OUTPUT_BYTES, UNWRITTEN_BYTES_MAX, UNWRITTEN_MESSAGES_MAX};
use crate::hub::position::Position;

/// What is on its way to standard output.
#[derive(Debug)]
pub struct Printing {
    /// Standard output, without the buffer that std puts before it.
    output: File,
    as_json: bool,
    bytes: Vec<u8>,
    written: usize,
    /// Where in `bytes` each message ends, and where it is in its channel.
    ends: Vec<(usize, Option<Position>)>,
}

impl Printing {
    /// To standard output.
    ///
    /// # Errors
    /// If there can be no further descriptor for it.
    pub fn to_stdout(as_json: bool) -> io::Result<Self> {
        Ok(Self::to(io::stdout().as_fd().try_clone_to_owned()?.into(), as_json))
    }

    fn to(output: File, as_json: bool) -> Self {
        Self { output, as_json, bytes: Vec::new(), written: 0, ends: Vec::new() }
    }

    /// Adds a message: a text with a line feed, a binary message as it is, or either as a line of JSON.
    pub fn push(&mut self, incoming: Incoming) {
        if self.as_json {
            self.bytes.extend(incoming.json_line());
        } else {
            self.bytes.extend_from_slice(incoming.payload());
            if incoming.is_text() {
                self.bytes.push(b'\n');
            }
        }
        self.ends.push((self.bytes.len(), incoming.position));
    }

    /// Whether no more should be added now.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= UNWRITTEN_BYTES_MAX || self.ends.len() >= UNWRITTEN_MESSAGES_MAX
    }

    /// Whether all is out.
    pub fn is_idle(&self) -> bool {
        self.ends.is_empty()
    }

    /// Keeps only the message that is out in part.
    pub fn drop_waiting(&mut self) {
        let kept = if self.written == 0 { 0 } else { self.ends.partition_point(|(end, _)| *end < self.written) + 1 };
        self.ends.truncate(kept);
        self.bytes.truncate(self.ends.last().map_or(0, |(end, _)| *end));
    }

    /// What to wait for. Even if nothing is to be written: then it is told that nobody reads any more.
    pub fn interest(&self) -> Interest<'_> {
        Interest { fd: self.output.as_fd(), reads: false, writes: !self.is_idle() }
    }

    /// Writes what standard output takes. Returns up to where all is out, if all is.
    ///
    /// # Errors
    /// If nobody reads, or it cannot be written.
    pub fn go_on(&mut self) -> Result<Option<Position>, End> {
        loop {
            if !self.is_idle() && self.written == self.bytes.len() {
                self.bytes.clear();
                self.bytes.shrink_to(2 * UNWRITTEN_BYTES_MAX);
                self.written = 0;
                let last = self.ends.drain(..).next_back();
                return Ok(last.and_then(|(_, position)| position));
            }
            match self.interest().look().map_err(|error| unwritable(&error))? {
                Ready { is_broken: true, .. } => return Err(End::NobodyReads),
                Ready { writes: false, .. } => return Ok(None),
                Ready { .. } => {}
            }
            let end = self.bytes.len().min(self.written + OUTPUT_BYTES);
            match self.output.write(&self.bytes[self.written..end]) {
                Ok(count) => self.written += count,
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {
                    return Ok(None);
                }
                Err(error) => return Err(unwritable(&error)),
            }
        }
    }
}

fn unwritable(error: &io::Error) -> End {
    match error.kind() {
        ErrorKind::BrokenPipe => End::NobodyReads,
        ErrorKind::StorageFull => End::Failed(format!("cannot write to standard output ({error}): make room there")),
        _ => End::Failed(format!("cannot write to standard output ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn nowhere() -> Printing {
        Printing::to(File::create("/dev/null").unwrap(), false)
    }

    fn printing(written: usize) -> Printing {
        let mut printing = nowhere();
        printing.push(Incoming::of(1, "one"));
        printing.push(Incoming::of(2, vec![2; 2]));
        printing.push(Incoming::of(3, "three"));
        printing.written = written;
        printing
    }

    #[test]
    fn texts_end_with_a_line_feed_and_binary_messages_are_as_they_are() {
        assert_eq!(printing(0).bytes, b"one\n\x02\x02three\n");
    }

    #[test]
    fn who_is_to_end_finishes_the_message_that_is_out_in_part_and_no_other() {
        for (written, kept, seq) in [(0, 0, None), (1, 4, Some(1)), (4, 4, Some(1)), (5, 6, Some(2)), (7, 12, Some(3))]
        {
            let mut printing = printing(written);
            printing.drop_waiting();
            assert_eq!(printing.bytes.len(), kept, "{written}");
            assert_eq!(printing.ends.pop().map(|(_, position)| position.unwrap().seq), seq, "{written}");
        }
    }

    #[test]
    fn each_message_has_its_own_place_whatever_lies_between() {
        let mut printing = nowhere();
        printing.push(Incoming::of(7, "x"));
        let mut other = Incoming::of(2, "y");
        other.position = Position::parse("another:2");
        printing.push(other);
        printing.written = 1;
        printing.drop_waiting();
        assert_eq!(printing.go_on(), Ok(Position::parse("kjxwqa:7")));
    }

    #[test]
    fn it_is_full_by_bytes_and_by_messages() {
        let mut printing = nowhere();
        printing.push(Incoming::of(1, vec![0; UNWRITTEN_BYTES_MAX - 1]));
        assert!(!printing.is_full());
        printing.push(Incoming::of(2, vec![0]));
        assert!(printing.is_full());
        let mut printing = nowhere();
        (0..UNWRITTEN_MESSAGES_MAX as u64).for_each(|seq| printing.push(Incoming::of(seq, Vec::new())));
        assert!(printing.is_full(), "empty ones take memory, too");
    }

    #[test]
    fn a_pipe_that_nobody_reads_keeps_nobody_waiting_and_gets_all_in_the_end() {
        let (mut reads, writes) = UnixStream::pair().unwrap();
        let mut printing = Printing::to(OwnedFd::from(writes).into(), false);
        let message = vec![b'x'; 1 << 20];
        printing.push(Incoming::of(7, message.clone()));
        assert_eq!(printing.go_on(), Ok(None));
        assert!(printing.written >= OUTPUT_BYTES && printing.interest().writes);
        let mut read = vec![0; message.len()];
        let mut count = 0;
        let done = loop {
            count += io::Read::read(&mut reads, &mut read[count..]).unwrap();
            if let Some(done) = printing.go_on().unwrap() {
                break done;
            }
        };
        io::Read::read_exact(&mut reads, &mut read[count..]).unwrap();
        assert!(read == message && done.seq == 7 && printing.is_idle());
        drop(reads);
        assert_eq!(printing.go_on(), Err(End::NobodyReads), "although nothing is to be written");
    }
}
