//! Clients of `foghorn.v1`: they count what they get, come back at any board, and those who write keep what is not confirmed, and send it again by
//! what the server says that it has taken.
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
use soak::wire::{Broken, join, next, next_soon};
use socket2::SockRef;
use tungstenite::WebSocket;
use tungstenite::protocol::Message;

use crate::book::now_micros;
use crate::reader::Reader;
use crate::round::{CHANNELS, PATIENCE};

/// Pings that may be without their pongs.
const PINGS_MAX: usize = 4;
/// How long somebody who comes only now and then is away, at most.
const SLEEP_MILLIS: u64 = 4000;

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
    /// When it began, in microseconds since 1970.
    began: u64,
    /// How many messages it has sent on it, how many of these were confirmed, and what told that last.
    sent: u64,
    confirmed: u64,
    told: Told,
    pings: usize,
}

impl<'a> Talker<'a> {
    /// One that only listens.
    pub fn listening(reader: Reader<'a>) -> Self {
        Self { reader, writes: None, sleeps: false }
    }

    /// One that writes, too, under this number.
    pub fn writing(reader: Reader<'a>, number: u32, proof: Proof) -> Self {
        reader.round.busy.fetch_add(1, Relaxed);
        let writes =
            Writes { writer: number, proof, made: 0, unconfirmed: VecDeque::new(), last: None, is_done: false };
        Self { reader, writes: Some(writes), sleeps: false }
    }

    /// The same for one that comes only now and then.
    pub fn sleeping(self) -> Self {
        Self { sleeps: true, ..self }
    }

    /// Works until the round is over.
    pub fn run(mut self, mut rng: Rng) -> Result<(), String> {
        let round = self.reader.round;
        round.come_again(&mut rng, |rng| {
            let ended = self.connection(rng);
            // When all want to go home, nobody sleeps.
            let until = Instant::now() + Duration::from_millis(rng.u64(..SLEEP_MILLIS));
            while self.sleeps && self.reader.round.is_loaded() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
            ended
        })
    }

    /// From connecting to the end of the connection.
    fn connection(&mut self, rng: &mut Rng) -> Result<(), Broken> {
        let since = self.reader.choose_board(rng);
        let last = self.writes.as_ref().and_then(|writes| writes.last.as_ref());
        let replaces = last.map(|last| format!("replaces={}", last.id));
        let after = self.reader.after().map(|after| format!("after={after}"));
        let query: Vec<_> = replaces.iter().cloned().chain(after).collect();
        let path = format!("{}?{}", CHANNELS[self.reader.channel], query.join("&"));
        let mut socket = join(self.reader.round.address(self.reader.board, rng), &path, true, PATIENCE)?;
        let who = self.reader.who;
        let from = format!("{} {} at board {}: {path}", who.0, who.1, self.reader.board);
        let hello = next(&mut socket).inspect_err(|broken| {
            self.reader.round.book.write_down(&format_args!("{from}: no hello ({broken:?})"));
        })?;
        self.reader.round.book.write_down(&format_args!("{from}: {hello}"));
        let hello: Value = match hello.to_text().map(serde_json::from_str) {
            Ok(Ok(hello)) => hello,
            _ => return self.reader.wrong("a hello", &format!("{hello:?} is none")),
        };
        self.note_hello(&hello)?;
        self.reader.greet(&hello, &since, "a hello")?;
        // What was not taken goes out again before anything else.
        let again = self.writes.as_ref().map(|writes| writes.unconfirmed.clone()).unwrap_or_default();
        for nth in again {
            self.send(&mut socket, nth)?;
        }
        let mut heard = Instant::now();
        while !self.reader.round.is_over() {
            self.speak(&mut socket, rng)?;
            if self.listen(&mut socket)? {
                heard = Instant::now();
            }
            self.note_done();
            let waits = self.writes.as_ref().is_some_and(|writes| !writes.unconfirmed.is_empty());
            if heard.elapsed() > PATIENCE && (waits || self.reader.is_behind()) {
                return Err(Broken::Silent);
            }
            if rng.u16(..if self.sleeps { 150 } else { 1000 }) == 0 {
                return break_off(socket, rng);
            }
        }
        Ok(())
    }

