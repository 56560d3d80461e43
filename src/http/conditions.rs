//! Conditions of a request: whether it is still what the client means, whether the client has it already, and which part of it is
//! wanted.
//!
//! Knows nothing of files and answers but their validators; who makes an answer asks it, and nobody else decides about these. What must
//! stay true: a date or a range that is not understood counts as none, and no two states of a file are put together from parts.

use std::ops::Range;
use std::time::SystemTime;

use crate::http::byte_range::ByteRange;
use crate::http::head::Headers;
use crate::http::refusal::Refusal;

/// The header lines of a request that make it conditional (RFC 9110 section 13), and its range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<SystemTime>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<SystemTime>,
    /// `Range`.
    pub range: Option<ByteRange>,
    /// `If-Range`: the tag of the state of which a range is wanted; of any other all.
    pub if_range: Option<String>,
}

/// By what an answer is told from the next one at the same address.
#[derive(Debug, Default)]
pub struct Validators {
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
    /// The date of the last change, in whole seconds.
    pub last_modified: Option<SystemTime>,
}

/// What of an answer is sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Selected {
    /// All of it.
    Whole,
    /// Nothing: it is another one than the client means.
    Failed,
    /// Nothing: the client has it.
    NotModified,
    /// A part, which is not empty.
    Part(Range<u64>),
    /// Nothing: the range lies behind the end.
    Unsatisfiable,
}

impl Conditions {
    /// Reads those of a request with this method. Ranges are defined for GET only (RFC 9110 section 14.2).
    ///
    /// # Errors
    /// If the tags come twice or are not plain ASCII.
    pub fn parse(headers: &Headers<'_>, method: &str) -> Result<Self, Refusal> {
        // Most requests have none of these, and to look for each costs more than to look for all.
        if !headers.has_any(|name| is_prefix(b"if-", name) || name.eq_ignore_ascii_case("range")) {
            return Ok(Self::default());
        }
        let readable = |name| headers.one(name).ok().flatten();
        let mut conditions = Self {
            if_match: headers.one("if-match")?.map(str::to_owned),
            if_unmodified_since: readable("if-unmodified-since").and_then(date),
            if_none_match: headers.one("if-none-match")?.map(str::to_owned),
            if_modified_since: readable("if-modified-since").and_then(date),
            range: readable("range").filter(|_| method == "GET").and_then(ByteRange::parse),
            if_range: None,
        };
        if conditions.range.is_some() {
            // A weak tag never says that it is the same file, and a date not beyond doubt: it can be set (RFC 9110 section 13.1.5).
            match headers.one("if-range") {
                Ok(None) => {}
                Ok(Some(tag)) if tag.starts_with('"') => conditions.if_range = Some(tag.to_owned()),
                Ok(Some(_)) | Err(_) => conditions.range = None,
            }
        }
        Ok(conditions)
    }

    /// How many bytes its texts have.
    pub fn bytes(&self) -> usize {
        [&self.if_match, &self.if_none_match, &self.if_range].into_iter().flatten().map(String::len).sum()
    }

    /// What is sent of an answer with these validators and a body of so many bytes, in the order of RFC 9110 section 13.2.2.
    pub fn select(&self, validators: &Validators, body_bytes: u64) -> Selected {
        let is_meant = match &self.if_match {
            Some(tags) => validators.etag.as_deref().is_some_and(|etag| has_same_tag(tags, etag)),
            None => {
                self.if_unmodified_since.is_none_or(|date| validators.last_modified.is_none_or(|last| last <= date))
            }
        };
        if !is_meant {
            return Selected::Failed;
        }
        let is_known = match &self.if_none_match {
            Some(tags) => validators.etag.as_deref().is_some_and(|etag| has_tag(tags, etag)),
            // An earlier date is another one, too: that of a file which has taken the place of a newer one.
            None => self.if_modified_since.is_some() && self.if_modified_since == validators.last_modified,
        };
        if is_known {
            return Selected::NotModified;
        }
        let is_wanted = self.if_range.is_none() || self.if_range == validators.etag;
        // An empty body has no parts. To say so would help nobody: many ask for its first bytes, whatever comes.
        match self.range.filter(|_| is_wanted && body_bytes > 0) {
            Some(range) => range.within(body_bytes).map_or(Selected::Unsatisfiable, Selected::Part),
            None => Selected::Whole,
        }
    }
}

