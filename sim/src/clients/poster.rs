//! A client that posts: one request after the other, or several without waiting, over connections that it keeps for a while.
//!
//! Leaves what became of the messages to the book. What must stay true: a message counts as refused only where the server has said so, and an answer is held
//! against the request that it belongs to.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use foghorn::config::limits::{KEEP_ALIVE_ANNOUNCED, POST_ROOM_TIMEOUT};

use crate::actor::{Actor, Context};
use crate::book::channel::Mark;
use crate::book::content::{Content, Style};
use crate::book::telling::{Message, Told};
use crate::book::waiting::Others;
use crate::clients::behaviour::{around, is_quick, link};
use crate::clients::http::Head;
use crate::clients::line::{Line, Trickle};
use crate::clients::posting::put;
use crate::clients::refusing::RefusedPost;
use crate::codes::Codes;
use crate::net::link::Link;
use crate::net::wire::WireState;

/// So many may be under way in one connection.
const PIPELINED_MAX: usize = 8;
/// How often a client that waits looks at what it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// What is between the server and its client beside its own time.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// A post whose answer has not come.
#[derive(Debug)]
struct Posted {
    content: Content,
    mark: Mark,
    sent_at: Duration,
    /// When its last byte has left.
    left_at: Option<Duration>,
    /// The body that is kept back until the server asks for it.
    kept_back: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Open {
    line: Line,
    source: u32,
    life: u64,
    posted: VecDeque<Posted>,
    answered_at: Duration,
    /// It has sent something after so long a pause that the server may have closed just before.
    is_late: bool,
    has_finished: bool,
    posts_left: u32,
}

/// A client.
#[derive(Debug)]
pub struct Poster {
    code: Option<&'static str>,
    link: Link,
    channel: usize,
    every: Duration,
    bytes_max: usize,
    one_in_large: u32,
    pipelines: bool,
    trickle: Option<Trickle>,
    open: Option<Open>,
    next_at: Duration,
    is_prompt: bool,
}

impl Poster {
    /// One that begins soon.
    pub fn new(channel: usize, codes: Codes, limits: &foghorn::config::settings::Limits, random: &mut Rng) -> Self {
        let link = link(random);
        let trickle = Trickle { bytes: random.usize(1..200), every: Duration::from_millis(random.u64(1..500)) };
        let trickle = Some(trickle).filter(|_| random.u8(..6) == 0);
        Self {
            code: codes.best(channel),
            channel,
            every: Duration::from_millis(random.u64(20..10_000)),
            bytes_max: [20, 200, 3000, 20_000][random.usize(..4)],
            one_in_large: [0, 0, 30, 300][random.usize(..4)],
            pipelines: random.u8(..4) == 0,
            open: None,
            next_at: around(random, Duration::from_secs(1)),
            is_prompt: trickle.is_none() && is_quick(&link, limits),
            link,
            trickle,
        }
    }

    fn post(&mut self, cx: &mut Context<'_>) {
        if self.open.is_none() {
            let line = Line::new(cx.connect(self.link.clone()), self.trickle);
            let source = cx.book.add_source(cx.id, self.channel);
            self.open = Some(Open {
                line,
                source,
                life: cx.book.life,
                posted: VecDeque::new(),
                answered_at: cx.now,
                is_late: false,
                has_finished: false,
                posts_left: cx.random.u32(1..40),
            });
        }
        let Some(open) = &mut self.open else { return };
        let wanted = if self.pipelines { cx.random.usize(1..=PIPELINED_MAX) } else { 1 };
        for _ in open.posted.len()..wanted {
            // One that keeps its body back until it is asked for is the last for now.
            if open.posts_left == 0 || open.posted.back().is_some_and(|last| last.kept_back.is_some()) {
                break;
            }
            open.posts_left -= 1;
            open.is_late |= open.posted.is_empty() && cx.now > open.answered_at + KEEP_ALIVE_ANNOUNCED;
            let bytes_max = cx.book.message_bytes_max(self.channel);
            let random = &mut *cx.random;
            let style = [Style::Words, Style::Lines, Style::Wide, Style::Binary][random.usize(..4)];
            let is_large = self.one_in_large > 0 && random.u32(..self.one_in_large) == 0;
            let bytes = if is_large { bytes_max } else { random.usize(..=self.bytes_max).min(bytes_max) };
            let content = cx.book.send(open.source, bytes, style);
            let mark = cx.book.mark(self.channel, cx.now);
            let kept_back = put(&mut open.line, (self.channel, self.code), content, cx.random);
            open.posted.push_back(Posted { content, mark, sent_at: cx.now, left_at: None, kept_back });
        }
    }

