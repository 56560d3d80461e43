//! A client that looks now and then: at the last message, at figures; and one that deletes messages.
//!
//! Leaves what is in the log to the book. What must stay true: a look changes nothing, and each answer is one to what was asked.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::limits::{HTTP_TIMEOUT, KEEP_ALIVE_ANNOUNCED};
use serde_json::Value;

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::book::channel::Mark;
use crate::book::telling::{Message, Place, Told};
use crate::clients::behaviour::{around, is_quick, link};
use crate::clients::http::{self, Head};
use crate::clients::line::{Line, Trickle};
use crate::codes::Codes;
use crate::net::link::Link;
use crate::net::wire::WireState;

/// What is between the server and its client beside its own time.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    Last,
    LastHead,
    /// With a tag that it was given before.
    LastIfNew(String),
    /// A part.
    LastPart(usize, usize),
    Status,
    Options,
    Metrics,
    Delete,
}

#[derive(Debug)]
struct Open {
    line: Line,
    life: u64,
    asked: Option<(Look, usize, Mark)>,
    asked_at: Duration,
    answered_at: Duration,
    /// When one who reads slowly reads on.
    reads_at: Duration,
    looks_left: u32,
}

/// A client.
#[derive(Debug)]
pub struct Looker {
    codes: Codes,
    link: Link,
    every: Duration,
    deletes: bool,
    /// How it reads, if it does so slowly.
    reads: Option<Trickle>,
    open: Option<Open>,
    next_at: Duration,
    is_quick: bool,
    /// The tag of the last message that it has seen of each channel, with its place.
    tags: Vec<Option<(String, String, u64)>>,
}

