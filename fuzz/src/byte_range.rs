//! Ranges: a part is what was asked for, of what there is.
//!
//! The input is the length of a body, a blank, and the value of a `Range` header.

use foghorn::http::byte_range::ByteRange;

use crate::{Kind, kind};

/// Any text as a length and a range.
///
/// # Panics
/// If a byte is in the part that was not asked for, or is not in it and was.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let (length, value) = text.split_once(' ').unwrap_or(("10", &text));
    let length = number(length).unwrap_or(10);
    let parsed = ByteRange::parse(value);
    let wanted = wanted(value);
    assert_eq!(parsed.is_some(), wanted.is_some(), "{value:?}");
    let (Some(range), Some(wanted)) = (parsed, wanted) else { return kind((value.len().min(40), value.contains(','))) };
    assert_eq!(ByteRange::parse(&render(range)), Some(range), "it is read the same again");

    // Position by position, where it matters. Whoever asks for the end counts from there.
    let is_wanted = |at: u64| match wanted {
        (Some(first), last) => first <= at && last.is_none_or(|last| at <= last),
        (None, last) => length - at <= last.expect("one of the two"),
    };
    let part = range.within(length);
    if let Some(part) = &part {
        assert!(part.start < part.end && part.end <= length, "{part:?} of {length}");
        assert!(is_wanted(part.start) && is_wanted(part.end - 1), "{value:?}: {part:?} of {length}");
        assert!(part.start == 0 || !is_wanted(part.start - 1), "{value:?}: {part:?} of {length}");
        assert!(part.end == length || !is_wanted(part.end), "{value:?}: {part:?} of {length}");
    } else {
        let first = wanted.0.unwrap_or(0);
        for at in [first, 0, length.saturating_sub(1)] {
            assert!(at >= length || !is_wanted(at), "{value:?}: byte {at} of {length}");
        }
    }
    let sizes = part.map(|part| (part.start.checked_ilog10(), part.end == length));
    kind((matches!(range, ByteRange::Last(_)), sizes, length.checked_ilog10(), value.len().min(30)))
}

/// What asks for the same.
pub fn render(range: ByteRange) -> String {
    match range {
        ByteRange::Between(first, u64::MAX) => format!("bytes={first}-"),
        ByteRange::Between(first, last) => format!("bytes={first}-{last}"),
        ByteRange::Last(bytes) => format!("bytes=-{bytes}"),
    }
}

/// The first and the last position; without the first, how many at the end.
fn wanted(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let unit = value.get(..6)?;
    let parts: Vec<&str> = value[6..].split('-').collect();
    let [first, last] = parts[..] else { return None };
    if !unit.to_lowercase().eq("bytes=") || !value.is_ascii() {
        return None;
    }
    match (first, last) {
        ("", last) => Some((None, Some(number(last)?))),
        (first, "") => Some((Some(number(first)?), None)),
        (first, last) => Some((number(first), number(last))).filter(|(first, last)| first.is_some() && first <= last),
    }
}

/// Digit by digit, up to the largest that there is.
fn number(text: &str) -> Option<u64> {
    let digits =
        text.chars().map(|char| char.to_digit(10)).collect::<Option<Vec<_>>>().filter(|digits| !digits.is_empty());
    Some(digits?.into_iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(digit.into())))
}
