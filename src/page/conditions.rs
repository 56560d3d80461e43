//! Conditions of a request: whether the client has it already.
//!
//! Knows nothing of files and answers but their validators; `answer` asks it, and nobody else decides about these. What must stay
//! true: whatever is not understood leads to the whole answer.

use crate::http::head::Headers;
use crate::http::refusal::Refusal;

/// The header lines of a request that make it conditional (RFC 9110 section 13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
}

/// By what an answer is told from the next one at the same address.
#[derive(Debug, Default)]
pub struct Validators {
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
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
        Ok(Self { if_none_match: headers.one("if-none-match")?.map(str::to_owned) })
    }

    /// What is sent of an answer with these validators.
    pub fn select(&self, validators: &Validators) -> Selected {
        let tags = self.if_none_match.as_deref().unwrap_or_default();
        let is_known = validators.etag.as_deref().is_some_and(|etag| has_tag(tags, etag));
        if is_known { Selected::NotModified } else { Selected::Whole }
    }
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
        let conditions = Conditions { if_none_match: if_none_match.map(str::to_owned) };
        conditions.select(&Validators { etag: etag.map(str::to_owned) })
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
}
