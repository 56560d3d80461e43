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
