//! A client that tries codes: right ones, wrong ones, those of other channels, and none, and that sends where it may only listen.
//!
//! Leaves what a code gives to `codes`. What must stay true: whether its address is locked is known from what it has sent and when it was answered,
//! and where it cannot be known, nothing is expected.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::limits::{GUESS_WINDOW, GUESSES_PER_IP_MAX, GUESSES_PER_PROXY_MAX, HTTP_TIMEOUT};
use foghorn::config::settings::Limits;

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::clients::attempt::{Answer, Attempt, Brought, Kind};
use crate::clients::behaviour::{around, is_quick, link};
use crate::clients::line::Line;
use crate::codes::{Codes, Judged, Right};
use crate::net::link::Link;
use crate::net::wire::WireState;

/// What is between the server and its client beside its own time.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// How long after its end a connection is certainly remembered, and after how many others at most.
const REMEMBERED: (Duration, u64) = (Duration::from_secs(590), 3000);
/// So long after it was given up something that was sent may be read.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// The wrong codes of a minute.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// Between these it began.
    began: (Duration, Duration),
    guesses: u32,
}

/// A connection that was let in by a code.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    channel: usize,
    right: Right,
    ended_at: Duration,
    arrivals: u64,
}

#[derive(Debug)]
struct Open {
    line: Line,
    attempt: Attempt,
    asked_at: Duration,
    /// It is in, and has sent something that it must not.
    is_saying: bool,
}

/// A client.
#[derive(Debug)]
pub struct Guesser {
    codes: Codes,
    link: Link,
    is_quick: bool,
    /// It comes by loopback, as a proxy does.
    is_proxy: bool,
    every: Duration,
    next_at: Duration,
    life: u64,
    window: Option<Window>,
    unsure_until: Duration,
    known: Option<Known>,
    open: Option<Open>,
}

impl Guesser {
    /// One that begins soon.
    pub fn new(codes: Codes, is_proxy: bool, limits: &Limits, random: &mut Rng) -> Self {
        let link = link(random);
        Self {
            codes,
            is_quick: is_quick(&link, limits),
            link,
            is_proxy,
            every: Duration::from_millis(random.u64(20..10_000)),
            next_at: around(random, Duration::from_secs(1)),
            life: 0,
            window: None,
            unsure_until: Duration::ZERO,
            known: None,
            open: None,
        }
    }

    /// Whether the address is locked for what is asked from here to there. `None`: it is or not.
    fn is_locked(&self, (from, to): (Duration, Duration)) -> Option<bool> {
        let most = if self.is_proxy { GUESSES_PER_PROXY_MAX } else { GUESSES_PER_IP_MAX };
        match self.window {
            None => Some(false),
            Some(window) if from >= window.began.1 + GUESS_WINDOW => Some(false),
            Some(window) if to < window.began.0 + GUESS_WINDOW => Some(window.guesses >= most),
            Some(_) => None,
        }
    }

    fn draw(&self, cx: &mut Context<'_>) -> Attempt {
        let random = &mut *cx.random;
        let channel = if random.bool() { 0 } else { random.usize(..CHANNELS.len()) };
        let kind = Kind::ALL[random.usize(..Kind::ALL.len())];
        let (best, all) = (self.codes.best(channel), self.codes.all());
        let code = match random.u8(..10) {
            0 => None,
            1..=3 => best,
            4 | 5 => self.codes.least(channel).or(best),
            6 => all.get(random.usize(..all.len().max(1))).copied(),
            7 => Some("4712"),
            8 => Some("what%20can%2Fbe%20none"),
            _ => Some("blue.whalf"),
        };
        let brought = code.map(|code| {
            // What only an address can say is said there.
            let how = if code.contains('%') { 0 } else { random.u8(..3) };
            match how {
                0 => Brought::Query(code),
                1 => Brought::Basic(code),
                _ => Brought::Bearer(code),
            }
        });
        // What may be said is said by others, who write it down.
        let may_send = self.codes.without(channel) == Some(Right::Send)
            || code.is_some_and(|code| self.codes.judge(channel, code) == Judged::Gives(Right::Send));
        let kind = if kind == Kind::Post && may_send { Kind::Last } else { kind };
        let comes_back = kind == Kind::Resuming && random.bool();
        let known = self.known.clone().filter(|known| comes_back && known.channel == channel);
        Attempt::new(kind, channel, brought, known.map(|known| known.id))
    }

