//! Where something is in a channel's story: an epoch, and a number within it.
//!
//! Leaves to `channel` which of them are known. What must stay true: what is written can be read again, and nothing else can.

use std::fmt;

/// The longest name of an epoch.
const EPOCH_BYTES_MAX: usize = 32;

/// A message by its epoch and number, or with number 0 the place before the first; written `EPOCH:SEQ`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The name of the epoch: 1 to 32 letters and digits.
    pub epoch: String,
    /// The number within it.
    pub seq: u64,
}

impl Position {
    /// Reads `EPOCH:SEQ`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once(':')?;
        let is_epoch =
            (1..=EPOCH_BYTES_MAX).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // `u64::from_str` takes a sign.
        let is_seq = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| is_epoch && is_seq)?;
        Some(Self { epoch: epoch.to_owned(), seq })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let position = Position { epoch: "abc123".into(), seq: 41 };
        assert_eq!(Position::parse(&position.to_string()), Some(position));
        for text in [
            "",
            "abc",
            ":1",
            "abc:",
            "abc:-1",
            "abc:+1",
            "abc:1e3",
            "abc:99999999999999999999999",
            "a\0b:1",
            "abc:1:2",
            "abc: 1",
            "äbc:1",
            "a-b:1",
        ] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
        assert_eq!(Position::parse(&format!("{}:1", "x".repeat(33))), None);
    }
}
