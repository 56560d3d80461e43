//! Those who ask and go: who posts, deletes, looks at the last message and the figures, of any board.
//!
//! What must stay true: a post that was answered is in the log under its number, one that was refused is not, and of one that was not
//! answered nobody says anything.

use std::io::BufReader;
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use soak::message::Name;
use soak::told::Who;
use soak::wire::{Answer, Broken, connect, request};

use crate::book::Mark;
use crate::channel::BOARDS;
use crate::position::Position;
use crate::round::{CHANNELS, DELETED, PATIENCE, POST_PATIENCE, Round};

/// One who asks over HTTP, on a connection that stays as long as it can.
pub struct Asker<'a> {
    pub round: &'a Round,
    who: Who,
    pub channel: usize,
    pub board: usize,
    socket: Option<BufReader<TcpStream>>,
    patience: Duration,
    pub rng: Rng,
}

impl<'a> Asker<'a> {
    /// One of this name.
    pub fn new(round: &'a Round, who: Who, channel: usize, patience: Duration, rng: Rng) -> Self {
        Self { round, who, channel, board: 0, socket: None, patience, rng }
    }

    /// Goes to another board now and then. Returns what has been told until now.
    pub fn choose_board(&mut self) -> Mark {
        if self.rng.u8(..8) == 0 {
            let board = self.rng.usize(..BOARDS);
            self.go_to(board);
        }
        self.mark()
    }

    /// Goes to this board.
    pub fn go_to(&mut self, board: usize) {
        if board != self.board {
            (self.board, self.socket) = (board, None);
        }
    }

    /// What has been told until now.
    pub fn mark(&self) -> Mark {
        self.round.book.mark(self.channel, self.board)
    }

    /// Asks for something of the channel. Nothing comes where the connection has ended, or nobody answers.
    pub fn ask(&mut self, method: &str, query: &str, lines: &str, body: &[u8]) -> Result<Option<Answer>, String> {
        let path = format!("{}{query}", CHANNELS[self.channel]);
        let asked = self.try_ask(method, &path, lines, body);
        let ends = asked.as_ref().is_ok_and(|answer| answer.header("Connection") == Some("close"));
        if asked.is_err() || ends || self.rng.u8(..20) == 0 {
            self.socket = None;
        }
        match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(Broken::Wrong(sentence)) => Err(format!("{method} {path}: {sentence}")),
            Err(_) => {
                let board = self.rng.usize(..BOARDS);
                self.go_to(board);
                Ok(None)
            }
        }
    }

    fn try_ask(&mut self, method: &str, path: &str, lines: &str, body: &[u8]) -> Result<Answer, Broken> {
        let address = self.round.address(self.board, &mut self.rng);
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(BufReader::new(connect(address, self.patience)?)),
        };
        request(socket, method, path, lines, body)
    }

    /// What is not as it should be.
    pub fn wrong<T>(&self, by: &'static str, what: &str) -> Result<T, String> {
        Err(format!("channel {}, board {}: {}: {what}", self.channel, self.board, self.round.book.told(self.who, by)))
    }

    /// Posts a message. Whether it was told that it is in the log; nothing, if nobody knows.
    pub fn post(&mut self, name: Name) -> Result<Option<bool>, String> {
        let board = self.board;
        let posted = self.try_post(name);
        if posted != Ok(Some(true)) {
            self.round.book.write_down(&format_args!("post of {name} at board {board}: {posted:?}"));
        }
        posted
    }

    fn try_post(&mut self, name: Name) -> Result<Option<bool>, String> {
        const BY: &str = "the answer to its post";
        let book = &self.round.book;
        let since = self.mark();
        book.note_sent(self.channel, name);
        let kind = if name.is_binary() { "application/octet-stream" } else { "text/plain" };
        let board = self.board;
        let lines = format!("Content-Type: {kind}\r\n");
        let Some(answer) = self.ask("POST", "", &lines, name.text().as_bytes())? else { return Ok(None) };
        let told = book.told(self.who, BY);
        match answer.status {
            200 => {
                let json = answer.json().map_err(|_| format!("{told}: {answer:?}"))?;
                let (Some(epoch), Some(seq)) = (json["epoch"].as_str(), json["seq"].as_u64()) else {
                    return self.wrong(BY, &json.to_string());
                };
                if answer.position() != Some((epoch, seq)) {
                    return self.wrong(BY, &format!("{answer:?}"));
                }
                let position = Position::of(epoch, seq)?;
                book.message(self.channel, Some(board), position, (name.text().as_bytes(), name.is_binary()), told)?;
                since.check_made(position, told).map_err(|why| format!("channel {}: {why}", self.channel))?;
                book.note_confirmed(name, told);
                Ok(Some(true))
            }
            // Not in time, or there was no room, or Redis is away.
            408 | 503 => {
                book.note_refused(name);
                Ok(Some(false))
            }
            // Redis has not said whether it is there.
            504 => Ok(None),
            _ => self.wrong(BY, &format!("{answer:?}")),
        }
    }

    /// Asks its board where the channel is, and writes it down. Nothing, if it is not told.
    pub fn position(&mut self) -> Result<Option<Position>, String> {
        const BY: &str = "?status";
        let since = self.mark();
        let Some(answer) = self.ask("GET", "?status", "", b"")? else { return Ok(None) };
        if answer.status == 503 {
            return Ok(None);
        }
        let Ok(status) = answer.json() else { return self.wrong(BY, &format!("{answer:?}")) };
        let (Some(epoch), Some(head)) = (status["epoch"].as_str(), status["head"].as_u64()) else { return Ok(None) };
        let position = Position::of(epoch, head)?;
        self.round.book.head(self.channel, position, &since, self.round.book.told(self.who, BY))?;
        Ok(Some(position))
    }
}

