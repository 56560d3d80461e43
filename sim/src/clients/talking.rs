//! What a client sends over a WebSocket: messages of all sizes, in bursts, in fragments, with pings behind them.
//!
//! Leaves what became of them to the book. What must stay true: each message is written down before the first byte of it is sent.

use std::time::Duration;

use fastrand::Rng;

use crate::actor::Context;
use crate::book::content::Style;
use crate::book::telling::Told;
use crate::clients::behaviour::around;
use crate::clients::frames::{self, BINARY, FIN, PING, PONG, TEXT};
use crate::clients::line::Line;

/// So much may wait on the way to the server before more is sent, in bytes.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// The most pings that are under way.
const PINGS_MAX: usize = 3;

/// How a client sends.
#[derive(Debug, Clone)]
pub struct Talk {
    every: Duration,
    burst_max: u32,
    /// The largest message that it likes to send; now and then one is as large as it may be.
    bytes_max: usize,
    is_fragmented: bool,
    one_in_large: u32,
}

/// The sending side of one connection.
#[derive(Debug)]
pub struct Talker {
    talk: Talk,
    /// As which the book knows it.
    pub source: u32,
    sent: u32,
    next_at: Duration,
    /// Up to which message the pings go that are under way, the first one in front, and since when each is with the server.
    pings: Vec<(u32, Option<Duration>)>,
    bytes: Vec<u8>,
    payload: Vec<u8>,
    /// What is to be sent once more, since it was not taken.
    pub again: Vec<(usize, Style)>,
    channel: usize,
    may_be_empty: bool,
}

impl Talk {
    /// Drawn.
    pub fn draw(random: &mut Rng) -> Self {
        Self {
            every: Duration::from_millis(random.u64(50..8000)),
            burst_max: [1, 1, 3, 50][random.usize(..4)],
            bytes_max: [20, 100, 100, 1000, 20_000][random.usize(..5)],
            is_fragmented: random.u8(..4) == 0,
            one_in_large: [0, 0, 100, 1000][random.usize(..4)],
        }
    }

    /// That of one among many that talk at once: short messages, many at a time.
    pub fn draw_busy(random: &mut Rng) -> Self {
        Self {
            every: Duration::from_millis(random.u64(100..3000)),
            burst_max: [5, 50, 200, 400][random.usize(..4)],
            bytes_max: [20, 60, 60, 200][random.usize(..4)],
            is_fragmented: random.u8(..16) == 0,
            one_in_large: [0, 0, 0, 5000][random.usize(..4)],
        }
    }
}

impl Talker {
    /// One that has not sent anything; it may be one that sends no empty messages, which nobody could tell from those of others.
    pub fn new(talk: Talk, source: u32, channel: usize, may_be_empty: bool, now: Duration) -> Self {
        let (next_at, bytes, payload) = (now, Vec::new(), Vec::new());
        Self {
            talk,
            source,
            sent: 0,
            next_at,
            pings: Vec::new(),
            bytes,
            payload,
            again: Vec::new(),
            channel,
            may_be_empty,
        }
    }

    /// Sends what is due. Returns when more is.
    pub fn talk(&mut self, cx: &mut Context<'_>, line: &mut Line) -> Duration {
        if self.next_at > cx.now {
            return self.next_at;
        }
        self.next_at = cx.now + around(cx.random, self.talk.every) + Duration::from_micros(1);
        if line.unsent_bytes() > UNSENT_BYTES_MAX {
            return self.next_at;
        }
        let count = if self.again.is_empty() { cx.random.u32(1..=self.talk.burst_max) } else { 1 };
        self.bytes.clear();
        for _ in 0..count {
            let (bytes, style) = self.again.pop().unwrap_or_else(|| self.draw(cx));
            self.put_message(cx, bytes, style);
            if self.bytes.len() > UNSENT_BYTES_MAX {
                break;
            }
        }
        if self.pings.len() < PINGS_MAX && cx.random.u8(..3) == 0 {
            frames::put(&mut self.bytes, FIN | PING, &self.sent.to_be_bytes(), mask(cx.random));
            self.pings.push((self.sent, None));
        }
        line.send(&self.bytes);
        if !self.again.is_empty() {
            self.next_at = cx.now + Duration::from_millis(1);
        }
        self.next_at
    }

    /// A pong of the server.
    ///
    /// # Errors
    /// If it answers no ping.
    pub fn pong(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Result<(), String> {
        if payload.is_empty() {
            return Ok(());
        }
        let nth = payload.try_into().map(u32::from_be_bytes).ok();
        let Some((first, _)) = self.pings.first().copied().filter(|(first, _)| Some(*first) == nth) else {
            return Err(format!("pong: it answers {payload:?}, and under way are {:?}", self.pings));
        };
        self.pings.remove(0);
        cx.book.answer(self.source, first, Told { by: cx.id, at: cx.now })
    }

    /// Since when the server has had a ping that it has not answered.
    pub fn waits_since(&mut self, now: Duration, line: &Line) -> Option<Duration> {
        if line.unsent_bytes() == 0 {
            self.pings.iter_mut().for_each(|(_, since)| *since = Some(since.unwrap_or(now)));
        }
        self.pings.first().and_then(|(_, since)| *since)
    }

    fn draw(&mut self, cx: &mut Context<'_>) -> (usize, Style) {
        let random = &mut *cx.random;
        let style = [Style::Words, Style::Words, Style::Lines, Style::Wide, Style::Binary][random.usize(..5)];
        let bytes_max = cx.book.message_bytes_max(self.channel);
        let large = self.talk.one_in_large;
        let bytes = match random.u8(..20) {
            0 if self.may_be_empty => 0,
            _ if large > 0 && random.u32(..large) == 0 => bytes_max,
            _ => random.usize(1..=self.talk.bytes_max),
        };
        (bytes.min(bytes_max), style)
    }

    fn put_message(&mut self, cx: &mut Context<'_>, bytes: usize, style: Style) {
        let content = cx.book.send(self.source, bytes, style);
        self.sent = content.nth;
        self.payload.clear();
        content.write(&mut self.payload);
        let opcode = if style.is_text() { TEXT } else { BINARY };
        let random = &mut *cx.random;
        if !self.talk.is_fragmented || random.bool() {
            frames::put(&mut self.bytes, FIN | opcode, &self.payload, mask(random));
            return;
        }
        let mut rest = self.payload.as_slice();
        let mut first = opcode;
        for _ in 0..random.u8(1..5) {
            let (piece, behind) = rest.split_at(random.usize(..=rest.len()));
            frames::put(&mut self.bytes, first, piece, mask(random));
            (first, rest) = (0, behind);
            if random.u8(..4) == 0 {
                frames::put(&mut self.bytes, FIN | [PING, PONG][random.usize(..2)], b"", mask(random));
            }
        }
        frames::put(&mut self.bytes, FIN | first, rest, mask(random));
    }
}

/// The mask of a frame; that of nothing is one, too.
pub fn mask(random: &mut Rng) -> [u8; 4] {
    if random.u8(..8) == 0 { [0; 4] } else { random.u32(..).to_be_bytes() }
}
