//! One WebSocket of a client, from its request to its end: reads as the client likes, answers pings, hands messages on.
//!
//! Leaves to `participant` when another one follows. What must stay true: every byte of the server is read as what it has to be at this place.

use std::time::Duration;

use crate::actor::Context;
use crate::book::telling::Told;
use crate::clients::behaviour::{Behaviour, Leave};
use crate::clients::frames::{self, BINARY, CLOSE, FIN, Frame, PING, PONG, TEXT};
use crate::clients::hearing::{Counted, Found};
use crate::clients::hello::{Asked, Hello, Settings};
use crate::clients::http::{Head, KEY};
use crate::clients::line::Line;
use crate::clients::pace::Pacing;
use crate::clients::talking::{Talker, mask};
use crate::clients::verdict::{Conduct, How};
use crate::net::wire::WireState;

/// The sub-protocol of clients that count.
pub const SUBPROTOCOL: &str = "foghorn.v1";
/// How soon it is looked again whether others were told of a message first, or a disk has taken it.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a client waits for its goodbye to be answered.
const GOODBYE: Duration = Duration::from_secs(60);

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The answer to its request has not come.
    Upgrading,
    /// The greeting or the hello has not come.
    Greeting,
    /// It is in.
    In,
    /// A Close frame has come.
    Closed(Option<u16>),
}

/// How it knows its place.
#[derive(Debug)]
pub(super) enum Hearing {
    /// By counting.
    Counted(Counted),
    /// By what the messages say.
    Found(Found),
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    /// Its bytes.
    pub line: Line,
    /// What it has asked for.
    pub asked: Asked,
    /// What it is judged by when it ends.
    pub conduct: Conduct,
    /// The sending side.
    pub talker: Option<Talker>,
    /// What the hello has said.
    pub hello: Option<Hello>,
    /// When it leaves, and how.
    pub leaves: (Duration, Leave),
    /// When it began.
    pub began: Duration,
    stage: Stage,
    pub(super) hearing: Hearing,
    pub(super) is_start_open: bool,
    pacing: Pacing,
    pub(super) last_sent: Duration,
    /// Until when the server may have had a reason not to read from it.
    pub(super) unread_until: Duration,
}

impl Connection {
    /// One whose request was just sent.
    pub fn new(
        line: Line,
        asked: Asked,
        conduct: Conduct,
        found: Found,
        leaves: (Duration, Leave),
        now: Duration,
    ) -> Self {
        Self {
            line,
            asked,
            conduct,
            talker: None,
            hello: None,
            leaves,
            began: now,
            stage: Stage::Upgrading,
            hearing: Hearing::Found(found),
            is_start_open: false,
            pacing: Pacing::new(now),
            last_sent: now,
            unread_until: now,
        }
    }

    /// Where it would go on: behind the last message that it has.
    pub fn place(&self) -> Option<(usize, u64)> {
        match &self.hearing {
            Hearing::Counted(counted) if self.hello.is_some() => Some((counted.epoch, counted.next - 1)),
            _ => None,
        }
    }

    /// Whether the hello or the greeting has come, and no Close frame.
    pub fn is_in(&self) -> bool {
        self.stage == Stage::In
    }

    /// Does what is due. `Some`: it is over. `wakes` gets when something else is due.
    ///
    /// # Errors
    /// What was seen that cannot be.
    pub fn step(
        &mut self,
        cx: &mut Context<'_>,
        behaviour: &Behaviour,
        settings: &Settings,
        wakes: &mut Vec<Duration>,
    ) -> Result<Option<How>, String> {
        self.conduct.was_hit |= self.line.wire.is_disturbed();
        self.read(cx, behaviour, settings, wakes)?;
        self.check_start(cx)?;
        self.check_patience(cx, behaviour)?;
        if let Some(status) = self.refused() {
            return Ok(Some(How::Status(status)));
        }
        let state = self.line.state();
        if matches!(state, WireState::Ended | WireState::Reset | WireState::Refused) {
            return Ok(Some(match (self.stage, state) {
                (Stage::Closed(code), _) => How::Closed(code),
                (_, WireState::Ended) => How::Ended,
                _ => How::Reset,
            }));
        }
        if self.conduct.has_left.is_some() || self.conduct.is_broken {
            wakes.push(self.leaves.0 + GOODBYE);
            if cx.now >= self.leaves.0 + GOODBYE {
                self.line.wire.reset();
                return Ok(Some(How::Reset));
            }
        } else if self.is_in() {
            if let Some(talker) = &mut self.talker {
                wakes.push(talker.talk(cx, &mut self.line));
                self.check_wait(cx)?;
            }
        }
        wakes.extend(self.line.trickle(cx.now));
        if self.line.unsent_bytes() > 0 {
            self.last_sent = cx.now;
        }
        self.check_silence(cx, behaviour, wakes)?;
        Ok(None)
    }

    /// The status, if the request was refused.
    fn refused(&self) -> Option<u16> {
        if self.stage != Stage::Upgrading {
            return None;
        }
        let head = Head::parse(self.line.unread()).ok()??;
        (head.status != 101).then_some(head.status)
    }

