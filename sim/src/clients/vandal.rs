//! A client that breaks rules, says nothing, or comes with too many connections at once.
//!
//! Leaves what it sends to `mischief`. What must stay true: what comes of each is what the documents say, in time.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::limits::{CLOSING_TIMEOUT, HEAD_TIMEOUT, PENDING_MAX};

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::clients::behaviour::{around, is_quick, link};
use crate::clients::frames::{self, CLOSE};
use crate::clients::http::{self, Head};
use crate::clients::line::Line;
use crate::clients::mischief::{Deed, Mischief};
use crate::net::wire::{Wire, WireState};

/// What is between the server and its client beside its own time.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// How long connections of a crowd stay.
const CROWD_STAYS: Duration = Duration::from_secs(8);

/// A client.
#[derive(Debug)]
pub struct Vandal {
    every: Duration,
    deed: Deed,
    lines: Vec<Line>,
    /// Those that it has left, and the server may have.
    left: Vec<Wire>,
    /// How many there are of its address with these.
    from_address: usize,
    channel: usize,
    /// Of a WebSocket: it was let in.
    is_in: bool,
    is_sent: bool,
    status: Option<u16>,
    began: Duration,
    life: u64,
    next_at: Duration,
    is_quick: bool,
    latency: Duration,
    /// How long what is sent is on its way.
    transfer: Duration,
}

impl Vandal {
    /// One that begins soon.
    pub fn new(random: &mut Rng) -> Self {
        Self {
            every: Duration::from_millis(random.u64(100..20_000)),
            deed: Deed::Crowd,
            lines: Vec::new(),
            left: Vec::new(),
            from_address: 0,
            channel: 0,
            is_in: false,
            is_sent: false,
            status: None,
            began: Duration::ZERO,
            life: 0,
            next_at: around(random, Duration::from_secs(1)),
            is_quick: true,
            latency: Duration::ZERO,
            transfer: Duration::ZERO,
        }
    }