    /// What the hello says of this connection, and of the one before.
    fn note_hello(&mut self, hello: &Value) -> Result<(), Broken> {
        let told = self.reader.told("a hello");
        let (round, channel) = (self.reader.round, self.reader.channel);
        let id = hello["id"].as_str().unwrap_or_default().to_owned();
        round.book.id(&id, told)?;
        let Some(writes) = &mut self.writes else { return Ok(()) };
        if let Some(last) = &writes.last {
            let Connection { sent, confirmed, began, .. } = last;
            match hello["taken"].as_u64() {
                Some(taken) if (*confirmed..=*sent).contains(&taken) => {
                    for _ in *confirmed..taken {
                        let nth = writes.unconfirmed.pop_front();
                        if let Some(nth) = nth {
                            round.book.note_confirmed(Name { writer: writes.writer, nth }, told);
                        }
                    }
                }
                // It has said nothing, and its board was gone before Redis knew of it.
                None if *sent == 0 => {}
                // Nobody can say what got through: it begins under another name. So it is, too, where its board could not tell Redis of it,
                // and then nothing was confirmed.
                taken if taken.is_none() && *confirmed == 0 || round.book.has_forgotten_since(channel, *began) => {
                    round.book.counts.unsure.fetch_add(1, Relaxed);
                    (writes.writer, writes.made) = (round.next_writer(), 0);
                    writes.unconfirmed.clear();
                }
                _ => {
                    let (number, taken) = (writes.writer, &hello["taken"]);
                    return Err(Broken::Wrong(format!(
                        "channel {channel}, board {}, writer {number}: of {sent} messages on its last connection ({}) {confirmed} were \
                         confirmed ({}), and {taken} are taken ({told})",
                        self.reader.board, last.id, last.told
                    )));
                }
            }
        }
        writes.last = Some(Connection { id, began: now_micros(), sent: 0, confirmed: 0, told, pings: 0 });
        Ok(())
    }

