//! A stream over HTTP, item by item: events, or lines of JSON.
//!
//! Leaves to others what an item says of a channel. What must stay true: what came of an item before its connection ended counts for nothing.

use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::Value;

use crate::wire::{Broken, Lines};

/// In which form somebody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Server-Sent Events, which go on by `Last-Event-ID`.
    Events,
    /// Lines of JSON, which go on by `?after=`.
    Json,
}

/// What has come.
#[derive(Debug)]
pub enum Item {
    /// A hello: the first item, or numbers begin anew.
    Hello(Value),
    /// A message.
    Message {
        /// What was said.
        bytes: Vec<u8>,
        /// Whether it is a binary message.
        is_binary: bool,
        /// Its number, with its epoch where the form has it: `EPOCH:SEQ` or `SEQ`.
        id: String,
        /// When it came, in seconds since 1970, where the form has it.
        at: Option<u64>,
    },
}

/// A stream.
pub struct Stream {
    form: Form,
    lines: Lines,
    event: Event,
}

impl Form {
    /// What tells an item, for people.
    pub fn item(self) -> &'static str {
        match self {
            Self::Events => "an event",
            Self::Json => "a line of JSON",
        }
    }
}

impl Stream {
    /// Asks for one, which goes on behind `after`.
    ///
    /// # Errors
    /// If it does not begin.
    pub fn open(
        address: SocketAddr,
        channel: &str,
        form: Form,
        after: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, Broken> {
        let (mut query, mut header) = (String::new(), String::new());
        match (form, after) {
            (Form::Events, Some(after)) => header = format!("Last-Event-ID: {after}\r\n"),
            (Form::Json, Some(after)) => query = format!("&after={after}"),
            _ => {}
        }
        let name = if form == Form::Events { "events" } else { "json" };
        let lines = Lines::open(address, &format!("{channel}?as={name}{query}"), &header, timeout)?;
        Ok(Self { form, lines, event: Event::default() })
    }

    /// The next item, if there is one soon.
    ///
    /// # Errors
    /// If it has ended, or no server may send what comes.
    pub fn next_soon(&mut self) -> Result<Option<Item>, Broken> {
        let Some(line) = self.lines.next_soon()? else { return Ok(None) };
        if self.form == Form::Json {
            return if line.is_empty() { Ok(None) } else { of_json(&line).map(Some) };
        }
        if !line.is_empty() {
            self.event.note(&line);
            return Ok(None);
        }
        std::mem::take(&mut self.event).item()
    }
}

/// An event, as its lines come.
#[derive(Debug, Default)]
struct Event {
    kind: String,
    id: String,
    data: Option<String>,
}

impl Event {
    fn note(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "id" => value.clone_into(&mut self.id),
            "data" => {
                let data = self.data.get_or_insert_default();
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            _ => {}
        }
    }

    /// What it is; nothing where it has no data.
    fn item(self) -> Result<Option<Item>, Broken> {
        let Some(data) = self.data else { return Ok(None) };
        if self.kind == "hello" {
            return Ok(Some(Item::Hello(json(&data)?)));
        }
        let is_binary = self.kind == "binary";
        let bytes = if is_binary { decoded(&data)? } else { data.into_bytes() };
        Ok(Some(Item::Message { bytes, is_binary, id: self.id, at: None }))
    }
}

fn of_json(line: &str) -> Result<Item, Broken> {
    let json = json(line)?;
    if json["foghorn"] == 1 {
        return Ok(Item::Hello(json));
    }
    let (bytes, is_binary) = match (json["text"].as_str(), json["base64"].as_str()) {
        (Some(text), None) => (text.as_bytes().to_vec(), false),
        (None, Some(base64)) => (decoded(base64)?, true),
        _ => return Err(Broken::Wrong(format!("{line:?} is no message"))),
    };
    let (Some(seq), Some(at)) = (json["seq"].as_u64(), json["at"].as_u64()) else {
        return Err(Broken::Wrong(format!("{line:?} has no number or no time")));
    };
    Ok(Item::Message { bytes, is_binary, id: seq.to_string(), at: Some(at) })
}

fn json(text: &str) -> Result<Value, Broken> {
    serde_json::from_str(text).map_err(|error| Broken::Wrong(format!("{text:?} is no JSON: {error}")))
}

fn decoded(base64: &str) -> Result<Vec<u8>, Broken> {
    BASE64.decode(base64.as_bytes()).map_err(|error| Broken::Wrong(format!("{base64:?} is no base64: {error}")))
}
