//! Conditions of a request: whether the client has it already.
//!
//! Knows nothing of files and answers but their validators; `answer` asks it, and nobody else decides about these. What must stay
//! true: whatever is not understood leads to the whole answer.

use std::time::SystemTime;

use crate::http::head::Headers;
use crate::http::refusal::Refusal;

/// The header lines of a request that make it conditional (RFC 9110 section 13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<SystemTime>,
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
    /// Nothing: the client has it.
    NotModified,
}

impl Conditions {
    /// Reads them.
    ///
    /// # Errors
    /// If the tags come twice or are not plain ASCII.
    pub fn parse(headers: &Headers<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            if_none_match: headers.one("if-none-match")?.map(str::to_owned),
            if_modified_since: headers.one("if-modified-since").ok().flatten().and_then(date),
        })
    }

    /// What is sent of an answer with these validators.
    pub fn select(&self, validators: &Validators) -> Selected {
        let is_known = match &self.if_none_match {
            Some(tags) => validators.etag.as_deref().is_some_and(|etag| has_tag(tags, etag)),
            // An earlier date is another one, too: that of a file which has taken the place of a newer one.
            None => self.if_modified_since.is_some() && self.if_modified_since == validators.last_modified,
        };
        if is_known { Selected::NotModified } else { Selected::Whole }
    }
}

/// A date in one of the three forms of RFC 9110 section 5.6.7.
pub fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// Whether a list of tags has this one, weak or not, or is `*` (RFC 9110 section 13.1.2).
fn has_tag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// A tag without the mark of a weak one.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(etag: Option<&str>, if_none_match: Option<&str>) -> Selected {
        let conditions = Conditions { if_none_match: if_none_match.map(str::to_owned), ..Conditions::default() };
        conditions.select(&Validators { etag: etag.map(str::to_owned), last_modified: None })
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
            Conditions { if_none_match, if_modified_since: date(since) }.select(&validators)
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
        assert_eq!(without_date.select(&Validators::default()), Selected::Whole);
    }
}
