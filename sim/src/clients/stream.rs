//! A client that listens over HTTP: streams one after the other, each going on where the last one has ended.
//!
//! Leaves the forms of messages to `forms`, and their places to the book. What must stay true: a stream that ends in order ends between two messages.

use std::time::Duration;

use fastrand::Rng;

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::book::telling::Told;
use crate::clients::behaviour::{Behaviour, Leave, around};
use crate::clients::forms::Form;
use crate::clients::hello::{Asked, Settings};
use crate::clients::http;
use crate::clients::line::Line;
use crate::clients::pace::{Pace, Pacing};
use crate::clients::reading::Reading;
use crate::clients::vanished::Vanished;
use crate::clients::verdict::{self, Conduct, How};
use crate::net::wire::{Wire, WireState};

/// How soon something that others have to be told of first is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// For how long one reads on that has finished sending.
const READS_ON: Duration = Duration::from_secs(20);

/// A stream that is there.
#[derive(Debug)]
struct Open {
    line: Line,
    reading: Reading,
    conduct: Conduct,
    began: Duration,
    leaves: (Duration, Leave),
    has_finished: bool,
    pacing: Pacing,
}

/// A client.
#[derive(Debug)]
pub struct Stream {
    form: Form,
    behaviour: Behaviour,
    settings: Settings,
    channel: usize,
    open: Option<Open>,
    /// Those that it has left, and the server may have.
    left: Vec<Wire>,
    vanished: Vanished,
    comes_at: Duration,
    after: Option<(String, u64)>,
}

impl Stream {
    /// One that comes soon.
    pub fn new(behaviour: Behaviour, settings: Settings, channel: usize, random: &mut Rng) -> Self {
        let form = [Form::Events, Form::Lines, Form::Json][random.usize(..3)];
        let comes_at = around(random, behaviour.away.min(Duration::from_secs(2)));
        Self {
            form,
            behaviour,
            settings,
            channel,
            open: None,
            left: Vec::new(),
            vanished: Vanished::default(),
            comes_at,
            after: None,
        }
    }

    fn connect(&mut self, cx: &mut Context<'_>) {
        let channel = self.channel;
        let mut asked = Asked { channel, mark: cx.book.mark(channel, cx.now), ..Asked::default() };
        let mut query = vec![format!("as={}", self.form.name())];
        let mut lines = Vec::new();
        asked.history = self.behaviour.history;
        query.extend(asked.history.map(|count| format!("history={count}")));
        if let Some((epoch, seq)) = self.after.clone().filter(|_| cx.random.u8(..12) > 0) {
            let place = format!("{epoch}:{seq}");
            if cx.random.bool() {
                query.push(format!("after={place}"));
            } else {
                lines.push(("Last-Event-ID", place));
                // Which wins.
                query.extend(cx.random.bool().then(|| "after=nowhere:1".to_owned()));
            }
            asked.after = Some((epoch, seq));
        }
        let count = (cx.random.u8(..6) == 0).then(|| cx.random.u64(1..50));
        query.extend(count.map(|count| format!("count={count}")));
        query.extend(self.settings.codes.best(channel).map(|code| format!("code={code}")));
        cx.random.shuffle(&mut query);
        let target = format!("{}?{}", http::path(CHANNELS[channel]), query.join("&"));
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut line = Line::new(cx.connect(self.behaviour.link.clone()), None);
        line.send(http::request("GET", &target, &lines).as_bytes());
        cx.book.arrivals += 1;
        if self.behaviour.is_slow_reader(&cx.book.limits) {
            cx.book.note_slow_reader(channel);
        }
        self.left.retain(Wire::is_at_server);
        self.left.push(line.wire.clone());
        let conduct = Conduct {
            from_address: self.left.len(),
            life: cx.book.life,
            is_prompt: self.behaviour.pace == Pace::Prompt
                && crate::clients::behaviour::is_quick(&self.behaviour.link, &cx.book.limits),
            answers: true,
            channel,
            ..Conduct::default()
        };
        let how = [Leave::Close, Leave::Reset, Leave::Vanish, Leave::HalfClose][cx.random.usize(..4)];
        let leaves = (cx.now + around(cx.random, self.behaviour.stays), how);
        self.open = Some(Open {
            line,
            reading: Reading::new(self.form, asked, count),
            conduct,
            began: cx.now,
            leaves,
            has_finished: false,
            pacing: Pacing::new(cx.now),
        });
    }