/// Posts messages, one after the other.
pub fn post(round: &Round, nth: usize, channel: usize, writer: u32, rng: Rng) -> Result<(), String> {
    let mut asker = Asker::new(round, Who("poster", nth), channel, POST_PATIENCE, rng);
    let mut made = 0;
    while round.is_loaded() {
        if !round.book.has_room(channel) {
            thread::sleep(Duration::from_millis(2));
            continue;
        }
        asker.choose_board();
        made += 1;
        // Away from Redis, a board refuses at once.
        let pause = if asker.post(Name { writer, nth: made })? == Some(true) { 12 } else { 60 };
        thread::sleep(Duration::from_millis(asker.rng.u64(..pause)));
    }
    round.busy.fetch_sub(1, Relaxed);
    Ok(())
}

/// Deletes the messages of a channel now and then.
pub fn delete(round: &Round, rng: Rng) -> Result<(), String> {
    const BY: &str = "the answer to a deletion";
    let mut asker = Asker::new(round, Who("deleter", 0), DELETED, POST_PATIENCE, rng);
    while round.is_loaded() {
        thread::sleep(Duration::from_millis(asker.rng.u64(200..2500)));
        if !round.book.has_room(DELETED) {
            continue;
        }
        let board = asker.rng.usize(..BOARDS);
        asker.go_to(board);
        let (since, board) = (asker.mark(), asker.board);
        round.book.note_deletion(DELETED);
        let Some(answer) = asker.ask("DELETE", "", "", b"")? else { continue };
        if matches!(answer.status, 503 | 504) {
            continue;
        }
        let Some((epoch, seq)) = answer.position().filter(|_| answer.status == 200) else {
            return asker.wrong(BY, &format!("{answer:?}"));
        };
        let position = Position::of(epoch, seq)?;
        // Another board may have begun the next epoch before it.
        if position.epoch <= since.epoch() {
            return asker.wrong(BY, &format!("{position}, although board {board} was there already: {since:?}"));
        }
        round.book.head(DELETED, position, &Mark::unbound(board), round.book.told(Who("deleter", 0), BY))?;
    }
    round.busy.fetch_sub(1, Relaxed);
    Ok(())
}

/// Looks at the last message of all channels, again and again.
pub fn look(round: &Round, nth: usize, rng: Rng) -> Result<(), String> {
    const BY: &str = "?last";
    let mut asker = Asker::new(round, Who("looker", nth), 0, PATIENCE, rng);
    while !round.is_over() {
        thread::sleep(Duration::from_millis(asker.rng.u64(..12)));
        asker.channel = asker.rng.usize(..CHANNELS.len());
        let since = asker.choose_board();
        let Some(answer) = asker.ask("GET", BY, "", b"")? else { continue };
        let told = round.book.told(Who("looker", nth), BY);
        let position = answer.position().map(|(epoch, seq)| Position::of(epoch, seq)).transpose()?;
        match (answer.status, position) {
            (200, Some(position)) => {
                let is_binary = answer.header("Content-Type") == Some("application/octet-stream");
                round.book.message(asker.channel, None, position, (&answer.body, is_binary), told)?;
                round.book.last(asker.channel, position, &since, told)?;
            }
            (204, Some(position)) => round.book.last(asker.channel, position, &since, told)?,
            // A board that has just begun knows nothing of the channel.
            (204, None) | (503, _) => {}
            _ => return asker.wrong(BY, &format!("{answer:?}, although {since:?}")),
        }
    }
    Ok(())
}

/// Asks for the figures of all channels, again and again.
pub fn watch(round: &Round, nth: usize, rng: Rng) -> Result<(), String> {
    let mut asker = Asker::new(round, Who("watcher", nth), 0, PATIENCE, rng);
    while !round.is_over() {
        thread::sleep(Duration::from_millis(asker.rng.u64(..20)));
        asker.channel = asker.rng.usize(..CHANNELS.len());
        asker.choose_board();
        asker.position()?;
    }
    Ok(())
}
