//! The query of an address: names and values, and how a value is read.
//!
//! Leaves to others which names there are. What must stay true: a value is decoded once, and one that cannot be read is refused,
//! never guessed.

use percent_encoding::percent_decode_str;

use crate::http::refusal::Refusal;

/// The names in the query of a target, each with its value as it came, or with none where it has no `=`.
pub fn pairs(target: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').map(|pair| pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value))))
}

/// Reads a value, after it was percent-decoded.
///
/// # Errors
/// `otherwise`, if it is not UTF-8 or `read` makes nothing of it.
pub fn value<T>(value: &str, read: impl FnOnce(&str) -> Option<T>, otherwise: Refusal) -> Result<T, Refusal> {
    percent_decode_str(value).decode_utf8().ok().and_then(|text| read(&text)).ok_or(otherwise)
}

/// Reads a whole number. `None` for one that does not fit, too.
pub fn number(text: &str) -> Option<u64> {
    // `u64::from_str` takes a sign.
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::refusal::BAD_AFTER;

    #[test]
    fn a_query_has_names_with_values_and_without() {
        let all = |target| pairs(target).collect::<Vec<_>>();
        assert_eq!(all("/a?b=1&c&d=&e=f=g"), [("b", Some("1")), ("c", None), ("d", Some("")), ("e", Some("f=g"))]);
        assert_eq!(all("/a"), [("", None)]);
    }

    #[test]
    fn a_value_is_decoded_once() {
        let text = |text| value(text, |text| Some(text.to_owned()), BAD_AFTER);
        assert_eq!(text("a%3Ab%2541"), Ok("a:b%41".into()));
        assert_eq!(text("%ff"), Err(BAD_AFTER));
        assert_eq!(
            ["0", "12", "+1", "-1", "", "1e3", "99999999999999999999"].map(number),
            [Some(0), Some(12), None, None, None, None, None]
        );
    }
}