    /// What an attempt is to be answered, and whether it is a guess; by what docs/wire.md says of codes.
    fn expect(&self, cx: &Context<'_>, attempt: &Attempt, is_locked: bool) -> (Answer, bool) {
        let Attempt { kind, channel, .. } = *attempt;
        let free = self.codes.without(channel);
        let need = if kind == Kind::Post { Right::Send } else { Right::Receive };
        if free == Some(Right::Send) {
            return (Answer::In(Some(Right::Send)), false);
        }
        let without = match free {
            Some(right) if right >= need => Answer::In(Some(right)),
            _ => kind.refuses(401),
        };
        let Some(brought) = attempt.brought else { return (without, false) };
        let is_for_others = brought.is_header() && free.is_some_and(|free| free >= need);
        if is_for_others && !kind.is_websocket() {
            return (without, false);
        }
        let judged = self.codes.judge(channel, brought.code());
        let is_remembered = |known: &Known| {
            let is_it = attempt.replaces.as_ref() == Some(&known.id) && judged == Judged::Gives(known.right);
            is_it && cx.now < known.ended_at + REMEMBERED.0 && cx.book.arrivals < known.arrivals + REMEMBERED.1
        };
        let is_known = self.known.as_ref().is_some_and(is_remembered);
        match judged {
            _ if is_locked && !is_known => (if is_for_others { without } else { kind.refuses(429) }, false),
            Judged::Gives(right) if right >= need => (Answer::In(Some(right)), false),
            Judged::Gives(_) => (kind.refuses(403), false),
            judged => (if is_for_others { without } else { kind.refuses(401) }, judged == Judged::Wrong),
        }
    }

    fn begin(&mut self, cx: &mut Context<'_>) {
        if self.life != cx.book.life {
            // Nobody knows of it.
            (self.life, self.window, self.unsure_until, self.known) = (cx.book.life, None, Duration::ZERO, None);
        }
        if cx.now < self.unsure_until {
            self.next_at = self.unsure_until;
            return;
        }
        let attempt = self.draw(cx);
        let from = if self.is_proxy { [127, 0, 0, 1].into() } else { cx.address() };
        let mut line = Line::new(cx.connect_from(self.link.clone(), from), None);
        cx.book.arrivals += 1;
        line.send(&attempt.request());
        self.open = Some(Open { line, attempt, asked_at: cx.now, is_saying: false });
    }

    fn step_open(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.line.receive(usize::MAX);
        let is_free = open.line.wire.is_disturbed()
            || self.life != cx.book.life
            || cx.book.is_stopping
            || cx.now < cx.book.flooded_until;
        let is_over = !matches!(open.line.state(), WireState::Connecting | WireState::Open);
        let told = |open: &Open| {
            format!("{:?} of client {} at {:?}, begun at {:?}", open.attempt, cx.id, cx.now, open.asked_at)
        };
        let due = open.asked_at + HTTP_TIMEOUT + ON_ITS_WAY + cx.book.accepted_after + self.link.latency.end * 16;
        let is_bound = self.is_quick && !is_free && !cx.book.has_disk();
        let Some(answer) = open.attempt.answer(&mut open.line)? else {
            if is_bound && (is_over || cx.now > due) {
                return Err(format!("code: no answer to {}", told(open)));
            }
            if is_over || cx.now > due || cx.is_leaving() {
                self.give_up(cx);
            } else {
                wakes.push(due + Duration::from_millis(1));
            }
            return Ok(());
        };
        if open.is_saying {
            let is_there = matches!(answer, Answer::In(_)) && !is_over && cx.now <= due;
            if answer != Answer::Ends(1008) && !is_there && is_bound {
                return Err(format!("code: {answer:?} in place of 1008 for {}", told(open)));
            }
            if is_there && !cx.is_leaving() {
                wakes.push(due + Duration::from_millis(1));
            } else {
                self.end(cx);
            }
            return Ok(());
        }
        let span = (open.asked_at, cx.now);
        let attempt = open.attempt.clone();
        let locked = self.is_locked(span).filter(|_| !is_free);
        let expected = [false, true].map(|is_locked| self.expect(cx, &attempt, is_locked));
        let Some(is_locked) = locked else {
            let is_expected = expected.iter().any(|(expected, _)| expected.allows(answer));
            let is_refused = matches!(answer, Answer::Status(503 | 408));
            if !is_free && !is_expected && !is_refused {
                return Err(format!("code: {answer:?} in place of any of {expected:?} for {attempt:?}"));
            }
            self.give_up(cx);
            return Ok(());
        };
        let (expected, is_guess) = expected[usize::from(is_locked)];
        let waits_for_disk = matches!(answer, Answer::Status(503)) && cx.book.has_disk();
        if waits_for_disk {
            self.give_up(cx);
            return Ok(());
        }
        // It was in, and has to come again since numbers begin anew.
        let is_new = attempt.hello.is_some()
            && answer == Answer::Ends(1012)
            && matches!(expected, Answer::In(_))
            && (cx.book.reasons(attempt.channel) > 0 || cx.book.may_begin_anew(attempt.channel));
        if !is_new && !expected.allows(answer) {
            return Err(format!(
                "code: {answer:?} in place of {expected:?} for {attempt:?} of client {} at {:?}, begun at {:?}, {:?}",
                cx.id, cx.now, span.0, self.window
            ));
        }
        self.note(is_guess, span);
        if is_new {
            self.end(cx);
        } else {
            self.go_on(cx, expected);
        }
        Ok(())
    }

