//! A request to a channel: which, and what for.
//!
//! Leaves doing it to the other files of this folder, each to its own. What must stay true: what is no wish of ours is the page's, and a GET
//! changes nothing.

use crate::http::conditions::Conditions;
use crate::http::cors;
use crate::http::head::Head;
use crate::http::query;
use crate::http::refusal::{BAD_CHANNEL_METHOD, Refusal};
use crate::http::short_answer::Asked;
use crate::hub::channel_name::ChannelName;

/// A request to a channel.
#[derive(Debug, PartialEq, Eq)]
pub struct ChannelRequest {
    /// The channel.
    pub channel: ChannelName,
    /// What it wants.
    pub way: Way,
    /// How it wants its answer.
    pub asked: Asked,
}

/// What a request wants of a channel.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// `GET ?status`: its figures.
    Status,
    /// `GET ?last`: its last message, or only in a certain case, or only a part.
    Last(Conditions),
    /// `DELETE`: that it forgets its messages.
    Deletion,
    /// `OPTIONS`: to be told what can be done, in these header lines. A browser asks it before its page may do more than look.
    Options(String),
}

impl ChannelRequest {
    /// Reads what is wanted of this channel. `None`: it is its page.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn parse(head: &Head<'_>, channel: &ChannelName) -> Result<Option<Self>, Refusal> {
        let way = match head.method {
            "GET" | "HEAD" => Self::looking(head)?,
            "DELETE" => Some(Way::Deletion),
            "OPTIONS" => Some(Way::Options(cors::options_lines(head))),
            _ => return Err(BAD_CHANNEL_METHOD),
        };
        let Some(way) = way else { return Ok(None) };
        head.framing.check_no_body()?;
        Ok(Some(Self { channel: channel.clone(), way, asked: Asked::of(head) }))
    }

    fn looking(head: &Head<'_>) -> Result<Option<Way>, Refusal> {
        let known = query::pairs(&head.target).find(|(name, _)| matches!(*name, "status" | "last"));
        Ok(match known {
            Some(("status", _)) => Some(Way::Status),
            Some(_) => Some(Way::Last(Conditions::parse(&head.headers, head.method)?)),
            None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wanted of a channel: its name in short, or the status of the refusal.
    fn wanted(method: &str, target: &str, line: &str) -> Result<Option<&'static str>, u16> {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{line}\r\n");
        let head = Head::parse(head.as_bytes(), || None).unwrap();
        let request = ChannelRequest::parse(&head, &ChannelName::MAIN).map_err(|refusal| refusal.status)?;
        Ok(request.map(|request| match request.way {
            Way::Status => "status",
            Way::Last(_) => "last",
            Way::Deletion => "deletion",
            Way::Options(_) => "options",
        }))
    }

    #[test]
    fn what_is_wanted_is_told_by_the_method_and_the_address_and_what_is_no_wish_of_ours_is_the_pages() {
        for (method, target, expected) in [
            ("GET", "/?status", Some("status")),
            ("HEAD", "/?a=1&status=x", Some("status")),
            ("GET", "/?last", Some("last")),
            ("HEAD", "/?last", Some("last")),
            ("GET", "/?last&status", Some("last")),
            ("GET", "/", None),
            ("GET", "/?lasting", None),
            ("HEAD", "/?delete", None),
            ("DELETE", "/", Some("deletion")),
            ("DELETE", "/?status", Some("deletion")),
            ("OPTIONS", "/", Some("options")),
        ] {
            assert_eq!(wanted(method, target, ""), Ok(expected), "{method} {target}");
        }
        for method in ["PATCH", "TRACE", "get"] {
            assert_eq!(wanted(method, "/?status", ""), Err(405), "{method}");
        }
    }

    #[test]
    fn a_wish_has_no_body() {
        let line = "Content-Length: 1\r\n";
        assert_eq!(wanted("GET", "/", line), Ok(None), "the page's");
        for (method, target) in [("GET", "/?status"), ("GET", "/?last"), ("DELETE", "/"), ("OPTIONS", "/")] {
            assert!(wanted(method, target, line).is_err(), "{method} {target}");
        }
    }
}
