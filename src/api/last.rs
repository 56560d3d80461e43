//! `GET ?last`: the last message of a channel as it is, answered as a file would be: with a tag, only in a certain case, in part.
//!
//! Leaves readers that are slow to `shared_copies`. What must stay true: a tag names one message for ever, as the position does of
//! which it is made; a look makes no channel.

use std::rc::Rc;

use crate::api::shared_copies::{CopyOf, Reader, SharedCopies};
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::LiveChannel;
#[cfg(feature = "redis")]
use crate::broadcast::requesting::{Elsewhere, LogAway};
use crate::http::conditions::{Conditions, Selected, Validators};
use crate::http::cors::MESSAGE_LINES;
#[cfg(feature = "redis")]
use crate::http::refusal::LOG_AWAY;
use crate::http::refusal::Refusal;
use crate::http::response::Response;
use crate::http::short_answer::{Asked, ShortAnswer};
use crate::hub::channel_name::ChannelName;
use crate::hub::held_frame::HeldFrame;
use crate::hub::position::Position;
use crate::runtime::boot_clock::secs_since;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct LastRequest<'a> {
    /// What is wanted only in a certain case, or only in part.
    pub conditions: &'a Conditions,
    /// How the answer is wanted.
    pub asked: Asked,
    /// Header lines that every answer to it has.
    pub lines: &'a str,
}

/// Answers with what is there at this moment: a response, and what of a message follows it.
///
/// # Errors
/// If only the log that all boards share could tell, which is away.
#[cfg_attr(not(feature = "redis"), expect(clippy::unused_async, reason = "only that log is waited for"))]
pub async fn answer(
    request: LastRequest<'_>,
    broadcaster: &Broadcaster,
    channel: &ChannelName,
    copies: &Rc<SharedCopies>,
) -> Result<(Response, Option<Reader>), Refusal> {
    let live = broadcaster.channels().find(channel);
    #[cfg(feature = "redis")]
    if live.is_none() {
        let newest = broadcaster.newest_elsewhere(channel).await.map_err(|LogAway| LOG_AWAY)?;
        if let Some(Elsewhere { position, frame, at_secs }) = newest {
            return Ok(found(request, channel, position, &HeldFrame::of(&frame, at_secs), copies));
        }
    }
    Ok(answer_here(request, live.as_deref(), copies))
}

fn answer_here(
    request: LastRequest<'_>,
    live: Option<&LiveChannel>,
    copies: &Rc<SharedCopies>,
) -> (Response, Option<Reader>) {
    let found =
        live.and_then(|live| live.with_last(|position, frame| found(request, &live.name, position, frame, copies)));
    found.unwrap_or_else(|| {
        if request.conditions.if_match.is_some() {
            return without_message(request, another());
        }
        let mut answer = ShortAnswer::empty(204).with("Cache-Control", "no-cache");
        if let Some(live) = live {
            // Here a newcomer begins.
            answer = answer.with("Foghorn-Seq", live.head_position());
        }
        without_message(request, answer)
    })
}

fn found(
    request: LastRequest<'_>,
    channel: &ChannelName,
    position: Position,
    frame: &HeldFrame<'_>,
    copies: &Rc<SharedCopies>,
) -> (Response, Option<Reader>) {
    let bytes: usize = frame.payload.iter().map(|slice| slice.len()).sum();
    let etag = format!("\"{position}\"");
    let validators = Validators { etag: Some(etag.clone()), last_modified: None };
    let (status, part) = match request.conditions.select(&validators, bytes as u64) {
        Selected::Whole => (200, 0..bytes),
        Selected::Part(part) => (206, index(part.start)..index(part.end)),
        Selected::NotModified => (304, 0..0),
        Selected::Failed => return without_message(request, another()),
        Selected::Unsatisfiable => return without_message(request, unsatisfiable(bytes)),
    };
    let mut answer = ShortAnswer::empty(status)
        .with("Content-Type", if frame.is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" })
        .with("Foghorn-Seq", &position)
        .with("Age", secs_since(frame.at_secs))
        .with("ETag", etag)
        .with("Accept-Ranges", "bytes")
        .with("Cache-Control", "no-cache")
        .with_lines(MESSAGE_LINES)
        .with_lines(request.lines);
    if status == 206 {
        answer = answer.with("Content-Range", format_args!("bytes {}-{}/{bytes}", part.start, part.end - 1));
    }
    let head_and_body = answer.head(request.asked, part.len()).into_bytes();
    let is_sent = !request.asked.head_only && !part.is_empty();
    let reader = is_sent.then(|| {
        let message = CopyOf::Message(channel.clone(), position);
        copies.read(message, bytes, part, || frame.payload.concat())
    });
    (Response { status, head_and_body, file: None }, reader)
}

fn another() -> ShortAnswer {
    ShortAnswer::sentence(412, "The last message is another one by now; ask without If-Match.")
}

fn unsatisfiable(bytes: usize) -> ShortAnswer {
    ShortAnswer::sentence(416, "This range lies behind the end of the message; ask for all of it.")
        .with("Content-Range", format_args!("bytes */{bytes}"))
}

/// An answer without a message.
fn without_message(request: LastRequest<'_>, answer: ShortAnswer) -> (Response, Option<Reader>) {
    (answer.with_lines(request.lines).response(request.asked), None)
}

/// A position in what is in memory.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("it is in memory")
}