/// Whether a name begins with this, in any case.
fn is_prefix(prefix: &[u8], name: &str) -> bool {
    name.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A date in one of the three forms of RFC 9110 section 5.6.7.
pub fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// Whether a list of tags has this one, weak or not, or is `*` (RFC 9110 section 13.1.2).
fn has_tag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// Whether a list of tags has the very same, or is `*` (RFC 9110 section 13.1.1).
fn has_same_tag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || is_same_tag(tag, etag))
}

/// Whether two tags are of the same bytes. Weak ones do not tell.
fn is_same_tag(one: &str, other: &str) -> bool {
    one == other && !one.starts_with("W/")
}

/// A tag without the mark of a weak one.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Head;

    fn select(etag: Option<&str>, if_none_match: Option<&str>) -> Selected {
        let conditions = Conditions { if_none_match: if_none_match.map(str::to_owned), ..Conditions::default() };
        conditions.select(&Validators { etag: etag.map(str::to_owned), last_modified: None }, 10)
    }

    #[test]
    fn a_tag_is_known_in_any_form() {
        for known in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
            assert_eq!(select(Some("\"1\""), Some(known)), Selected::NotModified, "{known}");
            assert_eq!(select(Some("W/\"1\""), Some(known)), Selected::NotModified, "{known}");
            assert_eq!(select(None, Some(known)), Selected::Whole, "it has no tag");
        }
        for unknown in [Some("\"11\", 1"), Some(""), Some("\"**\""), None] {
            assert_eq!(select(Some("\"1\""), unknown), Selected::Whole, "{unknown:?}");
        }
    }

    #[test]
    fn a_date_counts_without_tags_only_and_if_it_is_the_very_same() {
        let validators =
            Validators { etag: Some("\"1\"".into()), last_modified: date("Sun, 06 Nov 1994 08:49:37 GMT") };
        let select = |since: &str, if_none_match: Option<&str>| {
            let if_none_match = if_none_match.map(str::to_owned);
            let conditions = Conditions { if_none_match, if_modified_since: date(since), ..Conditions::default() };
            conditions.select(&validators, 10)
        };
        for same in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(select(same, None), Selected::NotModified, "{same}");
            assert_eq!(select(same, Some("\"2\"")), Selected::Whole, "the tag is another one");
        }
        for other in ["Sun, 06 Nov 1994 08:49:38 GMT", "Sun, 06 Nov 1994 08:49:36 GMT", "today", ""] {
            assert_eq!(select(other, None), Selected::Whole, "{other}");
            assert_eq!(select(other, Some("\"1\"")), Selected::NotModified, "the tag is the same");
        }
        let without_date = Conditions { if_modified_since: None, ..Conditions::default() };
        assert_eq!(without_date.select(&Validators::default(), 10), Selected::Whole);
    }

    /// What is sent to a GET with these lines, of ten bytes with the tag `"1"` and a date.
    fn selected(lines: &str) -> Selected {
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let conditions = Conditions::parse(&Head::parse(head.as_bytes(), || None).unwrap().headers, "GET").unwrap();
        let validators =
            Validators { etag: Some("\"1\"".into()), last_modified: date("Sun, 06 Nov 1994 08:49:37 GMT") };
        conditions.select(&validators, 10)
    }

    #[test]
    fn what_is_another_one_than_was_meant_is_not_sent() {
        for (lines, is_meant) in [
            ("If-Match: \"1\"", true),
            ("If-Match: \"2\", \"1\"", true),
            ("If-Match: *", true),
            ("If-Match: \"2\"", false),
            ("If-Match: W/\"1\"", false),
            ("If-Match:", false),
            ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:38 GMT", true),
            ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", false),
            ("If-Unmodified-Since: yesterday", true),
            ("If-Match: \"1\"\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", true),
            ("If-Match: \"2\"\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT", false),
            ("If-Match: \"2\"\r\nIf-None-Match: \"1\"", false),
        ] {
            let expected = if is_meant { Selected::Part(1..3) } else { Selected::Failed };
            assert_eq!(selected(&format!("{lines}\r\nRange: bytes=1-2\r\n")), expected, "{lines}");
            let expected = if is_meant { Selected::Whole } else { Selected::Failed };
            assert_eq!(selected(&format!("{lines}\r\n")), expected, "{lines}");
        }
        let without_date = Validators::default();
        let if_unmodified_since = date("Sun, 06 Nov 1994 08:49:37 GMT");
        let conditions = Conditions { if_unmodified_since, ..Conditions::default() };
        assert_eq!(conditions.select(&without_date, 10), Selected::Whole, "nothing to hold it against");
    }

    #[test]
    fn a_range_counts_behind_all_other_conditions() {
        assert_eq!(selected("Range: bytes=1-2\r\n"), Selected::Part(1..3));
        assert_eq!(selected("Range: bytes=10-\r\n"), Selected::Unsatisfiable);
        for range in ["bytes=1-2", "bytes=10-"] {
            assert_eq!(selected(&format!("Range: {range}\r\nIf-None-Match: \"1\"\r\n")), Selected::NotModified);
        }
        assert_eq!(selected("Range: bytes=1-2\r\nIf-None-Match: \"2\"\r\n"), Selected::Part(1..3));
        assert_eq!(selected("Range: bytes=1-2\r\nRange: bytes=1-2\r\n"), Selected::Whole);
        let range = Some(ByteRange::Between(0, 0));
        assert_eq!(Conditions { range, ..Conditions::default() }.select(&Validators::default(), 0), Selected::Whole);
    }

    #[test]
    fn a_range_of_another_state_is_the_whole() {
        for (state, is_this) in [
            ("\"1\"", true),
            ("Sun, 06 Nov 1994 08:49:37 GMT", false),
            ("\"2\"", false),
            ("W/\"1\"", false),
            ("\"1\", \"2\"", false),
            ("*", false),
            ("1", false),
            ("", false),
            ("\"1\"\r\nIf-Range: \"1\"", false),
        ] {
            let expected = if is_this { Selected::Part(1..3) } else { Selected::Whole };
            assert_eq!(selected(&format!("Range: bytes=1-2\r\nIf-Range: {state}\r\n")), expected, "{state}");
            let expected = if is_this { Selected::Unsatisfiable } else { Selected::Whole };
            assert_eq!(selected(&format!("If-Range: {state}\r\nRange: bytes=10-\r\n")), expected, "{state}");
        }
        let weak = Validators { etag: Some("W/\"1\"".into()), last_modified: None };
        let range = Some(ByteRange::Between(0, 0));
        let conditions = Conditions { range, if_range: Some("\"1\"".into()), ..Conditions::default() };
        assert_eq!(conditions.select(&weak, 10), Selected::Whole);
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\nIf-Range: W/\"1\"\r\n\r\n";
        let conditions = Conditions::parse(&Head::parse(head, || None).unwrap().headers, "GET").unwrap();
        assert_eq!(conditions.select(&weak, 10), Selected::Whole, "a weak tag does not say that it is the same");
    }

    #[test]
    fn conditions_are_as_large_as_their_texts() {
        let [if_match, if_none_match, if_range] = ["1", "22", "333"].map(|text| Some(text.to_owned()));
        let conditions = Conditions { if_match, if_none_match, if_range, ..Conditions::default() };
        assert_eq!((conditions.bytes(), Conditions::default().bytes()), (6, 0));
    }
}
