//! `GET ?last`: the last message of a channel as it is, answered as a file would be: with a tag, only in a certain case, in part.
//!
//! Leaves readers that are slow to `shared_copies`. What must stay true: a tag names one message for ever, as the position does of
//! which it is made; a look makes no channel.

use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::rc::Rc;

use crate::api::shared_copies::{Reader, SharedCopies};
use crate::broadcast::live_channel::LiveChannel;
use crate::config::limits::LAST_COPIES_BYTES_MIN;
use crate::http::conditions::{Conditions, Selected, Validators};
use crate::http::cors::MESSAGE_LINES;
use crate::http::response::Response;
use crate::http::short_answer::{Asked, ShortAnswer};
use crate::hub::backlog::HeldFrame;
use crate::hub::channel_name::ChannelName;
use crate::hub::position::Position;
use crate::runtime::boot_clock::boot_secs;
use crate::runtime::socket::Async;

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

/// What tells a message from all others.
type Key = (ChannelName, Position);

/// The last messages of all channels.
#[derive(Debug)]
pub struct LastMessages {
    copies: Rc<SharedCopies<Key>>,
}

/// What of a message is sent behind a head.
#[derive(Debug)]
pub struct MessagePart {
    message: Reader<Key>,
    range: Range<usize>,
}

impl LastMessages {
    /// For messages of up to so many bytes.
    pub fn new(message_bytes_max: usize) -> Self {
        Self { copies: SharedCopies::new(LAST_COPIES_BYTES_MIN.max(2 * message_bytes_max)) }
    }

    /// Answers with what is there at this moment: a response, and what of a message follows it. `live` is the channel, if it exists.
    pub fn answer(&self, request: LastRequest<'_>, live: Option<&LiveChannel>) -> (Response, Option<MessagePart>) {
        let found = live.and_then(|live| {
            live.with_last(|position, frame| self.answer_with(request, (live.name.clone(), position), frame))
        });
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

    fn answer_with(
        &self,
        request: LastRequest<'_>,
        (channel, position): Key,
        frame: &HeldFrame<'_>,
    ) -> (Response, Option<MessagePart>) {
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
            .with("Age", boot_secs().saturating_sub(frame.at_secs))
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
        let part = is_sent.then(|| {
            let message = self.copies.read((channel, position), bytes, || frame.payload.concat());
            MessagePart { message, range: part }
        });
        (Response { status, head_and_body, file: None }, part)
    }
}

impl MessagePart {
    /// Sends it behind this head, for as long as the client keeps taking some of it.
    ///
    /// # Errors
    /// If the connection breaks or stalls, or the message is given up for newer ones.
    pub async fn send(&self, socket: &Async<TcpStream>, head: &[u8]) -> io::Result<()> {
        self.message.send(socket, head, self.range.clone()).await
    }
}

fn another() -> ShortAnswer {
    ShortAnswer::sentence(412, "The last message is another one by now; ask without If-Match.")
}

fn unsatisfiable(bytes: usize) -> ShortAnswer {
    ShortAnswer::sentence(416, "This range lies behind the end of the message; ask for all of it.")
        .with("Content-Range", format_args!("bytes */{bytes}"))
}

/// An answer without a message.
fn without_message(request: LastRequest<'_>, answer: ShortAnswer) -> (Response, Option<MessagePart>) {
    (answer.with_lines(request.lines).response(request.asked), None)
}

/// A position in what is in memory.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("it is in memory")
}
