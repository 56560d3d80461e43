//! One attempt of who tries codes: how a code is brought, and how the answer to that is read.
//!
//! Leaves to `guesser` what the answer has to be. What must stay true: an answer that is not whole is none yet, and nothing is published by an attempt.

use data_encoding::BASE64;
use fastrand::Rng;
use serde_json::Value;

use crate::book::CHANNELS;
use crate::clients::connection::SUBPROTOCOL;
use crate::clients::frames::{self, CLOSE, FIN, TEXT};
use crate::clients::http::{self, Head};
use crate::clients::line::Line;
use crate::clients::talking::mask;
use crate::codes::Right;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `?last`.
    Last,
    /// `?status`.
    Status,
    /// A post, which must not be let in.
    Post,
    /// A stream of JSON.
    Json,
    /// A stream of events, as a browser's.
    Events,
    /// A WebSocket that asks for nothing.
    Plain,
    /// One with `foghorn.v1`.
    Resuming,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is let in; with this right, where it is said.
    In(Option<Right>),
    /// It is refused with this status.
    Status(u16),
    /// It is let in and closed with this code.
    Ends(u16),
    /// A browser is told to come back.
    Retry,
}

/// A code, and how it is brought, as it stands in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// In the address.
    Query(&'static str),
    /// As a password.
    Basic(&'static str),
    /// As a token.
    Bearer(&'static str),
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What is asked for.
    pub kind: Kind,
    /// Of which channel.
    pub channel: usize,
    /// What is brought.
    pub brought: Option<Brought>,
    /// The connection that it replaces.
    pub replaces: Option<String>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// What the hello has said.
    pub hello: Option<(Right, String)>,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Last, Self::Status, Self::Post, Self::Json, Self::Events, Self::Plain, Self::Resuming];

    /// Whether it is a WebSocket, which may do more with more.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Plain | Self::Resuming)
    }

    /// How one is refused that would be refused with this status.
    pub fn refuses(self, status: u16) -> Answer {
        match self {
            Self::Resuming => Answer::Ends(4000 + status),
            Self::Events if status == 429 => Answer::Retry,
            _ => Answer::Status(status),
        }
    }
}

impl Answer {
    /// Whether this is what was expected; not each answer says what right it gives.
    pub fn allows(self, answer: Self) -> bool {
        self == answer || matches!((self, answer), (Self::In(_), Self::In(None)))
    }
}

impl Brought {
    /// The code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Query(code) | Self::Basic(code) | Self::Bearer(code) => code,
        }
    }

    /// Whether a proxy may have put it there.
    pub fn is_header(self) -> bool {
        !matches!(self, Self::Query(_))
    }
}

impl Attempt {
    /// One that was not begun.
    pub fn new(kind: Kind, channel: usize, brought: Option<Brought>, replaces: Option<String>) -> Self {
        Self { kind, channel, brought, replaces, status: None, hello: None }
    }

    /// What is sent.
    pub fn request(&self) -> Vec<u8> {
        let mut query: Vec<String> = match self.kind {
            Kind::Last => vec!["last".into()],
            Kind::Status => vec!["status".into()],
            Kind::Json => vec!["as=json".into(), "history=0".into()],
            Kind::Events => vec!["as=events".into(), "history=0".into()],
            Kind::Post => Vec::new(),
            Kind::Plain | Kind::Resuming => vec!["history=0".into()],
        };
        query.extend(self.replaces.iter().map(|id| format!("replaces={id}")));
        let header = match self.brought {
            Some(Brought::Query(code)) => {
                query.push(format!("code={code}"));
                None
            }
            Some(Brought::Basic(code)) => Some(format!("Basic {}", BASE64.encode(format!("who:{code}").as_bytes()))),
            Some(Brought::Bearer(code)) => Some(format!("Bearer {code}")),
            None => None,
        };
        let target = format!("{}?{}", http::path(CHANNELS[self.channel]), query.join("&"));
        let mut lines: Vec<(&str, &str)> = header.iter().map(|value| ("Authorization", value.as_str())).collect();
        match self.kind {
            Kind::Plain => http::upgrade_with(&target, None, &lines),
            Kind::Resuming => http::upgrade_with(&target, Some(SUBPROTOCOL), &lines),
            Kind::Post => {
                lines.push(("Content-Length", "2"));
                http::request("POST", &target, &lines) + "no"
            }
            _ => http::request("GET", &target, &lines),
        }
        .into_bytes()
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// If it is no answer.
    pub fn answer(&mut self, line: &mut Line) -> Result<Option<Answer>, String> {
        if self.status.is_none() {
            let Some(head) = Head::parse(line.unread())? else { return Ok(None) };
            let rest = head.get("retry-after").and_then(|rest| rest.parse::<u64>().ok());
            if head.status == 429 && !rest.is_some_and(|rest| (1..=60).contains(&rest)) {
                return Err(format!("code: 429 for {rest:?} s: {head:?}"));
            }
            if head.status == 401 && head.get("www-authenticate") != Some("Bearer") {
                return Err(format!("code: 401 without the way to bring one: {head:?}"));
            }
            self.status = Some(head.status);
            line.consume(head.bytes);
        }
        let status = self.status.unwrap_or_default();
        match (self.kind, status) {
            (Kind::Plain | Kind::Resuming, 101) => self.frames(line),
            (Kind::Events, 200) => {
                let bytes = line.unread();
                let is = |sign: &[u8]| bytes.starts_with(sign);
                Ok(if is(b"retry: 5000\n\n") {
                    Some(Answer::Retry)
                } else {
                    is(b"event: hello\n").then_some(Answer::In(None))
                })
            }
            (_, 200 | 204) => Ok(Some(Answer::In(None))),
            _ => Ok(Some(Answer::Status(status))),
        }
    }

    /// Reads frames as far as they are there: the hello, and the end.
    fn frames(&mut self, line: &mut Line) -> Result<Option<Answer>, String> {
        while let Some(frame) = frames::next(line.unread())?.filter(|frame| frame.bytes <= line.unread().len()) {
            let payload = line.unread()[frame.head_bytes..frame.bytes].to_vec();
            line.consume(frame.bytes);
            if frame.opcode == CLOSE {
                return Ok(Some(Answer::Ends(frames::close_code(&payload).unwrap_or(1005))));
            }
            if self.kind == Kind::Resuming && self.hello.is_none() && frame.opcode == TEXT {
                let json: Value = serde_json::from_slice(&payload).map_err(|error| format!("code: hello: {error}"))?;
                let (Some(may_send), Some(id)) = (json["send"].as_bool(), json["id"].as_str()) else {
                    return Err(format!("code: the hello is {json}"));
                };
                let right = if may_send { Right::Send } else { Right::Receive };
                self.hello = Some((right, id.to_owned()));
            }
        }
        Ok(match (&self.hello, self.kind) {
            (None, Kind::Resuming) => None,
            (hello, _) => Some(Answer::In(hello.as_ref().map(|(right, _)| *right))),
        })
    }

    /// Sends a message, which must not get anywhere.
    pub fn say_something(line: &mut Line, random: &mut Rng) {
        let mut message = Vec::new();
        frames::put(&mut message, FIN | TEXT, b"no", mask(random));
        line.send(&message);
    }
}
