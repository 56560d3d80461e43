//! What Redis answers, read strictly.
//!
//! Leaves errors that it answers with to `problem`. What must stay true: an entry that no board has written is [`Content::Foreign`], and an
//! answer of another shape than was asked for is `None`: nothing of it is believed.

use redis::Value;

use crate::engine::entry::{Author, Content, Entry, EntryId};
use crate::engine::order::{Answer, Fate, Order, Place};
use crate::hub::frame;

/// The answer to an order.
pub fn answer(order: &Order, value: Value) -> Option<Answer> {
    match order {
        Order::Clear { .. } if value == Value::Nil => Some(Answer::At(None)),
        Order::Look { .. } | Order::Clear { .. } => Some(Answer::At(Some(place(value)?))),
        Order::Append { messages, seen, .. } => appended(value, messages.len(), seen.epoch),
        Order::Newest(_) => {
            let mut newest = entries(value)?;
            (newest.len() <= 1).then(|| Answer::Newest(newest.pop()))
        }
        Order::Fence { .. } => match value {
            Value::Nil => Some(Answer::Taken(None)),
            value => Some(Answer::Taken(Some(number(value)?))),
        },
        Order::Join { .. } | Order::WakeReader => Some(Answer::Done),
    }
}

fn place(value: Value) -> Option<Place> {
    let [epoch, seq, now_unix_micros] = numbers(value)?.try_into().ok()?;
    Some(Place { newest: EntryId { epoch, seq }, now_unix_micros })
}

fn appended(value: Value, messages: usize, epoch: u64) -> Option<Answer> {
    let [is_appended, now, newest, fates] = array(value)?.try_into().ok()?;
    if number(is_appended)? == 0 {
        return Some(Answer::NotHere);
    }
    let fates: Vec<Fate> = array(fates)?.into_iter().map(fate).collect::<Option<_>>()?;
    let newest = EntryId { epoch, seq: number(newest)? };
    (fates.len() == messages).then_some(Answer::Appended { fates, newest, now_unix_micros: number(now)? })
}

fn fate(value: Value) -> Option<Fate> {
    match text(bulk(value)?)?.as_str() {
        "before" => Some(Fate::Before),
        "fenced" => Some(Fate::Fenced),
        number => decimal(number).map(Fate::Appended),
    }
}

/// The name under which a script was loaded.
pub fn loaded(value: Value) -> Option<String> {
    text(bulk(value)?).filter(|name| name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What the server says of itself: names and values.
pub fn info(value: Value) -> Option<Vec<(String, String)>> {
    let text = String::from_utf8(bulk(value)?).ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What has come of streams, each with its key. Nothing, if nothing has come in time.
pub fn streams(value: Value) -> Option<Vec<(Vec<u8>, Vec<Entry>)>> {
    if value == Value::Nil {
        return Some(Vec::new());
    }
    array(value)?
        .into_iter()
        .map(|stream| {
            let [key, value] = array(stream)?.try_into().ok()?;
            Some((bulk(key)?, entries(value)?))
        })
        .collect()
}

fn entries(value: Value) -> Option<Vec<Entry>> {
    array(value)?
        .into_iter()
        .map(|entry| {
            let [id, fields] = array(entry)?.try_into().ok()?;
            let (epoch, seq) = std::str::from_utf8(&bulk(id)?).ok()?.split_once('-').map(|(epoch, seq)| {
                let [epoch, seq] = [epoch, seq].map(decimal);
                Some((epoch?, seq?))
            })??;
            let id = EntryId { epoch, seq };
            Some(Entry { id, content: content(id, fields).unwrap_or(Content::Foreign) })
        })
        .collect()
}

fn content(id: EntryId, fields: Value) -> Option<Content> {
    let mut fields = array(fields)?.into_iter().map(bulk);
    let (name, meaning) = (fields.next()??, fields.next()??);
    if name != b"m" {
        return None;
    }
    let Some(name) = fields.next() else { return (meaning == b"-" && id.seq == 0).then_some(Content::Marker) };
    let frame = fields.next()??;
    if name? != b"f" || fields.next().is_some() || id.seq == 0 || !frame::is_message(&frame) {
        return None;
    }
    let meaning = std::str::from_utf8(&meaning).ok()?;
    let mut words = meaning.split(' ');
    let author =
        Author { board: board(words.next()?)?, counter: decimal(words.next()?).filter(|counter| *counter > 0)? };
    let at_unix_secs = decimal(words.next()?)?;
    words.next().is_none().then_some(Content::Message { author, at_unix_secs, frame })
}

fn board(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u64::from_str_radix(text, 16).ok())?
}

fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok())?
}

fn numbers(value: Value) -> Option<Vec<u64>> {
    array(value)?.into_iter().map(number).collect()
}

fn number(value: Value) -> Option<u64> {
    decimal(&text(bulk(value)?)?)
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

fn bulk(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
