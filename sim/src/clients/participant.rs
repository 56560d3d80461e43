//! A client with WebSockets: one after the other, and sometimes two at once.
//!
//! Leaves one connection to `connection`. What must stay true: whoever counts comes back behind the last message that it has, and says whose place it takes.

use std::time::Duration;

use fastrand::Rng;

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::book::content::Style;
use crate::clients::behaviour::{Behaviour, Leave, around};
use crate::clients::connection::{Connection, SUBPROTOCOL};
use crate::clients::frames::{self, CLOSE, FIN};
use crate::clients::hearing::Found;
use crate::clients::hello::{Asked, Settings};
use crate::clients::http;
use crate::clients::line::Line;
use crate::clients::talking::{Talker, mask};
use crate::clients::vanished::Vanished;
use crate::clients::verdict::{self, Conduct, Goodbye, How};
use crate::net::wire::Wire;

/// Earlier connections that it remembers, to ask for them once more.
const EARLIER_MAX: usize = 4;
/// The server remembers this many that have ended, some in reserve.
const REMEMBERED: u64 = 3500;
/// Of what was not taken, so many messages are sent again, and none that is larger, in bytes.
const AGAIN_MAX: [usize; 2] = [50, 100_000];

/// A connection of its own that is over, or will be.
#[derive(Debug, Clone)]
struct Earlier {
    id: String,
    source: u32,
    channel: usize,
    /// How many had come when it began.
    arrivals: u64,
}

/// A client.
#[derive(Debug)]
pub struct Participant {
    name: String,
    behaviour: Behaviour,
    settings: Settings,
    channel: usize,
    connections: Vec<Connection>,
    /// Those that it has left, and the server may have.
    left: Vec<Wire>,
    vanished: Vanished,
    /// When it comes, if it is not there.
    comes_at: Duration,
    after: Option<(usize, usize, u64)>,
    earlier: Vec<Earlier>,
    again: Vec<(usize, Style)>,
}

impl Participant {
    /// One that comes soon.
    pub fn new(name: String, behaviour: Behaviour, settings: Settings, channel: usize, random: &mut Rng) -> Self {
        let comes_at = around(random, behaviour.away.min(Duration::from_secs(2)));
        let (connections, left, earlier, again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            name,
            behaviour,
            settings,
            channel,
            connections,
            left,
            vanished: Vanished::default(),
            comes_at,
            after: None,
            earlier,
            again,
        }
    }

    fn connect(&mut self, cx: &mut Context<'_>) {
        let Self { behaviour, channel, .. } = self;
        let channel = *channel;
        let mut asked = Asked { channel, mark: cx.book.mark(channel, cx.now), ..Asked::default() };
        let mut query = Vec::new();
        asked.history = behaviour.history;
        query.extend(asked.history.map(|count| format!("history={count}")));
        query.extend(behaviour.echo.map(|echo| format!("echo={}", u8::from(echo))));
        if behaviour.resumes {
            if let Some((_, epoch, seq)) = self.after.filter(|after| after.0 == channel && cx.random.u8(..12) > 0) {
                let epoch = cx.book.epoch(channel, epoch).to_owned();
                query.push(format!("after={epoch}{}{seq}", [":", "%3A"][cx.random.usize(..2)]));
                asked.after = Some((epoch, seq));
            }
            // Mostly the last one, as a client should; now and then one that was asked for before.
            let nth = if cx.random.u8(..8) == 0 { 0 } else { self.earlier.len().saturating_sub(1) };
            if let Some(earlier) = self.earlier.get(nth).filter(|_| cx.random.u8(..12) > 0) {
                query.push(format!("replaces={}", earlier.id));
                asked.replaces = Some((earlier.source, earlier.channel == channel));
            }
        }
        query.extend(self.settings.codes.best(channel).map(|code| format!("code={code}")));
        cx.random.shuffle(&mut query);
        let target = format!("{}?{}", http::path(CHANNELS[channel]), query.join("&"));
        let request = http::upgrade(&target, behaviour.resumes.then_some(SUBPROTOCOL));
        let mut line = Line::new(cx.connect(behaviour.link.clone()), behaviour.trickle);
        line.send(request.as_bytes());
        if behaviour.is_slow_reader(&cx.book.limits) {
            cx.book.note_slow_reader(channel);
        }
        let hears_own = behaviour.resumes || behaviour.echo.unwrap_or(self.settings.echo);
        let source = cx.book.add_source(cx.id, channel);
        let since = (asked.history.unwrap_or(self.settings.history) == 0).then_some(asked.mark);
        self.left.retain(Wire::is_at_server);
        let conduct = Conduct {
            from_address: self.left.len() + self.connections.len() + 1,
            life: cx.book.life,
            resumes: behaviour.resumes,
            is_prompt: behaviour.is_prompt,
            answers: behaviour.answers_pings && crate::clients::behaviour::is_quick(&behaviour.link, &cx.book.limits),
            channel,
            ..Conduct::default()
        };
        let leaves = (cx.now + around(cx.random, behaviour.stays), Behaviour::leave(cx.random));
        let found = Found::new(channel, (!hears_own).then_some(source), since);
        let mut connection = Connection::new(line, asked, conduct, found, leaves, cx.now);
        if let Some(talk) = &behaviour.talk {
            let mut talker = Talker::new(talk.clone(), source, channel, hears_own, cx.now);
            talker.again.append(&mut self.again);
            connection.talker = Some(talker);
        }
        ::log::debug!("client {} comes: {target}, {:?}, {:?}", cx.id, behaviour.link, behaviour.pace);
        self.connections.push(connection);
    }

