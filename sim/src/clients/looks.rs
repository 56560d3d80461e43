//! What a looker asks for, and what it may be answered.
//!
//! Leaves asking to `looker`. What must stay true: each answer is one to what was asked.

use serde_json::Value;

use crate::actor::Context;
use crate::book::channel::Mark;
use crate::book::telling::{Message, Place, Told};
use crate::clients::http::Head;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The last message.
    Last,
    /// Its head.
    LastHead,
    /// With a tag that it was given before.
    LastIfNew(String),
    /// A part.
    LastPart(usize, usize),
    /// The figures of the channel.
    Status,
    /// What may be asked.
    Options,
    /// The figures of the server.
    Metrics,
    /// That the messages are deleted.
    Delete,
}

/// Holds what has come of a message against what the rest of it would follow.
pub fn check_beginning(cx: &Context<'_>, look: &Look, channel: usize, head: &Head, bytes: &[u8]) -> Result<(), String> {
    let from = match (look, head.status) {
        (Look::Last | Look::LastIfNew(_), 200) => 0,
        (Look::LastPart(from, _), 206) => *from,
        _ => return Ok(()),
    };
    let Some((epoch, seq)) = head.position() else { return Ok(()) };
    let Some(content) = cx.book.known_by_name(channel, epoch, seq) else { return Ok(()) };
    let whole = content.bytes();
    if whole.get(from..).is_some_and(|rest| rest.starts_with(bytes)) {
        return Ok(());
    }
    Err(format!("look: what has come of {content} in {} bytes is no beginning of it", bytes.len()))
}

/// Holds the age of a message against the clocks.
pub fn check_age(cx: &Context<'_>, place: Place, age: i64, mark: &Mark) -> Result<(), String> {
    let may_be = cx.book.published(place).and_then(|published| cx.book.times.age(published, (mark.at, cx.now)));
    match may_be.filter(|may_be| !may_be.contains(&age)) {
        Some(may_be) => Err(format!("age: message {} is said to be {age} s old, and is {may_be:?}", place.2)),
        None => Ok(()),
    }
}

/// Holds an answer against what is known. Returns the tag of the message that it has, with its place.
pub fn answer(
    cx: &mut Context<'_>,
    look: &Look,
    channel: usize,
    mark: &Mark,
    head: &Head,
    body: &[u8],
) -> Result<Option<(String, String, u64)>, String> {
    let told = Told { by: cx.id, at: cx.now };
    let is_there = mark.position.is_some() && cx.book.reasons(channel) == 0 && !cx.book.may_begin_anew(channel);
    let position = head.position().map(|(epoch, seq)| (epoch.to_owned(), seq));
    match (look, head.status) {
        (Look::Last | Look::LastHead | Look::LastIfNew(_) | Look::LastPart(..), 200 | 206 | 304 | 416)
            if position.is_some() || head.status == 416 =>
        {
            let Some((epoch, seq)) = position else { return Ok(None) };
            let nth = cx.book.position(channel, (&epoch, seq), mark, told)?;
            let tag = head.get("etag").unwrap_or_default();
            let age = head.get("age").and_then(|age| age.parse::<i64>().ok());
            let (Some(age), true) = (age, tag == format!("\"{epoch}:{seq}\"")) else {
                return Err("look: a line is wrong".to_owned());
            };
            check_age(cx, (channel, nth, seq), age, mark)?;
            match look {
                Look::LastIfNew(before) if (head.status == 304) != (before == tag) => {
                    return Err(format!("look: it had {before}"));
                }
                _ => {}
            }
            let is_text = Some(head.get("content-type") == Some("text/plain; charset=utf-8"));
            if head.status == 200 && *look != Look::LastHead {
                cx.book.message((channel, nth, seq), Message { is_text, payload: body }, told)?;
            }
            if let (206, Look::LastPart(from, to), Some(content)) =
                (head.status, look, cx.book.known((channel, nth, seq)))
            {
                let whole = content.bytes();
                if whole.get(*from..whole.len().min(to + 1)) != Some(body) {
                    return Err(format!("look: this is no part of {content}"));
                }
            }
            Ok(Some((tag.to_owned(), epoch, seq)))
        }
        (Look::Last | Look::LastHead | Look::LastIfNew(_) | Look::LastPart(..), 204) => match position {
            // A disk that works again has what is said from then on, and a restart leaves no more than that.
            Some((epoch, seq)) if seq == 0 || cx.book.may_have_less() => {
                cx.book.position(channel, (&epoch, seq), mark, told).map(|_| None)
            }
            Some(position) => Err(format!("look: nothing is there at {position:?}")),
            None if is_there => Err("look: the channel is not there, although it was".to_owned()),
            None => Ok(None),
        },
        (Look::Status, 200) => {
            let json: Value = serde_json::from_slice(body).map_err(|error| format!("look: {error}"))?;
            match (json["epoch"].as_str(), json["head"].as_u64()) {
                (Some(epoch), Some(head)) => {
                    let nth = cx.book.position(channel, (epoch, head), mark, told)?;
                    if let Some(age) = json["lastSecondsAgo"].as_i64() {
                        check_age(cx, (channel, nth, head), age, mark)?;
                    }
                    Ok(None)
                }
                (None, _) if is_there => Err("look: the channel is not there, although it was".to_owned()),
                (None, _) => Ok(None),
                _ => Err(format!("look: {json}")),
            }
        }
        (Look::Delete, 200) => match position {
            Some((epoch, 0)) if mark.position.is_none_or(|(nth, _)| cx.book.epoch(channel, nth) != epoch) => {
                cx.book.position(channel, (&epoch, 0), mark, told).map(|_| None)
            }
            _ => Err(format!("look: it is at {position:?} after a deletion")),
        },
        (Look::Delete, 204) if !is_there || mark.position.is_none() => Ok(None),
        (Look::Delete, 204) if cx.book.reasons(channel) > 0 => Ok(None),
        (Look::Options, 204) | (Look::Metrics, 200) => Ok(None),
        _ => Err("look: there is no reason for this status".to_owned()),
    }
}