    fn note(&mut self, is_guess: bool, span: (Duration, Duration)) {
        if !is_guess {
            return;
        }
        match &mut self.window {
            Some(window) if span.0 < window.began.1 + GUESS_WINDOW => window.guesses += 1,
            window => *window = Some(Window { began: span, guesses: 1 }),
        }
    }

    /// Who was let in stays for a moment, or says what it may not.
    fn go_on(&mut self, cx: &mut Context<'_>, expected: Answer) {
        let Some(open) = &mut self.open else { return };
        let Answer::In(right) = expected else { return self.end(cx) };
        let Attempt { kind, channel, brought, hello, .. } = open.attempt.clone();
        if let (Some((_, id)), Some(brought)) = (hello, brought) {
            let by_code = self.codes.judge(channel, brought.code());
            // Another right was not by its code.
            if let Some(right) = right.filter(|right| by_code == Judged::Gives(*right)) {
                let (ended_at, arrivals) = (cx.now, cx.book.arrivals);
                self.known = Some(Known { id, channel, right, ended_at, arrivals });
            }
        }
        if kind.is_websocket() && right == Some(Right::Receive) {
            Attempt::say_something(&mut open.line, cx.random);
            open.is_saying = true;
            let due = open.asked_at + HTTP_TIMEOUT + ON_ITS_WAY + self.link.latency.end * 16;
            cx.wake_at(due);
        } else {
            self.end(cx);
        }
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        if let Some(open) = self.open.take() {
            open.line.wire.close();
        }
        // Mostly one behind the other, as who guesses does.
        let every = if cx.random.u8(..4) == 0 { self.every * 4 } else { self.every / 4 };
        self.next_at = cx.now + around(cx.random, every) + Duration::from_micros(1);
    }

    /// What came of an attempt is not known: neither is whether the address is locked, until the last minute that may have begun is over.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        self.end(cx);
        // One that was asked in the last life may have come to this one.
        self.life = cx.book.life;
        (self.window, self.known) = (None, None);
        self.unsure_until = cx.now + GUESS_WINDOW + GIVEN_UP;
    }
}

impl Actor for Guesser {
    fn step(&mut self, cx: &mut Context<'_>) {
        let mut wakes = Vec::new();
        if let Err(what) = self.step_open(cx, &mut wakes) {
            self.open = None;
            return cx.contradiction(what);
        }
        if self.open.is_none() && cx.server_is_up() && !cx.is_leaving() {
            if cx.now >= self.next_at {
                self.begin(cx);
            }
            wakes.push(if self.open.is_some() { cx.now + HTTP_TIMEOUT } else { self.next_at });
        }
        cx.wake_at_first(wakes);
    }

    fn name(&self) -> String {
        if self.is_proxy { "Guesser by a proxy".to_owned() } else { "Guesser".to_owned() }
    }
}
