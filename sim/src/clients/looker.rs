//! A client that looks now and then: at the last message, at figures; and one that deletes messages.
//!
//! Leaves what it may be answered to `looks`. What must stay true: a look changes nothing.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::limits::{HTTP_TIMEOUT, KEEP_ALIVE_ANNOUNCED};

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::book::channel::Mark;
use crate::clients::behaviour::{around, is_quick, link};
use crate::clients::http::{self, Head};
use crate::clients::line::{Line, Trickle};
use crate::clients::looks::{self, Look};
use crate::codes::Codes;
use crate::net::link::Link;
use crate::net::wire::WireState;

/// What is between the server and its client beside its own time.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

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
                let tag = looks::answer(cx, &look, channel, &mark, &head, &body).map_err(|why| {
                    format!("{why} ({look:?}, channel {channel}, {head:?}, client {} at {:?})", cx.id, cx.now)
                })?;
                if tag.is_some() {
                    self.tags[channel] = tag;
                }
            } else if is_over {
                // It was read too slowly, or the connection is broken: what has come is right all the same.
                let bytes = &open.line.unread()[head.bytes..];
                looks::check_beginning(cx, &look, channel, &head, bytes)
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
