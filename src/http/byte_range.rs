//! `Range`: the part of a body that a request asks for (RFC 9110 section 14).
//!
//! Leaves to `conditions` when it counts. What must stay true: a part lies within the body and is not empty; whatever cannot be
//! read, and whatever asks for several parts at a time, is no range.

use std::ops::Range;

/// One range of bytes, of a body whose length is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first of these positions to the second, both included. The second may lie behind the end.
    Between(u64, u64),
    /// So many bytes at the end.
    Last(u64),
}

impl ByteRange {
    /// Reads `bytes=0-4`, `bytes=5-` or `bytes=-5`. A number that is too large for any file counts as the largest one.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, range) = value.split_once('=')?;
        let (first, last) = range.split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
        match (first, last) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::Between(number(first)?, u64::MAX)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// Where that is in a body of so many bytes. `None` if it has nothing of it.
    pub fn within(self, body_bytes: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..body_bytes.min(last.saturating_add(1)),
            Self::Last(bytes) => body_bytes.saturating_sub(bytes)..body_bytes,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// Digits and nothing else.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_first_byte_or_counts_from_the_end() {
        let of_ten = |value: &str| ByteRange::parse(value).expect(value).within(10);
        for (value, part) in [
            ("bytes=0-4", 0..5),
            ("bytes=0-0", 0..1),
            ("bytes=9-9", 9..10),
            ("bytes=5-", 5..10),
            ("bytes=-5", 5..10),
            ("bytes=-10", 0..10),
            ("bytes=-11", 0..10),
            ("bytes=5-10", 5..10),
            ("bytes=5-18446744073709551615", 5..10),
            ("bytes=5-99999999999999999999999999", 5..10),
            ("bytes=-99999999999999999999999999", 0..10),
            ("bytes=0000000000000000000000000-00004", 0..5),
            ("BYTES=0-4", 0..5),
        ] {
            assert_eq!(of_ten(value), Some(part), "{value}");
        }
        for value in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999999-"] {
            assert_eq!(of_ten(value), None, "{value}");
        }
    }

    #[test]
    fn whatever_else_is_no_range() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5",
            "bytes=5-4",
            "bytes=+0-4",
            "bytes=0-+4",
            "bytes=--5",
            "bytes=0--4",
            "bytes=0-4-5",
            "bytes=0x0-4",
            "bytes= 0-4",
            "bytes=0-4 ",
            "bytes =0-4",
            "bytes=0-4,",
            "bytes=0-4,6-8",
            "bytes=0-4, -1",
            "bytes:0-4",
            "items=0-4",
            "0-4",
            "bytes=\u{663}-4",
        ] {
            assert_eq!(ByteRange::parse(value), None, "{value}");
        }
    }

    #[test]
    fn the_largest_body_has_a_last_byte() {
        assert_eq!(ByteRange::Between(0, u64::MAX).within(u64::MAX), Some(0..u64::MAX));
        assert_eq!(ByteRange::Last(1).within(u64::MAX), Some(u64::MAX - 1..u64::MAX));
        assert_eq!(ByteRange::Between(u64::MAX, u64::MAX).within(u64::MAX), None);
    }
}
