//! Server-Sent Events (HTML standard) as far as a load needs them: a counting reader of a stream of stamped messages.
//!
//! The stamps are those of `wire`. What must stay true: as there, the reader never holds a payload, only the beginning of
//! the line that a read has cut in two; and an event counts when its empty line is here, not earlier.

use crate::wire::{Arrival, STAMP_BYTES, Stamp};

/// The field that holds a message.
const DATA: &[u8] = b"data: ";

/// As much of a line as says what it is: the field's name and the stamp.
const BEGINNING_BYTES: usize = DATA.len() + STAMP_BYTES;

/// Goes through the bytes of one event stream, in whatever pieces they come.
#[derive(Debug, Default)]
pub struct EventReader {
    beginning: [u8; BEGINNING_BYTES],
    /// How many bytes of the beginning are there.
    kept: usize,
    /// What the event, which is not over yet, has in its first line of data.
    event: Option<Arrival>,
}

impl EventReader {
    /// Reports every event that these bytes complete.
    #[inline]
    pub fn feed(&mut self, mut bytes: &[u8], mut report: impl FnMut(Arrival)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if let Some(arrival) = self.end_line() {
                report(arrival);
            }
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(BEGINNING_BYTES - self.kept);
        self.beginning[self.kept..self.kept + taken].copy_from_slice(&bytes[..taken]);
        self.kept += taken;
    }

    fn end_line(&mut self) -> Option<Arrival> {
        let line = &self.beginning[..std::mem::take(&mut self.kept)];
        if line.is_empty() {
            return self.event.take();
        }
        if let Some(data) = line.strip_prefix(DATA) {
            let stamp = data.first_chunk().and_then(|bytes| Stamp::decode(*bytes));
            self.event = match (self.event, stamp) {
                (None, stamp) => Some(stamp.map_or(Arrival::Other, Arrival::Message)),
                // A message of a load is one line, and what is not a load's may have many.
                (Some(Arrival::Other), None) => Some(Arrival::Other),
                _ => Some(Arrival::Unreadable),
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload;

    #[test]
    fn events_are_counted_however_a_stream_is_cut() {
        let stamp = |seq| Stamp { publisher: 2, seq, sent_ns: 77 };
        let mut stream = b"event: hello\nid: abc:0\ndata: {}\n\n: still here\n\n".to_vec();
        for seq in 0..3 {
            let payload = payload(40, stamp(seq));
            stream.extend([b"id: abc:1\ndata: ", &payload[..], b"\n\n"].concat());
        }
        for piece_bytes in [1, 2, 3, 22, 23, stream.len()] {
            let (mut reader, mut seen) = (EventReader::default(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                reader.feed(piece, |arrival| seen.push(arrival));
            }
            let mut expected = vec![Arrival::Other];
            expected.extend((0..3).map(|seq| Arrival::Message(stamp(seq))));
            assert_eq!(seen, expected, "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn two_messages_in_one_event_are_none_that_count() {
        let line = [DATA, &payload(16, Stamp { publisher: 0, seq: 0, sent_ns: 0 }), b"\n"].concat();
        let mut seen = Vec::new();
        EventReader::default().feed(&[&line[..], &line, b"\n"].concat(), |arrival| seen.push(arrival));
        assert_eq!(seen, [Arrival::Unreadable]);
    }
}
