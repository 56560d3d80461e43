//! What is asked of the page: a file, the status, the QR code, or only whether it has changed.
//!
//! Leaves answering to the page's server. What must stay true: a body is refused, since nobody behind would read it.

use crate::http::head::Head;
use crate::http::refusal::{BAD_METHOD, Refusal};

/// A request for something that the page's server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// `HEAD` in place of `GET`.
    pub head_only: bool,
    /// Path and query, as they came.
    pub target: String,
    /// The host that was asked, checked, with its port.
    pub host: String,
    /// The `If-None-Match` header.
    pub if_none_match: Option<String>,
    /// Whether the client wants to send further requests on this connection.
    pub keep_alive: bool,
}

impl PageRequest {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// If it is another method than GET and HEAD, or has a body.
    pub fn parse(head: &Head<'_>) -> Result<Self, Refusal> {
        if head.method != "GET" && head.method != "HEAD" {
            return Err(BAD_METHOD);
        }
        head.headers.check_no_body()?;
        let if_none_match = head.headers.one("if-none-match")?.map(str::to_owned);
        Ok(Self {
            head_only: head.method == "HEAD",
            target: head.target.clone().into_owned(),
            host: head.authority.clone().into_owned(),
            if_none_match,
            keep_alive: head.keep_alive(),
        })
    }

    /// The target in its two parts; no query is an empty one.
    pub fn path_and_query(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }

    /// The same, for one who has nothing of it yet.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { head_only: false, if_none_match: None, ..self.clone() }
    }

    /// `GET` or `HEAD`.
    pub fn method(&self) -> &'static str {
        if self.head_only { "HEAD" } else { "GET" }
    }
}
