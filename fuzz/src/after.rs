//! The `after` parameter: an epoch and a number, or nothing at all.

use foghorn::http::query;
use foghorn::http::refusal::{BAD_AFTER, Refusal};
use foghorn::hub::position::Position;

use crate::{Kind, kind, percent_decoded};

fn parse_after(text: &str) -> Result<Position, Refusal> {
    query::value(text, Position::parse, BAD_AFTER)
}

/// Any text as the value of `after`.
///
/// # Panics
/// If something else than an epoch and a number is read, or is not read.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let parsed = parse_after(&text);

    let expected = percent_decoded(&text).and_then(|decoded| {
        let at = decoded.find(':')?;
        let (epoch, seq) = (&decoded[..at], &decoded[at + 1..]);
        let is_epoch = !epoch.is_empty() && epoch.len() <= 32 && epoch.chars().all(|char| char.is_ascii_alphanumeric());
        // By hand: `u64::from_str` takes a plus sign.
        let seq = seq.chars().try_fold((0_u64, 0), |(number, digits), char| {
            let digit = char.to_digit(10)?;
            Some((number.checked_mul(10)?.checked_add(u64::from(digit))?, digits + 1))
        });
        seq.filter(|&(_, digits)| digits > 0 && is_epoch).map(|(number, _)| (epoch.to_owned(), number))
    });
    match &parsed {
        Ok(after) => {
            assert_eq!(Some((after.epoch.clone(), after.seq)), expected, "{text:?}");
            let again = parse_after(&format!("{}%3a{}", after.epoch, after.seq)).expect("it was just read");
            assert_eq!((&again.epoch, again.seq), (&after.epoch, after.seq));
        }
        Err(refusal) => {
            assert_eq!(refusal.status, 400);
            assert_eq!(expected, None, "{text:?}");
        }
    }
    kind((expected.map(|(epoch, seq)| (epoch.len(), seq.checked_ilog10())), text.len().min(40), text.contains('%')))
}
