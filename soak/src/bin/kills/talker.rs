//! Clients of `foghorn.v1`: they count what they get, and those who write keep what is not confirmed, and send it again by what the server says
//! that it has taken.
//!
//! What must stay true: what was confirmed is not sent again, so that a message which is lost all the same is missing in the end.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use soak::message::Name;
use soak::told::Told;
use soak::wire::{Broken, TIMEOUT, join, next, next_soon};
use socket2::SockRef;
use tungstenite::WebSocket;
use tungstenite::protocol::Message;

use crate::round::{CHANNELS, Reader};

/// Pings that may be without their pongs.
const PINGS_MAX: usize = 4;

/// How long somebody who comes only now and then is away, at most.
const SLEEP_MILLIS: u64 = 4000;

/// How long a writer says nothing now and then, at most: both segments of a short log turn meanwhile.
const SILENCE_MILLIS: u64 = 3000;

/// How a writer learns that a message is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Echo,
    Pong,
    Both,
}

/// One client.
pub struct Talker<'a> {
    reader: Reader<'a>,
    writes: Option<Writes>,
    /// Whether it comes only now and then.
    sleeps: bool,
    /// Until when it says nothing, so that the log goes on without it.
    silent_until: Instant,
    rng: Rng,
}

/// What a client has said.
struct Writes {
    writer: u32,
    proof: Proof,
    /// How many messages it has made.
    made: u32,
    unconfirmed: VecDeque<u32>,
    last: Option<Connection>,
    is_done: bool,
}

/// The last connection on which it was greeted.
struct Connection {
    id: String,
    /// How many messages it has sent on it, how many of these were confirmed, and what told that last.
    sent: u64,
    confirmed: u64,
    told: Told,
    pings: usize,
}

impl<'a> Talker<'a> {
    /// One that only listens.
    pub fn listening(reader: Reader<'a>, rng: Rng) -> Self {
        Self { reader, writes: None, sleeps: false, silent_until: Instant::now(), rng }
    }

    /// One that writes, too, under this number.
    pub fn writing(reader: Reader<'a>, number: u32, proof: Proof, rng: Rng) -> Self {
        reader.round.busy.fetch_add(1, Relaxed);
        let writes =
            Writes { writer: number, proof, made: 0, unconfirmed: VecDeque::new(), last: None, is_done: false };
        Self { reader, writes: Some(writes), sleeps: false, silent_until: Instant::now(), rng }
    }

    /// The same for one that comes only now and then, and sleeps over kills.
    pub fn sleeping(self) -> Self {
        Self { sleeps: true, ..self }
    }

