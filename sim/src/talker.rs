//! The simplest client: a WebSocket that sends now and then and counts what it is sent.
//!
//! Leaves all that needs a model to `clients`; this one measures how fast the simulator is, and tries it. What must stay true: it says what
//! it has seen exactly, and nothing of what it ought to have seen.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::actor::{Actor, Context};
use crate::net::link::Link;
use crate::net::wire::{Wire, WireState};

/// What all talkers have seen together.
#[derive(Debug, Default)]
pub struct Seen {
    /// Messages that were sent.
    pub sent: Cell<u64>,
    /// Messages that have come.
    pub got: Cell<u64>,
    /// The bytes of their payloads, in one number.
    pub sum: Cell<u64>,
    /// Connections that were opened.
    pub opened: Cell<u64>,
}

/// A WebSocket that sends every so often.
#[derive(Debug)]
pub struct Talker {
    every: Option<Duration>,
    last_at: Duration,
    message: Vec<u8>,
    wire: Option<Wire>,
    is_open: bool,
    buffer: Vec<u8>,
    seen: Rc<Seen>,
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 10.255.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// How much is received at a time.
const RECEIVED_BYTES_MAX: usize = 64 * 1024;

impl Talker {
    /// One that sends this every so often, or never.
    pub fn new(every: Option<Duration>, message: &[u8], seen: &Rc<Seen>) -> Self {
        Self {
            every,
            last_at: Duration::ZERO,
            message: message.to_vec(),
            wire: None,
            is_open: false,
            buffer: Vec::new(),
            seen: Rc::clone(seen),
        }
    }

    fn send(wire: &Wire, opcode: u8, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 8);
        let len = u8::try_from(payload.len()).expect("short messages only");
        assert!(len < 126, "short messages only");
        // Masked with zeros, so as it is.
        frame.extend_from_slice(&[0x80 | opcode, 0x80 | len, 0, 0, 0, 0]);
        frame.extend_from_slice(payload);
        wire.send(&frame);
    }

    fn read(&mut self, wire: &Wire) {
        wire.receive(&mut self.buffer, RECEIVED_BYTES_MAX);
        let mut read = 0;
        if !self.is_open {
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            self.is_open = true;
            self.seen.opened.set(self.seen.opened.get() + 1);
            read = end + 4;
        }
        while let [first, second, rest @ ..] = &self.buffer[read..] {
            let len = usize::from(second & 0x7f);
            if len >= 126 || rest.len() < len {
                break;
            }
            let payload = &rest[..len];
            match first & 0x0f {
                1 if payload.starts_with(&self.message[..1]) => {
                    self.seen.got.set(self.seen.got.get() + 1);
                    let sum = payload
                        .iter()
                        .fold(self.seen.sum.get(), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
                    self.seen.sum.set(sum);
                }
                9 => Self::send(wire, 10, payload),
                _ => {}
            }
            read += 2 + len;
        }
        self.buffer.drain(..read);
    }
}

impl Actor for Talker {
    fn step(&mut self, cx: &mut Context<'_>) {
        if cx.is_leaving() {
            if let Some(wire) = self.wire.take() {
                wire.close();
            }
            return;
        }
        let Some(wire) = self.wire.clone() else {
            if cx.server_is_up() {
                let wire = cx.connect(Link { short_one_in: 0, ..Link::default() });
                wire.send(REQUEST);
                self.wire = Some(wire);
                (self.is_open, self.last_at) = (false, cx.now);
                self.buffer.clear();
            }
            return;
        };
        self.read(&wire);
        if matches!(wire.state(), WireState::Ended | WireState::Reset | WireState::Refused) {
            self.wire = None;
            wire.close();
            let pause = Duration::from_millis(cx.random.u64(1..500));
            cx.wake_at(cx.now + pause);
            return;
        }
        let Some(every) = self.every.filter(|_| self.is_open) else { return };
        if cx.now >= self.last_at + every {
            self.last_at = cx.now;
            self.seen.sent.set(self.seen.sent.get() + 1);
            Self::send(&wire, 1, &self.message);
        }
        cx.wake_at(self.last_at + every);
    }

    fn name(&self) -> String {
        format!("a talker, every {:?}", self.every)
    }
}
