//! What is asked of the page: a file, the status, the QR code, or only whether it has changed.
//!
//! Leaves answering to the page's server. What must stay true: a body is refused, since nobody behind would read it.

use crate::config::limits::HEAD_SMALL_BYTES;
use crate::http::conditions::Conditions;
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
    /// What it wants only in a certain case, or only in part.
    pub conditions: Conditions,
    /// Whether the client wants to send further requests on this connection.
    pub keep_alive: bool,
}

impl PageRequest {
    /// Reads what is asked for, of this path and query.
    ///
    /// # Errors
    /// If it is another method than GET and HEAD, or has a body.
    pub fn parse(head: &Head<'_>, target: String) -> Result<Self, Refusal> {
        if head.method != "GET" && head.method != "HEAD" {
            return Err(BAD_METHOD);
        }
        head.framing.check_no_body()?;
        Ok(Self {
            head_only: head.method == "HEAD",
            target,
            host: head.authority.clone().into_owned(),
            conditions: Conditions::parse(&head.headers, head.method)?,
            keep_alive: head.keep_alive(),
        })
    }

    /// The target in its two parts; no query is an empty one.
    pub fn path_and_query(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }

    /// Whether it asks for the figures, whatever page is served.
    pub fn is_status(&self) -> bool {
        self.path_and_query().0 == "/status"
    }

    /// Whether it has more than a small head could have.
    pub fn is_large(&self) -> bool {
        self.target.len() + self.host.len() + self.conditions.bytes() > HEAD_SMALL_BYTES
    }

    /// The same, with the body.
    #[must_use]
    pub fn with_body(&self) -> Self {
        Self { head_only: false, ..self.clone() }
    }

    /// `GET` or `HEAD`.
    pub fn method(&self) -> &'static str {
        if self.head_only { "HEAD" } else { "GET" }
    }
}