    /// Works until the round is over. Returns how many messages it has sent.
    pub fn run(mut self) -> Result<u32, String> {
        while !self.reader.round.is_over() {
            if let Some(sentence) = self.connection().err().and_then(Broken::sentence) {
                return Err(sentence);
            }
            // When all want to go home, nobody sleeps.
            let until = Instant::now() + Duration::from_millis(self.rng.u64(..SLEEP_MILLIS));
            while self.sleeps && self.reader.round.is_loaded() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(self.writes.map_or(0, |writes| writes.made))
    }

    /// From connecting to the end of the connection.
    fn connection(&mut self) -> Result<(), Broken> {
        let since = self.reader.round.book.mark(self.reader.channel);
        let last = self.writes.as_ref().and_then(|writes| writes.last.as_ref());
        let replaces = last.map(|last| format!("replaces={}", last.id));
        let after = self.reader.after().map(|after| format!("after={after}"));
        let query: Vec<_> = replaces.iter().cloned().chain(after).collect();
        let path = format!("{}?{}", CHANNELS[self.reader.channel], query.join("&"));
        let mut socket = join(self.reader.round.address(&mut self.rng), &path, true, TIMEOUT)?;
        let hello = next(&mut socket)?;
        let hello: Value = match hello.to_text().map(serde_json::from_str) {
            Ok(Ok(hello)) => hello,
            _ => return Err(Broken::Wrong(format!("{hello:?} is no hello"))),
        };
        self.note_hello(&hello)?;
        self.reader.greet(&hello, &since, "a hello")?;
        // What was not taken goes out again before anything else.
        let again = self.writes.as_ref().map(|writes| writes.unconfirmed.clone()).unwrap_or_default();
        for nth in again {
            self.send(&mut socket, nth)?;
        }
        while !self.reader.round.is_over() {
            self.speak(&mut socket)?;
            self.listen(&mut socket)?;
            self.note_done();
            if self.rng.u16(..if self.sleeps { 150 } else { 2000 }) == 0 {
                return self.break_off(socket);
            }
        }
        Ok(())
    }

    /// What the hello says of this connection, and of the one before.
    fn note_hello(&mut self, hello: &Value) -> Result<(), Broken> {
        let told = self.reader.told("a hello");
        let book = &self.reader.round.book;
        let id = hello["id"].as_str().unwrap_or_default().to_owned();
        book.id(&id, told)?;
        let Some(writes) = &mut self.writes else { return Ok(()) };
        if let Some(last) = &writes.last {
            let Connection { sent, confirmed, .. } = last;
            let taken = match hello["taken"].as_u64() {
                Some(taken) if (*confirmed..=*sent).contains(&taken) => taken,
                _ => {
                    return Err(Broken::Wrong(format!(
                        "channel {}, writer {}: of {sent} messages on its last connection {confirmed} were confirmed ({}), and {} are \
                         taken ({told})",
                        self.reader.channel, writes.writer, last.told, hello["taken"]
                    )));
                }
            };
            book.note_ended(self.reader.channel, &last.id, taken, told);
            for _ in *confirmed..taken {
                writes.unconfirmed.pop_front();
            }
        }
        writes.last = Some(Connection { id, sent: 0, confirmed: 0, told, pings: 0 });
        Ok(())
    }

    /// Says some more, if that is wanted and there is room.
    fn speak(&mut self, socket: &mut WebSocket<TcpStream>) -> Result<(), Broken> {
        let round = self.reader.round;
        if self.writes.is_none() {
            return Ok(());
        }
        if self.rng.u8(..150) == 0 {
            self.silent_until = Instant::now() + Duration::from_millis(self.rng.u64(..SILENCE_MILLIS));
        }
        let wants = if Instant::now() < self.silent_until { 0 } else { self.rng.u8(..6) };
        for _ in 0..wants {
            let Some(writes) = &mut self.writes else { return Ok(()) };
            let is_full = writes.unconfirmed.len() >= round.unconfirmed_max;
            if is_full || !round.is_loaded() || !round.book.has_room(self.reader.channel) {
                break;
            }
            writes.made += 1;
            let nth = writes.made;
            writes.unconfirmed.push_back(nth);
            self.send(socket, nth)?;
        }
        let Some(Writes { proof, last: Some(last), unconfirmed, .. }) = &mut self.writes else { return Ok(()) };
        let wants_pong = *proof != Proof::Echo && !unconfirmed.is_empty() && last.pings < PINGS_MAX;
        if wants_pong && self.rng.u8(..3) == 0 {
            last.pings += 1;
            let count = last.sent.to_string();
            sent(socket.send(Message::Ping(count.into())))?;
        }
        Ok(())
    }

    fn send(&mut self, socket: &mut WebSocket<TcpStream>, nth: u32) -> Result<(), Broken> {
        let Some(Writes { writer, last: Some(last), .. }) = &mut self.writes else { return Ok(()) };
        let name = Name { writer: *writer, nth };
        last.sent += 1;
        let text = name.text();
        sent(socket.send(if name.is_binary() { Message::binary(text.into_bytes()) } else { Message::text(text) }))
    }

    /// Takes what has come.
    fn listen(&mut self, socket: &mut WebSocket<TcpStream>) -> Result<(), Broken> {
        for _ in 0..200 {
            let Some(message) = next_soon(socket)? else { return Ok(()) };
            if let Message::Pong(payload) = &message {
                let count = std::str::from_utf8(payload).ok().and_then(|count| count.parse().ok());
                let told = self.reader.told("a pong");
                self.note_pong(count.ok_or_else(|| Broken::Wrong(format!("{told}: nobody has asked for it")))?, told)?;
            }
            if !message.is_text() && !message.is_binary() {
                continue;
            }
            let is_binary = message.is_binary();
            let (name, _) = self.reader.take(&message.into_data(), is_binary, "a frame")?;
            self.note_echo(name)?;
        }
        Ok(())
    }

    fn note_pong(&mut self, count: u64, told: Told) -> Result<(), Broken> {
        let Some(Writes { last: Some(last), unconfirmed, .. }) = &mut self.writes else { return Ok(()) };
        last.pings = last.pings.saturating_sub(1);
        if count > last.sent {
            return Err(Broken::Wrong(format!("{told}: a ping behind {count} messages, of {}", last.sent)));
        }
        while last.confirmed < count {
            unconfirmed.pop_front();
            (last.confirmed, last.told) = (last.confirmed + 1, told);
        }
        Ok(())
    }

    fn note_echo(&mut self, name: Name) -> Result<(), Broken> {
        let told = self.reader.told("its own message");
        let Some(Writes { writer, proof, last: Some(last), unconfirmed, .. }) = &mut self.writes else { return Ok(()) };
        let Some(front) = unconfirmed.front().copied().filter(|_| *writer == name.writer) else { return Ok(()) };
        if *proof == Proof::Pong {
            return Ok(());
        }
        if name.nth > front {
            return Err(Broken::Wrong(format!("{told}: {name} comes before its message {front}")));
        }
        // One that was confirmed already comes when it comes.
        if name.nth == front {
            unconfirmed.pop_front();
            (last.confirmed, last.told) = (last.confirmed + 1, told);
        }
        Ok(())
    }

    /// Breaks off by itself, in one of the ways in which phones do.
    fn break_off(&mut self, mut socket: WebSocket<TcpStream>) -> Result<(), Broken> {
        match self.rng.u8(..3) {
            0 => {
                let _ = socket.close(None);
            }
            1 => SockRef::from(socket.get_ref()).set_linger(Some(Duration::ZERO))?,
            _ => {}
        }
        drop(socket);
        thread::sleep(Duration::from_millis(self.rng.u64(..30)));
        Ok(())
    }

    /// Nothing new is wanted, and all that it has said is confirmed.
    fn note_done(&mut self) {
        let Some(writes) = self.writes.as_mut().filter(|writes| !writes.is_done) else { return };
        if !self.reader.round.is_loaded() && writes.unconfirmed.is_empty() {
            writes.is_done = true;
            self.reader.round.busy.fetch_sub(1, Relaxed);
        }
    }
}

fn sent(result: Result<(), tungstenite::Error>) -> Result<(), Broken> {
    match result {
        Ok(()) => Ok(()),
        Err(tungstenite::Error::Io(error)) => match Broken::from(error) {
            Broken::Silent => {
                Err(Broken::Wrong(format!("a message was not taken for {} s, although all read", TIMEOUT.as_secs())))
            }
            broken => Err(broken),
        },
        Err(_) => Err(Broken::Gone),
    }
}