    /// What comes of a hello: what was not taken is sent again.
    fn note_hello(&mut self, cx: &mut Context<'_>, at: usize) -> Result<(), String> {
        let connection = &mut self.connections[at];
        let Some(hello) = &connection.hello else { return Ok(()) };
        let source = connection.talker.as_ref().map_or(u32::MAX, |talker| talker.source);
        let id = hello.id.clone().unwrap_or_default();
        if self.earlier.iter().any(|earlier| earlier.id == id) {
            return Ok(());
        }
        if source != u32::MAX {
            cx.book.let_in(source);
        }
        let arrivals = cx.book.arrivals;
        let replaced = connection.asked.replaces;
        let its = replaced.and_then(|(source, _)| self.earlier.iter().find(|earlier| earlier.source == source));
        let comes_late = its.is_some_and(|its| arrivals - its.arrivals > REMEMBERED);
        hello.check_taken(cx, &connection.asked, connection.conduct.life, comes_late)?;
        if let (Some((source, true)), Some(taken), Some(talker)) = (replaced, hello.taken, &mut connection.talker) {
            let sent = cx.book.source(source).iter().skip(usize::try_from(taken).unwrap_or(usize::MAX));
            let again = sent.filter(|(_, sent)| (sent.bytes as usize) < AGAIN_MAX[1]);
            talker.again.extend(again.take(AGAIN_MAX[0]).map(|(_, sent)| (sent.bytes as usize, sent.style)));
        }
        let channel = connection.asked.channel;
        if source != u32::MAX {
            self.earlier.push(Earlier { id, source, channel, arrivals });
        }
        if self.earlier.len() > EARLIER_MAX {
            self.earlier.remove(0);
        }
        Ok(())
    }