    fn step_open(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.line.receive(usize::MAX);
        let mut is_over = false;
        while let Some(head) = Head::parse(open.line.unread())? {
            if !open.take(cx, self.channel, &head, (self.is_prompt, &self.link))? {
                break;
            }
            if head.status != 100 && head.status != 200 {
                is_over = true;
                break;
            }
        }
        wakes.extend(open.line.trickle(cx.now));
        if open.line.unsent_bytes() == 0 {
            let sent = open.posted.iter_mut().filter(|posted| posted.kept_back.is_none());
            sent.for_each(|posted| posted.left_at = Some(posted.left_at.unwrap_or(cx.now)));
        }
        let is_free = open.line.wire.is_disturbed() || open.life != cx.book.life || cx.book.is_stopping;
        match open.line.state() {
            WireState::Connecting | WireState::Open if is_over => {}
            WireState::Connecting | WireState::Open => {
                open.check_wait(cx, self.channel, self.is_prompt && !is_free, &self.link)?;
                if !open.posted.is_empty() {
                    wakes.push(cx.now + LOOK_AGAIN);
                }
                self.move_on(cx);
                return Ok(());
            }
            state if !is_over && !open.posted.is_empty() => {
                let excused = is_free || open.is_late || cx.now < cx.book.flooded_until || !self.is_prompt;
                if !excused {
                    return Err(format!(
                        "dropped: client {} (a poster) lost its connection ({state:?}) at {:?} with {} posts under way, and there was no reason",
                        cx.id,
                        cx.now,
                        open.posted.len()
                    ));
                }
            }
            _ => {}
        }
        open.line.wire.close();
        self.open = None;
        Ok(())
    }

