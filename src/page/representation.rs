//! What the page's server sends back, before it is bytes.
//!
//! Leaves how it travels to the page's server. What must stay true: the policy of the built-in page stands here, and here only.

use std::fs::File;

/// What is sent back for a resource (RFC 9110 section 3.2).
#[derive(Debug)]
pub struct Representation {
    /// The status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// In place of the body, a large file and its length.
    pub file: Option<(File, u64)>,
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
    /// More header lines.
    pub headers: Vec<(&'static str, String)>,
}

impl Representation {
    /// One with status 200.
    pub fn new(content_type: impl Into<String>, body: Vec<u8>) -> Self {
        Self { status: 200, content_type: content_type.into(), body, file: None, etag: None, headers: Vec::new() }
    }

    /// A short page with one sentence.
    pub fn sentence(status: u16, sentence: &str) -> Self {
        let body = format!(
            "<!doctype html><html lang=en><meta name=viewport content=\"width=device-width\">\
             <title>{status}</title><p>{sentence} <a href=\"/\">To the page</a>\n"
        );
        Self { status, ..Self::new("text/html; charset=utf-8", body.into_bytes()) }
    }

    /// What is not there.
    pub fn not_found() -> Self {
        Self::sentence(404, "There is nothing at this address.")
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// What the baked-in page may do: load its own files and connect to its own host (CSP level 3; older browsers do not
    /// count a WebSocket as `'self'`).
    #[must_use]
    pub fn with_page_policy(self, host: &str) -> Self {
        let policy = format!(
            "default-src 'self'; connect-src 'self' ws://{host} wss://{host}; img-src 'self' data:; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        self.with("Content-Security-Policy", policy)
            .with("X-Frame-Options", "DENY")
            .with("Referrer-Policy", "no-referrer")
            .with("Cross-Origin-Opener-Policy", "same-origin")
            .with("Cross-Origin-Resource-Policy", "same-origin")
    }

    /// Whether the client has it already: `If-None-Match` is a list of tags, weak ones too, or `*` (RFC 9110 section 13.1.2).
    pub fn is_known(&self, if_none_match: Option<&str>) -> bool {
        let Some(etag) = &self.etag else { return false };
        let tags = if_none_match.unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == "*" || tag == etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_in_any_form() {
        let mut page = Representation::new("text/html", Vec::new());
        assert!(!page.is_known(Some("*")), "it has no tag");
        page.etag = Some("\"1\"".into());
        for known in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
            assert!(page.is_known(Some(known)), "{known}");
        }
        assert!(!page.is_known(Some("\"11\", 1")));
        assert!(!page.is_known(None));
    }
}