    /// Leaves, as the connection was to.
    fn leave(&mut self, cx: &mut Context<'_>, at: usize) {
        let connection = &mut self.connections[at];
        let how = connection.leaves.1;
        match how {
            Leave::Goodbye => {
                let code = [None, Some(1000), Some(1001), Some(4000)][cx.random.usize(..4)];
                let mut close = Vec::new();
                let payload = code.map_or_else(Vec::new, |code: u16| code.to_be_bytes().to_vec());
                frames::put(&mut close, FIN | CLOSE, &payload, mask(cx.random));
                connection.line.send(&close);
                connection.conduct.has_left = Some(Goodbye(code));
            }
            Leave::HalfClose => {
                connection.line.wire.shut_down_writing();
                connection.conduct.is_broken = true;
            }
            Leave::Close => connection.line.wire.close(),
            Leave::Reset => connection.line.wire.reset(),
            Leave::Vanish => {
                connection.line.wire.vanish();
                if connection.is_in() && connection.talker.is_none() {
                    // Two heartbeats, and the sweeps before and behind them.
                    self.vanished.add(cx, &connection.line.wire, 6, self.behaviour.link.latency.end);
                }
            }
            Leave::ComesAgain => connection.conduct.is_replaced = true,
        }
        if connection.is_in() {
            self.after = connection.place().map(|(epoch, seq)| (connection.asked.channel, epoch, seq));
        }
        if matches!(how, Leave::Close | Leave::Reset | Leave::Vanish) {
            self.left.push(self.connections.remove(at).line.wire);
        }
        if how == Leave::ComesAgain {
            // At once, so that the old one is there.
            self.connect(cx);
        }
    }

    fn is_over(&mut self, cx: &mut Context<'_>, at: usize, how: How) -> Result<(), String> {
        let mut connection = self.connections.remove(at);
        // Its successor may be there.
        let from_address = connection.conduct.from_address + self.connections.len();
        let (channel, began) = (connection.asked.channel, connection.began);
        connection.conduct.may_be_full = cx.may_be_full(channel, began, from_address);
        self.left.push(connection.line.wire.clone());
        if let Some(place) = connection.place() {
            if at == self.connections.len() {
                self.after = Some((connection.asked.channel, place.0, place.1));
            }
        }
        connection.line.wire.close();
        if verdict::reason(how, &connection.conduct, cx.book, cx.now).is_none() {
            return Err(format!(
                "dropped: client {} ({}) was {how:?} at {:?}, having come at {:?}, and there was no reason ({:?})",
                cx.id, self.name, cx.now, connection.began, connection.conduct
            ));
        }
        Ok(())
    }

    fn step_connections(&mut self, cx: &mut Context<'_>, wakes: &mut Vec<Duration>) -> Result<(), String> {
        let mut at = 0;
        while at < self.connections.len() {
            let before = self.connections.len();
            let had_hello = self.connections[at].hello.is_some();
            let over = self.connections[at].step(cx, &self.behaviour, &self.settings, wakes)?;
            if !had_hello && self.connections[at].hello.is_some() {
                self.note_hello(cx, at)?;
            }
            if let Some(how) = over {
                self.is_over(cx, at, how)?;
                continue;
            }
            let connection = &self.connections[at];
            let has_gone = connection.conduct.has_left.is_some() || connection.conduct.is_broken;
            let is_last = at + 1 == before;
            if !has_gone && cx.is_leaving() {
                self.connections[at].leaves = (cx.now, Leave::Goodbye);
                self.leave(cx, at);
                wakes.push(cx.now + Duration::from_micros(1));
            } else if is_last && !has_gone && cx.now >= connection.leaves.0 {
                self.leave(cx, at);
                if self.connections.len() < before {
                    continue;
                }
            } else if is_last && !has_gone {
                wakes.push(connection.leaves.0);
            }
            at += 1;
        }
        Ok(())
    }
}

impl Actor for Participant {
    fn step(&mut self, cx: &mut Context<'_>) {
        let mut wakes = Vec::new();
        let was_there = !self.connections.is_empty();
        let are_gone = self.vanished.check(cx, &mut wakes);
        if let Err(what) = are_gone.and_then(|()| self.step_connections(cx, &mut wakes)) {
            self.connections.clear();
            return cx.contradiction(what);
        }
        if was_there && self.connections.is_empty() {
            self.comes_at = cx.now + around(cx.random, self.behaviour.away);
            if cx.random.u8(..30) == 0 {
                self.channel = cx.random.usize(..CHANNELS.len());
            }
        }
        if self.connections.is_empty() && cx.server_is_up() && !cx.is_leaving() {
            if cx.now >= self.comes_at {
                self.connect(cx);
                wakes.extend(self.connections.last().map(|connection| connection.leaves.0));
            } else {
                wakes.push(self.comes_at);
            }
        }
        cx.wake_at_first(wakes);
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
