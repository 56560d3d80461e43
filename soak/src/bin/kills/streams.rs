//! Those who listen over HTTP: streams of events, which go on by `Last-Event-ID`, and of JSON lines, by `?after=`.
//!
//! What must stay true: what came of a message before its connection ended counts for nothing.

use std::time::{Duration, Instant};

use data_encoding::BASE64;
use fastrand::Rng;
use serde_json::Value;

use crate::round::{CHANNELS, Reader};
use crate::wire::{Broken, Lines};

/// In which form it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Events,
    Json,
}

/// Listens until the round is over.
pub fn listen(mut reader: Reader<'_>, form: Form, mut rng: Rng) -> Result<(), String> {
    while !reader.round.is_over() {
        match connection(&mut reader, form, &mut rng) {
            Ok(()) | Err(Broken::Gone) => {}
            Err(Broken::Wrong(sentence)) => return Err(sentence),
        }
    }
    Ok(())
}

fn connection(reader: &mut Reader<'_>, form: Form, rng: &mut Rng) -> Result<(), Broken> {
    let since = reader.round.book.mark(reader.channel);
    let (mut query, mut header) = (String::new(), String::new());
    if let Some(after) = reader.after() {
        match form {
            Form::Events => header = format!("Last-Event-ID: {after}\r\n"),
            Form::Json => query = format!("&after={after}"),
        }
    }
    let name = if form == Form::Events { "events" } else { "json" };
    let path = format!("{}?as={name}{query}", CHANNELS[reader.channel]);
    let mut lines = Lines::open(reader.round.address(rng), &path, &header)?;
    let breaks_off = Instant::now() + Duration::from_millis(rng.u64(..8000));
    let mut is_greeted = false;
    let mut event = Event::default();
    while !reader.round.is_over() && Instant::now() < breaks_off {
        let Some(line) = lines.next_soon()? else { continue };
        if form == Form::Json {
            if !line.is_empty() {
                take_json(reader, &line, &since, &mut is_greeted)?;
            }
        } else if line.is_empty() {
            let event = std::mem::take(&mut event);
            if let Some(data) = &event.data {
                take_event(reader, &event, data, &since, &mut is_greeted)?;
            }
        } else {
            event.note(&line);
        }
    }
    Ok(())
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
}

fn take_event(
    reader: &mut Reader<'_>,
    event: &Event,
    data: &str,
    since: &crate::told::Mark,
    is_greeted: &mut bool,
) -> Result<(), Broken> {
    if event.kind == "hello" {
        return take_hello(reader, data, since, is_greeted, "an event of a stream");
    }
    let is_binary = event.kind == "binary";
    let bytes = if is_binary { decoded(data)? } else { data.as_bytes().to_vec() };
    let (_, seq) = reader.take(&bytes, is_binary, "an event")?;
    if event.id != format!("{}:{seq}", reader.epoch()) {
        let told = reader.told("an event");
        return Err(Broken::Wrong(format!("{told}: the id of message {}:{seq} is {}", reader.epoch(), event.id)));
    }
    Ok(())
}

fn take_json(
    reader: &mut Reader<'_>,
    line: &str,
    since: &crate::told::Mark,
    is_greeted: &mut bool,
) -> Result<(), Broken> {
    let json: Value = serde_json::from_str(line).map_err(|error| format!("{line:?} is no JSON: {error}"))?;
    if json["foghorn"] == 1 {
        return take_hello(reader, line, since, is_greeted, "a line of JSON");
    }
    let (bytes, is_binary) = match (json["text"].as_str(), json["base64"].as_str()) {
        (Some(text), None) => (text.as_bytes().to_vec(), false),
        (None, Some(base64)) => (decoded(base64)?, true),
        _ => return Err(Broken::Wrong(format!("{line:?} is no message"))),
    };
    let (_, seq) = reader.take(&bytes, is_binary, "a line of JSON")?;
    let told = reader.told("a line of JSON");
    let (Some(its), Some(at)) = (json["seq"].as_u64(), json["at"].as_u64()) else {
        return Err(Broken::Wrong(format!("{told}: {line:?} has no number or no time")));
    };
    if its != seq {
        return Err(Broken::Wrong(format!("{told}: after number {} comes {its}", seq - 1)));
    }
    let epoch = reader.epoch().to_owned();
    Ok(reader.round.book.came_at(reader.channel, (&epoch, seq), at, told)?)
}

fn take_hello(
    reader: &mut Reader<'_>,
    hello: &str,
    since: &crate::told::Mark,
    is_greeted: &mut bool,
    by: &'static str,
) -> Result<(), Broken> {
    let hello: Value = serde_json::from_str(hello).map_err(|error| format!("{hello:?} is no hello: {error}"))?;
    if std::mem::replace(is_greeted, true) { reader.go_over(&hello, by) } else { reader.greet(&hello, since, by) }
}

fn decoded(base64: &str) -> Result<Vec<u8>, Broken> {
    BASE64.decode(base64.as_bytes()).map_err(|error| Broken::Wrong(format!("{base64:?} is no base64: {error}")))
}