    fn read(
        &mut self,
        cx: &mut Context<'_>,
        behaviour: &Behaviour,
        settings: &Settings,
        wakes: &mut Vec<Duration>,
    ) -> Result<(), String> {
        self.pacing.read(behaviour.pace, &mut self.line, cx.now, wakes);
        if let Hearing::Found(found) = &mut self.hearing {
            if found.is_waiting() {
                found.retry(cx.book, Told { by: cx.id, at: cx.now })?;
                wakes.push(cx.now + LOOK_AGAIN);
            }
        }
        if self.stage == Stage::Upgrading && !self.upgrade(settings, cx.now)? {
            return Ok(());
        }
        let told = Told { by: cx.id, at: cx.now };
        while let Some(frame) = frames::next(self.line.unread())? {
            let bytes = self.line.unread();
            if bytes.len() < frame.bytes {
                break;
            }
            if matches!(self.stage, Stage::Closed(_)) {
                return Err(format!(
                    "close: a frame behind the Close frame ({frame:?}, client {} at {:?})",
                    cx.id, cx.now
                ));
            }
            if self.stage == Stage::In && frame.opcode <= BINARY {
                let bytes = &bytes[..frame.bytes];
                match &mut self.hearing {
                    Hearing::Counted(counted) => counted.hear(cx.book, bytes, frame.head_bytes, told)?,
                    Hearing::Found(found) => found.hear(cx.book, bytes, frame.head_bytes, told)?,
                }
            } else {
                let payload = bytes[frame.head_bytes..frame.bytes].to_vec();
                self.take(cx, behaviour, settings, frame, &payload)?;
            }
            self.line.consume(frame.bytes);
        }
        Ok(())
    }

    /// Reads the answer to the request. False: it has not come.
    fn upgrade(&mut self, settings: &Settings, now: Duration) -> Result<bool, String> {
        let Some(head) = Head::parse(self.line.unread())? else { return Ok(false) };
        if head.status != 101 {
            return Ok(false);
        }
        let protocol = self.conduct.resumes.then_some(SUBPROTOCOL);
        if head.get("sec-websocket-accept") != Some(KEY[1]) || head.get("sec-websocket-protocol") != protocol {
            return Err(format!("handshake: the answer is {head:?}"));
        }
        self.line.consume(head.bytes);
        let is_greeted = self.conduct.resumes || !settings.greeting.is_empty();
        self.stage = if is_greeted { Stage::Greeting } else { Stage::In };
        self.conduct.is_in = !is_greeted;
        // It may have been accepted late.
        self.last_sent = now;
        Ok(true)
    }

    /// A frame that is no message.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        behaviour: &Behaviour,
        settings: &Settings,
        frame: Frame,
        payload: &[u8],
    ) -> Result<(), String> {
        match frame.opcode {
            PING if behaviour.answers_pings && !self.conduct.is_broken && self.conduct.has_left.is_none() => {
                let mut pong = Vec::new();
                frames::put(&mut pong, FIN | PONG, payload, mask(cx.random));
                self.line.send(&pong);
                self.last_sent = cx.now;
            }
            PING => {}
            PONG => {
                if let Some(talker) = &mut self.talker {
                    talker.pong(cx, payload).map_err(|why| format!("{why} (client {} at {:?})", cx.id, cx.now))?;
                }
            }
            CLOSE => {
                let code = frames::close_code(payload);
                self.stage = Stage::Closed(code);
                if self.conduct.has_left.is_none() && !self.conduct.is_broken {
                    let mut close = Vec::new();
                    frames::put(&mut close, FIN | CLOSE, payload, mask(cx.random));
                    self.line.send(&close);
                }
            }
            TEXT if self.stage == Stage::Greeting => self.greet(cx, settings, payload)?,
            _ => {
                return Err(format!(
                    "frame: {frame:?} comes in place of the greeting (client {} at {:?})",
                    cx.id, cx.now
                ));
            }
        }
        Ok(())
    }

    fn greet(&mut self, cx: &mut Context<'_>, settings: &Settings, text: &[u8]) -> Result<(), String> {
        self.stage = Stage::In;
        self.conduct.is_in = true;
        if !self.conduct.resumes {
            let is_right = text == settings.greeting.as_bytes();
            let shown = String::from_utf8_lossy(&text[..text.len().min(80)]);
            return if is_right {
                Ok(())
            } else {
                Err(format!("greeting: it is {shown:?} (client {} at {:?})", cx.id, cx.now))
            };
        }
        let hello = Hello::read(cx, text, &self.asked, settings)?;
        let Some(id) = hello.id.clone().filter(|id| id.len() == 16) else {
            return Err(format!("hello: it has no id (client {} at {:?})", cx.id, cx.now));
        };
        cx.book.join(&id, cx.id, cx.now)?;
        let crate::book::starting::Start { channel, epoch, seq, .. } = hello.start;
        self.hearing = Hearing::Counted(Counted { channel, epoch, next: seq + 1 });
        self.hello = Some(hello);
        self.is_start_open = true;
        Ok(())
    }
}
