//! What `send` is to send: words, or standard input as one message or as lines.
//!
//! Leaves reading to its caller. What must stay true: what cannot be sent is told from what can, and the memory is that of one
//! message and one read.

use async_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::client::lines::{Line, Lines};

/// Where messages come from.
#[derive(Debug)]
pub struct Input {
    source: Source,
    is_binary: bool,
    has_ended: bool,
    is_stopped: bool,
}

#[derive(Debug)]
enum Source {
    /// One message, of which a part may still have to come.
    One(Vec<u8>),
    Lines(Lines),
    Nothing,
}

/// Why something cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// It is larger than the server takes.
    TooLarge,
    /// It is not UTF-8, and not to be sent as binary.
    NoText,
}

impl Unsendable {
    /// What is said of it. `line`: the number of its line, if there are lines; `bytes_max`: what the server takes.
    pub fn sentence(self, line: Option<u64>, bytes_max: usize) -> String {
        let what = line.map_or_else(|| "the message".to_owned(), |line| format!("line {line}"));
        match self {
            Self::TooLarge => format!("{what} is not sent: the server takes {bytes_max} bytes at most here"),
            Self::NoText => format!("{what} is not sent: it is not UTF-8; --binary sends it as it is"),
        }
    }
}

impl Input {
    /// One message that is there.
    pub fn words(text: Vec<u8>, is_binary: bool) -> Self {
        Self { source: Source::One(text), is_binary, has_ended: true, is_stopped: false }
    }

    /// What is read, as lines or as one message.
    pub fn reading(as_lines: bool, is_binary: bool) -> Self {
        let source = if as_lines { Source::Lines(Lines::default()) } else { Source::One(Vec::new()) };
        Self { source, is_binary, has_ended: false, is_stopped: false }
    }

    /// Whether it is still read.
    pub fn is_read(&self) -> bool {
        !self.has_ended
    }

    /// Whether a person at a terminal would not know what to do: all of it is one message.
    pub fn is_from_person(&self) -> bool {
        self.is_read() && matches!(self.source, Source::One(_))
    }

    /// Whether nothing of it is left to hand out, and nothing more will come.
    pub fn is_exhausted(&self) -> bool {
        match &self.source {
            Source::One(_) => self.is_stopped,
            Source::Lines(lines) => self.has_ended && !lines.has_whole_line() && (self.is_stopped || lines.is_at_end()),
            Source::Nothing => true,
        }
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.source {
            Source::One(message) => message.extend_from_slice(bytes),
            Source::Lines(lines) => lines.push(bytes),
            Source::Nothing => {}
        }
    }

    /// Notes that all was read.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Reads no more, before all was read: what is not whole is not sent.
    pub fn stop(&mut self) {
        self.is_stopped |= !std::mem::replace(&mut self.has_ended, true);
    }

    /// Reads no more, since it cannot be read. What is one message alone is none, then.
    pub fn fail(&mut self) {
        self.stop();
        if matches!(self.source, Source::One(_)) {
            self.source = Source::Nothing;
        }
    }

    /// Whether reading was stopped before its end.
    pub fn was_stopped(&self) -> bool {
        self.is_stopped
    }

    /// How many messages were read, whole or in part, and not handed out.
    pub fn count_left(&mut self) -> usize {
        match &mut self.source {
            Source::One(_) => 1,
            Source::Lines(lines) => std::iter::from_fn(|| next_or_rest(lines, usize::MAX).map(drop)).count(),
            Source::Nothing => 0,
        }
    }