    fn step_open(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let told = Told { by: cx.id, at: cx.now };
        open.conduct.was_hit |= open.line.wire.is_disturbed();
        open.pacing.read(self.behaviour.pace, &mut open.line, cx.now, wakes);
        open.reading.read(cx, &mut open.line, &self.settings)?;
        open.conduct.is_in = open.reading.is_greeted();
        if open.reading.is_waiting() {
            wakes.push(cx.now + LOOK_AGAIN);
        }
        if let Some(place) = open.reading.place(cx.book) {
            self.after = Some(place);
        }
        let state = open.line.state();
        let status = open.reading.status();
        if open.reading.is_waiting() && !cx.is_leaving() {
            // What its end means cannot be said before all of it is read.
            return Ok(());
        }
        let is_gone = cx.book.life != open.conduct.life || cx.book.is_stopping;
        if state == WireState::Ended && !is_gone && !open.reading.is_between_messages(&open.line) {
            return Err(format!(
                "stream: it ended in order within a message, or with what nobody knows: \"{}\" ({:?}, client {} at {:?})",
                crate::clients::forms::shown(open.line.unread()),
                self.form,
                told.by,
                told.at
            ));
        }
        let how = match (state, status) {
            (_, Some(status)) => How::Status(status),
            (WireState::Ended, _) => How::Ended,
            (WireState::Reset | WireState::Refused, _) => How::Reset,
            _ => return self.leave(cx, wakes),
        };
        open.conduct.may_be_full = cx.may_be_full(self.channel, open.began, open.conduct.from_address);
        let is_complete = (open.reading.is_complete() || open.reading.is_waiting()) && how == How::Ended;
        if !is_complete && verdict::reason(how, &open.conduct, cx.book, cx.now).is_none() {
            return Err(format!(
                "dropped: client {} (a stream of {:?}) was {how:?} at {:?}, having come at {:?}, and there was no reason ({:?})",
                cx.id, self.form, cx.now, open.began, open.conduct
            ));
        }
        open.line.wire.close();
        self.open = None;
        Ok(())
    }

    fn leave(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.reading.check_end(cx, &open.conduct, self.behaviour.link.latency.end)?;
        let at = if open.has_finished { open.leaves.0 + READS_ON } else { open.leaves.0 };
        if cx.now < at && !cx.is_leaving() {
            wakes.push(at);
            return Ok(());
        }
        match open.leaves.1 {
            Leave::HalfClose if !open.has_finished && !cx.is_leaving() => {
                open.line.wire.shut_down_writing();
                open.has_finished = true;
                wakes.push(open.leaves.0 + READS_ON);
                return Ok(());
            }
            Leave::Reset => open.line.wire.reset(),
            Leave::Vanish if !cx.is_leaving() => {
                open.line.wire.vanish();
                if open.conduct.is_in && self.form != Form::Lines {
                    // A heartbeat and a sweep until it is told something, and two until the kernel has waited for long enough.
                    self.vanished.add(cx, &open.line.wire, 7, self.behaviour.link.latency.end);
                }
            }
            _ => open.line.wire.close(),
        }
        self.open = None;
        Ok(())
    }
}

impl Actor for Stream {
    fn step(&mut self, cx: &mut Context<'_>) {
        let mut wakes = Vec::new();
        let was_there = self.open.is_some();
        let are_gone = self.vanished.check(cx, &mut wakes);
        if let Err(what) = are_gone.and_then(|()| self.step_open(cx, &mut wakes)) {
            self.open = None;
            return cx.contradiction(what);
        }
        if was_there && self.open.is_none() {
            self.comes_at = cx.now + around(cx.random, self.behaviour.away);
        }
        if self.open.is_none() && cx.server_is_up() && !cx.is_leaving() {
            if cx.now >= self.comes_at {
                self.connect(cx);
                wakes.extend(self.open.as_ref().map(|open| open.leaves.0));
            } else {
                wakes.push(self.comes_at);
            }
        }
        cx.wake_at_first(wakes);
    }

    fn name(&self) -> String {
        format!("Reader of {:?}", self.form)
    }
}
