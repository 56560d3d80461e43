//! What the page's server sends back, before it is bytes.
//!
//! Leaves how it travels to the page's server. What must stay true: the policy of the built-in page stands here, and here only.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};

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
    /// The entity tag, with its quotes. What has one, with status 200, is also sent in parts.
    pub etag: Option<String>,
    /// More header lines.
    pub headers: Vec<(&'static str, String)>,
    /// Whether it is the same for ever, as far as this process goes.
    pub is_unchanging: bool,
}

impl Representation {
    /// One with status 200.
    pub fn new(content_type: impl Into<String>, body: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: content_type.into(),
            body,
            file: None,
            etag: None,
            headers: Vec::new(),
            is_unchanging: false,
        }
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

    /// What is said where it is no longer what the client means.
    pub fn replaced() -> Self {
        Self::sentence(412, "There is another one at this address by now; ask for all of it.")
    }

    /// What is said where a range lies behind the end of so many bytes.
    pub fn unsatisfiable(bytes: u64) -> Self {
        let sentence = format!("This range lies behind the end; ask for one within {bytes} bytes, or for all.");
        Self::sentence(416, &sentence).with("Content-Range", format!("bytes */{bytes}"))
    }

    /// What is said where too many want something of the disk.
    pub fn busy() -> Self {
        Self::sentence(503, "The server is busy; come back in a few seconds.").with("Retry-After", "2")
    }

    /// Adds a header line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// All header lines that depend on nothing but what is found.
    pub fn header_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = [
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Type", self.content_type.as_str()),
        ];
        let etag = self.etag.as_deref().map(|etag| ("ETag", etag));
        let ranges = etag.filter(|_| self.status == 200).map(|_| ("Accept-Ranges", "bytes"));
        fixed
            .into_iter()
            .chain(etag)
            .chain(ranges)
            .chain(self.headers.iter().map(|(name, value)| (*name, value.as_str())))
    }
}

/// A strong entity tag (RFC 9110 section 8.8.3) of what changes whenever the body does.
pub fn entity_tag(of: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}

/// What the baked-in page may do, as header lines: load its own files, show photos that came as messages, and connect to its own
/// host (CSP level 3; older browsers do not count a WebSocket as `'self'`).
pub fn page_policy(host: &str) -> String {
    format!(
        "Content-Security-Policy: default-src 'self'; connect-src 'self' ws://{host} wss://{host}; img-src 'self' blob:; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n\
         X-Frame-Options: DENY\r\n\
         Referrer-Policy: no-referrer\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n"
    )
}