    /// The next message that is whole, with the number of its line if there are lines; or why it cannot be sent.
    pub fn next(&mut self, bytes_max: usize) -> Option<(Option<u64>, Result<Message, Unsendable>)> {
        let is_binary = self.is_binary;
        match &mut self.source {
            Source::One(bytes) if bytes.len() > bytes_max => {
                self.source = Source::Nothing;
                self.has_ended = true;
                Some((None, Err(Unsendable::TooLarge)))
            }
            Source::One(_) if !self.has_ended || self.is_stopped => None,
            Source::One(bytes) => {
                let message = message(Bytes::from(std::mem::take(bytes)), is_binary);
                self.source = Source::Nothing;
                Some((None, message))
            }
            Source::Lines(lines) => {
                let line = if self.has_ended && !self.is_stopped {
                    next_or_rest(lines, bytes_max)
                } else {
                    lines.next(bytes_max)
                };
                line.map(|Line { number, bytes }| {
                    let bytes = bytes.map(Bytes::copy_from_slice).ok_or(Unsendable::TooLarge);
                    (Some(number), bytes.and_then(|bytes| message(bytes, is_binary)))
                })
            }
            Source::Nothing => None,
        }
    }
}

fn next_or_rest(lines: &mut Lines, bytes_max: usize) -> Option<Line<'_>> {
    if lines.has_whole_line() { lines.next(bytes_max) } else { lines.rest(bytes_max) }
}

fn message(bytes: Bytes, is_binary: bool) -> Result<Message, Unsendable> {
    if is_binary {
        return Ok(Message::Binary(bytes));
    }
    Utf8Bytes::try_from(bytes).map(Message::Text).map_err(|_| Unsendable::NoText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &mut Input) -> Vec<(Option<u64>, Result<Message, Unsendable>)> {
        std::iter::from_fn(|| input.next(4)).collect()
    }

    #[test]
    fn one_message_is_all_that_was_read() {
        let mut input = Input::reading(false, false);
        input.push(b"a\n");
        assert_eq!(all(&mut input), []);
        input.push(b"b\n");
        input.end();
        assert_eq!(all(&mut input), [(None, Ok(Message::text("a\nb\n")))]);
        assert!(!input.is_read());
        let mut empty = Input::words(Vec::new(), true);
        assert_eq!(all(&mut empty), [(None, Ok(Message::binary(Vec::new())))]);
    }

    #[test]
    fn one_that_is_too_large_is_read_no_further() {
        let mut input = Input::reading(false, true);
        input.push(b"12345");
        assert!(input.is_read());
        assert_eq!(all(&mut input), [(None, Err(Unsendable::TooLarge))]);
        assert!(!input.is_read());
    }

    #[test]
    fn of_lines_those_are_named_that_cannot_be_sent() {
        let mut input = Input::reading(true, false);
        input.push(b"a\n12345\n\xff\nend");
        assert_eq!(all(&mut input).len(), 3);
        input.end();
        assert_eq!(all(&mut input), [(Some(4), Ok(Message::text("end")))]);
        let mut input = Input::reading(true, false);
        input.push(b"12345\n\xff\n");
        input.end();
        let expected = [(Some(1), Err(Unsendable::TooLarge)), (Some(2), Err(Unsendable::NoText))];
        assert_eq!(all(&mut input), expected);
        let mut input = Input::reading(true, true);
        input.push(b"\xff\n");
        assert_eq!(all(&mut input), [(Some(1), Ok(Message::binary(vec![0xff])))]);
    }

    #[test]
    fn what_was_begun_is_not_sent_when_reading_ends_early() {
        let mut input = Input::reading(true, false);
        input.push(b"whole\nnext\nhal");
        input.stop();
        assert_eq!(input.next(9), Some((Some(1), Ok(Message::text("whole")))));
        assert_eq!(input.count_left(), 2);
        let mut input = Input::reading(true, false);
        input.push(b"whole\nhal");
        input.stop();
        assert!(input.next(9).is_some() && input.next(9).is_none());
        let mut input = Input::reading(false, false);
        input.push(b"hal");
        input.stop();
        assert_eq!((input.next(9), input.count_left()), (None, 1));
        assert_eq!(Input::reading(true, false).count_left(), 0);
        let mut begun = Input::reading(false, false);
        begun.stop();
        assert_eq!(begun.count_left(), 1, "it was to be one");
        assert_eq!(Input::words(Vec::new(), false).count_left(), 1);
    }
}
