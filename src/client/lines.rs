//! Bytes that come in pieces, as lines.
//!
//! No I/O. What must stay true: a line is handed out as soon as its end is there; of one that is too long no more than that is kept.

/// What has come and was not handed out.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where in `bytes` the next line begins, and up to where there is no end of it.
    start: usize,
    searched: usize,
    /// Whether the beginning of this line was too long to be kept.
    is_cut: bool,
    number: u64,
}

/// A line, by its number from 1 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The number.
    pub number: u64,
    /// Its bytes without its end (LF or CRLF); `None` if they are too many.
    pub bytes: Option<&'a [u8]>,
}

impl Lines {
    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line that is whole. One of more than `bytes_max` is handed out without its bytes.
    pub fn next(&mut self, bytes_max: usize) -> Option<Line<'_>> {
        let Some(length) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            // The last one may be the CR of its end.
            if self.bytes.len() - self.start > bytes_max.saturating_add(1) {
                self.is_cut = true;
                self.start = self.bytes.len();
            }
            return None;
        };
        let (start, end) = (self.start, self.searched + length);
        self.start = end + 1;
        self.searched = end + 1;
        Some(self.line(start, end, bytes_max))
    }

    /// Whether [`next`](Self::next) has one.
    pub fn has_whole_line(&self) -> bool {
        self.bytes[self.searched..].contains(&b'\n')
    }

    /// Whether all was handed out.
    pub fn is_at_end(&self) -> bool {
        self.start == self.bytes.len() && !self.is_cut
    }

    /// What stands behind the last end of a line, if anything does. There will be no more.
    pub fn rest(&mut self, bytes_max: usize) -> Option<Line<'_>> {
        let (start, end) = (self.start, self.bytes.len());
        if self.is_at_end() {
            return None;
        }
        (self.start, self.searched) = (end, end);
        Some(self.line(start, end, bytes_max))
    }

    fn line(&mut self, start: usize, end: usize, bytes_max: usize) -> Line<'_> {
        self.number += 1;
        let is_cut = std::mem::take(&mut self.is_cut);
        let bytes = &self.bytes[start..end];
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Line { number: self.number, bytes: Some(bytes).filter(|bytes| !is_cut && bytes.len() <= bytes_max) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 5;

    /// All lines of what comes in these pieces.
    fn lines(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut take = |line: Line<'_>| {
            found.push(line.bytes.map(<[u8]>::to_vec));
            assert_eq!(line.number, found.len() as u64);
        };
        for piece in pieces {
            lines.push(piece);
            while let Some(line) = lines.next(MAX) {
                take(line);
            }
            assert!(lines.bytes.len() - lines.start <= MAX + 1, "of one that is too long little is kept");
        }
        if let Some(line) = lines.rest(MAX) {
            take(line);
        }
        assert_eq!(lines.rest(MAX), None);
        found
    }

    fn texts(pieces: &[&str]) -> Vec<Option<String>> {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        lines(&pieces).into_iter().map(|line| line.map(|line| String::from_utf8(line).unwrap())).collect()
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_the_last_needs_none() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts(&["a\nb\r\n\nc"]), [some("a"), some("b"), some(""), some("c")]);
        assert_eq!(texts(&["a\r", "\nb\rc\n"]), [some("a"), some("b\rc")]);
        assert_eq!(texts(&["", "\n", "\r\n"]), [some(""), some("")]);
        assert_eq!(texts(&[]), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_alone() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts(&["12345\r\n123456\n7"]), [some("12345"), None, some("7")]);
        assert_eq!(texts(&["1234", "5678", "9\nab"]), [None, some("ab")]);
        assert_eq!(texts(&["1234567"]), [None]);
        assert_eq!(texts(&["12345", "\r", "\n1"]), [some("12345"), some("1")]);
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_lines_are_the_same(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..60),
            cuts in prop::collection::vec(0_usize..60, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let mut whole: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            if whole.last().is_some_and(|last| last.is_empty()) {
                whole.pop();
            }
            let expected: Vec<Option<Vec<u8>>> = whole
                .into_iter()
                .map(|line| Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()).filter(|line| line.len() <= MAX))
                .collect();
            prop_assert_eq!(lines(&pieces), expected);
        }
    }
}