    /// Breaks the connection off now and then, or closes one over which it has posted enough.
    fn move_on(&mut self, cx: &mut Context<'_>) {
        let Some(open) = &mut self.open else { return };
        let is_done = open.posted.is_empty() && (open.posts_left == 0 || cx.is_leaving());
        let breaks_off = !open.posted.is_empty() && cx.random.u16(..400) == 0;
        if breaks_off && cx.random.bool() && !open.has_finished && self.trickle.is_none() {
            // What was sent is answered all the same.
            open.has_finished = true;
            open.posts_left = 0;
            if open.posted.iter().all(|posted| posted.kept_back.is_none()) {
                open.line.wire.shut_down_writing();
            }
        } else if breaks_off && cx.random.u8(..4) == 0 {
            open.line.wire.reset();
            self.open = None;
        } else if is_done {
            open.line.wire.close();
            self.open = None;
        }
    }
}

impl Open {
    /// Takes an answer whose head is there. False: its body is not.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        channel: usize,
        head: &Head,
        (is_prompt, link): (bool, &Link),
    ) -> Result<bool, String> {
        let told = Told { by: cx.id, at: cx.now };
        let with = |why: &str| format!("post: {why} ({head:?}, client {} at {:?})", told.by, told.at);
        if head.status == 100 {
            let Some(body) = self.posted.front_mut().and_then(|posted| posted.kept_back.take()) else {
                return Err(with("it is asked for a body that it does not keep back"));
            };
            self.line.consume(head.bytes);
            self.line.send(&body);
            return Ok(true);
        }
        let Some(length) = head.length() else { return Err(with("no length")) };
        let Some(body) = self.line.unread().get(head.bytes..head.bytes + length).map(<[u8]>::to_vec) else {
            return Ok(false);
        };
        self.line.consume(head.bytes + length);
        let Some(posted) = self.posted.pop_front() else {
            // Refused before it has asked for anything: a connection that has said nothing for too long, or is one too many.
            let is_known = matches!(head.status, 408 | 503);
            return if is_known { Ok(true) } else { Err(with("nothing was asked")) };
        };
        let answered_at = std::mem::replace(&mut self.answered_at, cx.now);
        if head.status == 200 {
            let json: serde_json::Value = serde_json::from_slice(&body).map_err(|error| with(&error.to_string()))?;
            let (Some(epoch), Some(seq)) = (json["epoch"].as_str(), json["seq"].as_u64()) else {
                return Err(with("no position in its body"));
            };
            if head.position() != Some((epoch, seq)) || json["clients"].as_u64().is_none() {
                return Err(with("its body says something else"));
            }
            let epoch = cx.book.position(channel, (epoch, seq), &posted.mark, told)?;
            let payload = posted.content.bytes();
            let message = Message { is_text: Some(posted.content.style.is_text()), payload: &payload };
            cx.book.message((channel, epoch, seq), message, told)?;
            return cx.book.confirm(self.source, posted.content.nth, told).map(|()| true);
        }
        let refused = RefusedPost {
            channel,
            // The answer before was on its way for a while.
            lasted: cx.now.saturating_sub(posted.sent_at.max(answered_at)) + link.latency.end * 2,
            transfer: link.transfer_max(posted.content.bytes as usize),
            is_prompt: is_prompt && !self.line.wire.is_disturbed(),
        };
        let sentence = String::from_utf8_lossy(&body);
        let is_free = cx.now < cx.book.flooded_until || cx.book.is_stopping || self.life != cx.book.life;
        if !refused.may_be(&sentence, &cx.book.limits, cx.book.crowd) && !is_free {
            return Err(with(&format!("there is no reason for \"{}\", to {refused:?}", sentence.trim_end())));
        }
        cx.book.refuse(self.source, posted.content.nth, told)?;
        for behind in std::mem::take(&mut self.posted) {
            cx.book.refuse(self.source, behind.content.nth, told)?;
        }
        Ok(true)
    }

    /// Whether the first of those under way waits for longer than it may.
    fn check_wait(&self, cx: &Context<'_>, channel: usize, is_checked: bool, link: &Link) -> Result<(), String> {
        let Some(left_at) = self.posted.front().and_then(|posted| posted.left_at).filter(|_| is_checked) else {
            return Ok(());
        };
        // As long as for room, and where there is a disk, for that.
        let on_its_way = if cx.book.has_disk() { cx.book.wait_max(channel, Others::Unknown) } else { ON_ITS_WAY };
        let due = left_at.max(self.answered_at)
            + POST_ROOM_TIMEOUT
            + on_its_way
            + cx.book.accepted_after
            + link.latency.end * 8;
        if cx.now <= due {
            return Ok(());
        }
        Err(format!(
            "waited too long: client {} has posted {} at {left_at:?}, its last answer came at {:?}, and there is none at {:?}",
            cx.id, self.posted[0].content, self.answered_at, cx.now
        ))
    }
}

impl Actor for Poster {
    fn step(&mut self, cx: &mut Context<'_>) {
        let mut wakes = Vec::new();
        if let Err(what) = self.step_open(cx, &mut wakes) {
            self.open = None;
            return cx.contradiction(what);
        }
        if !cx.is_leaving() && cx.server_is_up() {
            if cx.now >= self.next_at {
                let has_finished = self.open.as_ref().is_some_and(|open| open.has_finished);
                if !has_finished {
                    self.post(cx);
                }
                self.next_at = cx.now + around(cx.random, self.every) + Duration::from_micros(1);
            }
            wakes.push(self.next_at);
        }
        cx.wake_at_first(wakes);
    }

    fn name(&self) -> String {
        "Poster".to_owned()
    }
}