    /// Says some more, if that is wanted and there is room.
    fn speak(&mut self, socket: &mut WebSocket<TcpStream>, rng: &mut Rng) -> Result<(), Broken> {
        let round = self.reader.round;
        if self.writes.is_none() {
            return Ok(());
        }
        let wants = if rng.u8(..5) == 0 { rng.u8(1..8) } else { 0 };
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
        if wants_pong && rng.u8(..3) == 0 {
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
        self.reader.round.book.note_sent(self.reader.channel, name);
        let text = name.text();
        sent(socket.send(if name.is_binary() { Message::binary(text.into_bytes()) } else { Message::text(text) }))
    }

    /// Takes what has come. Whether anything has.
    fn listen(&mut self, socket: &mut WebSocket<TcpStream>) -> Result<bool, Broken> {
        for nth in 0..200 {
            let Some(message) = next_soon(socket)? else { return Ok(nth > 0) };
            if let Message::Pong(payload) = &message {
                let count = std::str::from_utf8(payload).ok().and_then(|count| count.parse().ok());
                let Some(count) = count else { return self.reader.wrong("a pong", "nobody has asked for it") };
                self.note_pong(count)?;
            }
            if !message.is_text() && !message.is_binary() {
                continue;
            }
            let is_binary = message.is_binary();
            let name = self.reader.take(&message.into_data(), is_binary, "a frame")?;
            self.note_echo(name)?;
        }
        Ok(true)
    }

    fn note_pong(&mut self, count: u64) -> Result<(), Broken> {
        let told = self.reader.told("a pong");
        let Some(Writes { writer, last: Some(last), unconfirmed, .. }) = &mut self.writes else { return Ok(()) };
        last.pings = last.pings.saturating_sub(1);
        if count > last.sent {
            return Err(Broken::Wrong(format!("{told}: a ping behind {count} messages, of {}", last.sent)));
        }
        while last.confirmed < count {
            if let Some(nth) = unconfirmed.pop_front() {
                self.reader.round.book.note_confirmed(Name { writer: *writer, nth }, told);
            }
            (last.confirmed, last.told) = (last.confirmed + 1, told);
        }
        Ok(())
    }

    fn note_echo(&mut self, name: Name) -> Result<(), Broken> {
        let told = self.reader.told("its own message");
        let (book, channel) = (&self.reader.round.book, self.reader.channel);
        let Some(Writes { writer, proof, last: Some(last), unconfirmed, .. }) = &mut self.writes else { return Ok(()) };
        let Some(front) = unconfirmed.front().copied().filter(|_| *writer == name.writer) else { return Ok(()) };
        if *proof == Proof::Pong {
            return Ok(());
        }
        if name.nth > front {
            if book.has_forgotten_since(channel, last.began) {
                return Ok(());
            }
            return Err(Broken::Wrong(format!("channel {channel}: {told}: {name} comes before its message {front}")));
        }
        // One that was confirmed already comes when it comes.
        if name.nth == front {
            unconfirmed.pop_front();
            book.note_confirmed(name, told);
            (last.confirmed, last.told) = (last.confirmed + 1, told);
        }
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

/// Breaks off, in one of the ways in which phones do.
fn break_off(mut socket: WebSocket<TcpStream>, rng: &mut Rng) -> Result<(), Broken> {
    match rng.u8(..3) {
        0 => {
            let _ = socket.close(None);
        }
        1 => SockRef::from(socket.get_ref()).set_linger(Some(Duration::ZERO))?,
        _ => {}
    }
    drop(socket);
    thread::sleep(Duration::from_millis(rng.u64(..30)));
    Ok(())
}

pub fn sent(result: Result<(), tungstenite::Error>) -> Result<(), Broken> {
    match result {
        Ok(()) => Ok(()),
        Err(tungstenite::Error::Io(error)) => Err(Broken::from(error)),
        Err(_) => Err(Broken::Gone),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use soak::told::Who;

    use super::*;
    use crate::book::Book;
    use crate::channel::BOARDS;
    use crate::round::Round;

    /// Comes back after it has sent three messages, of which one was confirmed.
    fn come_back(taken: &Value, forgets: bool) -> Result<VecDeque<u32>, Broken> {
        let address = ([127, 0, 0, 1], 9).into();
        let round = Round::new([[address; 2]; BOARDS], Book::new(&[1 << 20; 4], 10), 6);
        let mut talker = Talker::writing(Reader::new(&round, Who("test", 0), 0), 1, Proof::Pong);
        talker.note_hello(&json!({"id": "a"}))?;
        let writes = talker.writes.as_mut().expect("it writes");
        (writes.made, writes.unconfirmed) = (3, [1, 2, 3].into());
        writes.last.as_mut().expect("it was greeted").sent = 3;
        talker.note_pong(1)?;
        if forgets {
            round.book.begin_forgetting(&[0]);
        }
        talker.note_hello(&json!({"id": "b", "taken": taken}))?;
        Ok(talker.writes.expect("it writes").unconfirmed)
    }

    #[test]
    fn what_was_taken_is_at_least_what_was_confirmed_and_at_most_what_was_sent() {
        for (taken, left) in [(1, vec![2, 3]), (2, vec![3]), (3, vec![])] {
            assert_eq!(come_back(&json!(taken), false).unwrap(), left);
        }
        for wrong in [json!(0), json!(4), json!(null)] {
            let Err(Broken::Wrong(sentence)) = come_back(&wrong, false) else { panic!("{wrong} is wrong") };
            assert!(sentence.contains("1 were confirmed"), "{sentence}");
            assert_eq!(come_back(&wrong, true).unwrap(), [0; 0], "Redis forgot: nobody knows");
        }
    }

    #[test]
    fn no_pong_comes_before_its_ping() {
        let address = ([127, 0, 0, 1], 9).into();
        let round = Round::new([[address; 2]; BOARDS], Book::new(&[1 << 20; 4], 10), 6);
        let mut talker = Talker::writing(Reader::new(&round, Who("test", 0), 0), 1, Proof::Pong);
        talker.note_hello(&json!({"id": "a"})).unwrap();
        assert!(talker.note_pong(1).is_err());
    }
}