    fn begin(&mut self, cx: &mut Context<'_>) {
        let channel = cx.random.usize(..CHANNELS.len());
        let path = http::path(CHANNELS[channel]);
        self.deed = match cx.random.u8(..20) {
            0 => Deed::Crowd,
            1 => Deed::Clients,
            2 => Deed::Pings,
            3..=5 => Deed::Silent([&b""[..], b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n"][cx.random.usize(..3)]),
            _ => Deed::Break(Mischief::draw(cx.random, cx.book, channel, &path)),
        };
        (self.is_in, self.is_sent, self.status) = (false, false, None);
        (self.began, self.life) = (cx.now, cx.book.life);
        let way = link(cx.random);
        self.is_quick = is_quick(&way, &cx.book.limits);
        self.latency = way.latency.end;
        if !self.is_quick {
            cx.book.note_slow_reader(channel);
        }
        self.transfer = match &self.deed {
            Deed::Break(mischief) => way.transfer_max(mischief.bytes.len()),
            _ => Duration::ZERO,
        };
        let count = match self.deed {
            Deed::Crowd if cx.random.u8(..4) == 0 => PENDING_MAX + cx.random.usize(..200),
            Deed::Crowd => cx.random.usize(2..200),
            Deed::Clients => cx.book.limits.clients_per_ip_max.unwrap_or(20).min(40) + cx.random.usize(1..6),
            _ => 1,
        };
        self.left.retain(Wire::is_at_server);
        (self.channel, self.from_address) = (channel, self.left.len() + count);
        if count > PENDING_MAX / 2 {
            cx.book.flooded_until = cx.now + HEAD_TIMEOUT + ON_ITS_WAY + cx.book.accepted_after + way.latency.end * 8;
        }
        for _ in 0..count {
            let mut line = Line::new(cx.connect(way.clone()), None);
            match &self.deed {
                Deed::Break(mischief) if !mischief.is_websocket => line.send(&mischief.bytes),
                Deed::Break(_) | Deed::Pings | Deed::Clients => {
                    cx.book.arrivals += 1;
                    line.send(http::upgrade(&format!("{path}?history=0&echo=0"), None).as_bytes());
                }
                Deed::Silent(bytes) => line.send(bytes),
                Deed::Crowd => {}
            }
            self.lines.push(line);
        }
    }

    fn step_deed(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let is_free = self.life != cx.book.life
            || cx.book.is_stopping
            || cx.now < cx.book.flooded_until
            || self.lines.iter().any(|line| line.wire.is_disturbed());
        match self.deed.clone() {
            Deed::Break(mischief) => self.step_break(cx, &mischief, is_free, wakes),
            Deed::Silent(bytes) => self.step_silent(cx, bytes, is_free, wakes),
            Deed::Crowd => {
                self.lines.iter_mut().for_each(|line| {
                    line.receive(usize::MAX);
                });
                self.end_after(cx, CROWD_STAYS, wakes);
                Ok(())
            }
            Deed::Clients => self.step_clients(cx, is_free, wakes),
            Deed::Pings => {
                if !self.is_sent {
                    self.is_sent = true;
                    let mut pings = Vec::new();
                    (0..2000_u32).for_each(|_| frames::put(&mut pings, 0x89, &[0; 100], [0; 4]));
                    self.lines[0].send(&pings);
                }
                self.end_after(cx, CROWD_STAYS, wakes);
                Ok(())
            }
        }
    }

    fn go(&mut self) {
        for line in self.lines.drain(..) {
            line.wire.close();
            self.left.push(line.wire);
        }
    }

    fn may_be_full(&self, cx: &Context<'_>) -> bool {
        cx.may_be_full(self.channel, self.began, self.from_address)
    }

    fn end_after(&mut self, cx: &Context<'_>, stays: Duration, wakes: &mut Vec<Duration>) {
        let at = self.began + stays;
        if cx.now >= at || cx.is_leaving() {
            self.go();
        } else {
            wakes.push(at);
        }
    }

    fn step_break(
        &mut self,
        cx: &mut Context<'_>,
        mischief: &Mischief,
        is_free: bool,
        wakes: &mut Vec<Duration>,
    ) -> Result<(), String> {
        let may_be_full = self.may_be_full(cx);
        let line = &mut self.lines[0];
        line.receive(usize::MAX);
        let mut code = None;
        if self.status.is_none() {
            if let Some(head) = Head::parse(line.unread())? {
                self.status = Some(head.status);
                line.consume(head.bytes);
            }
        }
        if mischief.is_websocket && self.status == Some(101) {
            if !self.is_in {
                self.is_in = true;
                line.send(&mischief.bytes);
            }
            while let Some(frame) = frames::next(line.unread())?.filter(|frame| frame.bytes <= line.unread().len()) {
                if frame.opcode == CLOSE {
                    code = frames::close_code(&line.unread()[frame.head_bytes..frame.bytes]);
                }
                line.consume(frame.bytes);
            }
        }
        let got = if self.is_in { code } else { self.status };
        let is_refused = mischief.is_websocket && matches!(got, Some(429 | 503)) && may_be_full;
        let shown = || format!("{} of client {} at {:?}, begun at {:?}", mischief.name, cx.id, cx.now, self.began);
        let is_over = !matches!(line.state(), WireState::Connecting | WireState::Open);
        if let Some(got) = got {
            // Who is slow to read is dropped for that, whatever else it does.
            let is_slow = got == 1013 && !self.is_quick;
            // A head that has too narrow a way is late before it is too large.
            let is_late = got == 408 && self.transfer > HEAD_TIMEOUT;
            if !mischief.expects.contains(&got) && !is_refused && !is_free && !is_slow && !is_late {
                return Err(format!("vandal: {got} in place of {:?} for {}", mischief.expects, shown()));
            }
        } else if is_over && !is_free && self.is_quick {
            return Err(format!("vandal: no word before the end, in place of {:?}, for {}", mischief.expects, shown()));
        } else if !is_over {
            let on_its_way = ON_ITS_WAY + self.transfer + self.latency * 16;
            let due = self.began + HEAD_TIMEOUT + CLOSING_TIMEOUT + on_its_way + cx.book.accepted_after;
            if cx.now > due && !is_free && self.is_quick {
                return Err(format!("vandal: nothing comes of {}", shown()));
            }
            if !is_free && self.is_quick {
                wakes.push(due + Duration::from_millis(1));
                return Ok(());
            }
            self.end_after(cx, Duration::from_secs(20), wakes);
            return Ok(());
        }
        self.go();
        Ok(())
    }

    /// Who says nothing is closed in time, who has said half of it is told so.
    fn step_silent(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        is_free: bool,
        wakes: &mut Vec<Duration>,
    ) -> Result<(), String> {
        let line = &mut self.lines[0];
        line.receive(usize::MAX);
        let status = Head::parse(line.unread())?.map(|head| head.status);
        let is_over = !matches!(line.state(), WireState::Connecting | WireState::Open);
        let due = self.began + HEAD_TIMEOUT + ON_ITS_WAY + cx.book.accepted_after + self.latency * 8;
        let shown = || {
            format!(
                "\"{}\" of client {}, begun at {:?}, now it is {:?}",
                bytes.escape_ascii(),
                cx.id,
                self.began,
                cx.now
            )
        };
        if !is_over && status.is_none() {
            if cx.now > due && !is_free {
                return Err(format!("not dropped: nothing has come of {}", shown()));
            }
            if is_free {
                self.end_after(cx, Duration::from_secs(20), wakes);
            } else {
                wakes.push(due + Duration::from_millis(1));
            }
            return Ok(());
        }
        let expected = (bytes.len() > 2).then_some(408);
        if status != expected && !is_free {
            return Err(format!("vandal: {status:?} in place of {expected:?} for {}", shown()));
        }
        if cx.now < self.began + HEAD_TIMEOUT && !is_free {
            return Err(format!("dropped: too soon: {}", shown()));
        }
        self.go();
        Ok(())
    }

    /// No more clients of one address are in than may be.
    fn step_clients(&mut self, cx: &mut Context<'_>, is_free: bool, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let may_be_full = self.may_be_full(cx);
        let mut are_in = 0;
        for line in &mut self.lines {
            line.receive(usize::MAX);
            if let Some(head) = Head::parse(line.unread())? {
                are_in += usize::from(head.status == 101 && matches!(line.state(), WireState::Open));
                let may_be = head.status == 101 || may_be_full && matches!(head.status, 429 | 503);
                if !may_be && !is_free {
                    return Err(format!("vandal: {} for one of many clients of client {}", head.status, cx.id));
                }
            }
        }
        if cx.book.limits.clients_per_ip_max.is_some_and(|max| are_in > max) {
            return Err(format!(
                "too many: {are_in} clients of client {}'s address are in at {:?}, and may be {:?}",
                cx.id, cx.now, cx.book.limits.clients_per_ip_max
            ));
        }
        self.end_after(cx, CROWD_STAYS, wakes);
        Ok(())
    }
}

impl Actor for Vandal {
    fn step(&mut self, cx: &mut Context<'_>) {
        let mut wakes = Vec::new();
        if !self.lines.is_empty() {
            if let Err(what) = self.step_deed(cx, &mut wakes) {
                self.lines.clear();
                return cx.contradiction(what);
            }
            if self.lines.is_empty() {
                self.next_at = cx.now + around(cx.random, self.every);
            }
        }
        if self.lines.is_empty() && cx.server_is_up() && !cx.is_leaving() {
            if cx.now >= self.next_at {
                self.begin(cx);
                wakes.push(cx.now + HEAD_TIMEOUT);
            } else {
                wakes.push(self.next_at);
            }
        }
        cx.wake_at_first(wakes);
    }

    fn name(&self) -> String {
        "Vandal".to_owned()
    }
}