impl Looker {
    /// One that begins soon.
    pub fn new(codes: Codes, limits: &foghorn::config::settings::Limits, random: &mut Rng) -> Self {
        let mut link = link(random);
        let (every, deletes) = (Duration::from_millis(random.u64(50..20_000)), random.u8(..5) == 0);
        let next_at = around(random, Duration::from_secs(1));
        let is_slow = random.u8(..4) == 0;
        let reads = Trickle { bytes: random.usize(100..20_000), every: Duration::from_millis(random.u64(1..300)) };
        if is_slow {
            // Or its socket takes all at once.
            link.to_client_bytes = link.to_client_bytes.min(random.usize(1000..16_000));
        }
        Self {
            codes,
            every,
            deletes,
            reads: is_slow.then_some(reads),
            open: None,
            next_at,
            is_quick: !is_slow && is_quick(&link, limits),
            link,
            tags: vec![None; CHANNELS.len()],
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        if self.open.is_none() {
            let line = Line::new(cx.connect(self.link.clone()), None);
            let looks_left = cx.random.u32(1..30);
            let now = cx.now;
            self.open = Some(Open {
                line,
                life: cx.book.life,
                asked: None,
                asked_at: now,
                answered_at: now,
                reads_at: now,
                looks_left,
            });
        }
        let Some(open) = &mut self.open else { return };
        if open.asked.is_some() {
            return;
        }
        open.looks_left = open.looks_left.saturating_sub(1);
        let channel = if cx.random.bool() { 0 } else { cx.random.usize(..CHANNELS.len()) };
        let random = &mut *cx.random;
        let tag = self.tags[channel].clone();
        let look = match random.u8(..20) {
            0..=5 => Look::Last,
            6 => Look::LastHead,
            7..=9 => tag.map_or(Look::Last, |(tag, ..)| Look::LastIfNew(tag)),
            10 => Look::LastPart(random.usize(..50), random.usize(50..200)),
            11..=15 => Look::Status,
            16 => Look::Options,
            17 => Look::Metrics,
            _ if self.deletes => Look::Delete,
            _ => Look::Status,
        };
        let path = http::path(CHANNELS[channel]);
        let code = self.codes.best(channel);
        let last = http::with_code(&format!("{path}?last"), code);
        let status = http::with_code(&format!("{path}?status"), code);
        let request = match &look {
            Look::Last => http::request("GET", &last, &[]),
            Look::LastHead => http::request("HEAD", &last, &[]),
            Look::LastIfNew(tag) => http::request("GET", &last, &[("If-None-Match", tag)]),
            Look::LastPart(from, to) => http::request("GET", &last, &[("Range", &format!("bytes={from}-{to}"))]),
            Look::Status => http::request("GET", &status, &[]),
            Look::Options => http::request("OPTIONS", &path, &[]),
            Look::Metrics => http::request("GET", &http::with_code("/metrics", self.codes.best(0)), &[]),
            Look::Delete => http::request("DELETE", &http::with_code(&path, code), &[]),
        };
        let mark = cx.book.mark(channel, cx.now);
        if look == Look::Delete {
            cx.book.ask_deletion(channel);
        }
        open.line.send(request.as_bytes());
        open.reads_at = cx.now;
        open.asked = Some((look, channel, mark));
        open.asked_at = cx.now;
    }

    fn step_open(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let is_over = |line: &Line| !matches!(line.state(), WireState::Connecting | WireState::Open);
        match self.reads.filter(|_| !is_over(&open.line)) {
            None => {
                open.line.receive(usize::MAX);
            }
            Some(reads) if cx.now >= open.reads_at => {
                open.line.receive(reads.bytes);
                open.reads_at = cx.now + reads.every;
                wakes.push(open.reads_at);
            }
            Some(_) => wakes.push(open.reads_at),
        }
        let is_over = is_over(&open.line);
        let is_free = open.line.wire.is_disturbed()
            || open.life != cx.book.life
            || cx.book.is_stopping
            || cx.now < cx.book.flooded_until;
        if let Some(head) = Head::parse(open.line.unread())? {
            let Some((look, channel, mark)) = open.asked.clone() else {
                let is_known = matches!(head.status, 408 | 503);
                self.open = None;
                return if is_known { Ok(()) } else { Err(format!("look: {head:?}, and nothing was asked")) };
            };
            let has_body = look != Look::LastHead && !matches!(head.status, 204 | 304);
            let length = if has_body { head.length().unwrap_or(0) } else { 0 };
            if let Some(body) = open.line.unread().get(head.bytes..head.bytes + length).map(<[u8]>::to_vec) {
                open.line.consume(head.bytes + length);
                open.asked = None;
                open.answered_at = cx.now;
                if head.status == 503 && (is_free || look == Look::Delete && cx.book.has_disk()) {
                    open.line.wire.close();
                    self.open = None;
                    return Ok(());
                }
                let tag = answer(cx, &look, channel, &mark, &head, &body).map_err(|why| {
                    format!("{why} ({look:?}, channel {channel}, {head:?}, client {} at {:?})", cx.id, cx.now)
                })?;
                if tag.is_some() {
                    self.tags[channel] = tag;
                }
            } else if is_over {
                // It was read too slowly, or the connection is broken: what has come is right all the same.
                let bytes = &open.line.unread()[head.bytes..];
                check_beginning(cx, &look, channel, &head, bytes)
                    .map_err(|why| format!("{why} ({head:?}, channel {channel}, client {} at {:?})", cx.id, cx.now))?;
            }
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Some((look, ..)) = &open.asked {
            let is_late = open.asked_at > open.answered_at + KEEP_ALIVE_ANNOUNCED;
            let waits_for_disk = *look == Look::Delete && cx.book.has_disk();
            let is_bound = self.is_quick && !is_free && !is_late && !waits_for_disk;
            if is_over && is_bound {
                return Err(format!(
                    "dropped: client {} has asked for {look:?}, and its connection is over at {:?}",
                    cx.id, cx.now
                ));
            }
            let due = open.asked_at + HTTP_TIMEOUT + ON_ITS_WAY + cx.book.accepted_after + self.link.latency.end * 8;
            if cx.now > due && is_bound {
                return Err(format!("waited too long: client {} has asked for {look:?} at {:?}", cx.id, open.asked_at));
            }
            wakes.push(if cx.now > due { cx.now + HTTP_TIMEOUT } else { due + Duration::from_millis(1) });
        }
        if is_over || open.asked.is_none() && (open.looks_left == 0 || cx.is_leaving()) {
            open.line.wire.close();
            self.open = None;
        }
        Ok(())
    }
}

/// Holds what has come of a message against what the rest of it would follow.
fn check_beginning(cx: &Context<'_>, look: &Look, channel: usize, head: &Head, bytes: &[u8]) -> Result<(), String> {
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
fn answer(
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

impl Actor for Looker {
    fn step(&mut self, cx: &mut Context<'_>) {
        let mut wakes = Vec::new();
        if let Err(what) = self.step_open(cx, &mut wakes) {
            self.open = None;
            return cx.contradiction(what);
        }
        if !cx.is_leaving() && cx.server_is_up() {
            if cx.now >= self.next_at {
                self.ask(cx);
                self.next_at = cx.now + around(cx.random, self.every) + Duration::from_micros(1);
            }
            wakes.push(self.next_at);
        }
        cx.wake_at_first(wakes);
    }

    fn name(&self) -> String {
        let how = if self.deletes { " that deletes" } else { "" };
        format!("{} looker{how}", if self.reads.is_some() { "Slow" } else { "Quick" })
    }
}
