//! Clients of before, that do not count: they send, and get what comes.
//!
//! What must stay true: each connection has a name of its own, since nobody can tell them what got through of the one before.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use fastrand::Rng;
use soak::message::Name;
use soak::told::Who;
use soak::wire::{Broken, join, next, next_soon};
use tungstenite::protocol::Message;

use crate::channel::BOARDS;
use crate::round::{CHANNELS, PATIENCE, Round};
use crate::talker::sent;

/// How long one stays with a connection, at most.
const STAY_MILLIS: u64 = 6000;

/// Talks until the round is over.
pub fn talk(round: &Round, nth: usize, channel: usize, mut rng: Rng) -> Result<(), String> {
    round.come_again(&mut rng, |rng| {
        let mut seen = Vec::new();
        let who = Who("plain talker", nth);
        let ended = connection(round, who, channel, &mut seen, rng);
        round.book.note_run(channel, round.book.told(who, "a frame"), seen);
        ended
    })
}

fn connection(round: &Round, who: Who, channel: usize, seen: &mut Vec<Name>, rng: &mut Rng) -> Result<(), Broken> {
    let board = rng.usize(..BOARDS);
    let path = format!("{}?history=0", CHANNELS[channel]);
    let mut socket = join(round.address(board, rng), &path, false, PATIENCE)?;
    let greeting = next(&mut socket)?;
    let told = round.book.told(who, "a frame");
    if greeting.to_text().ok() != Some("connected to WebSocket server") {
        return Err(Broken::Wrong(format!("{told}: {greeting:?} is no greeting")));
    }
    let breaks_off = Instant::now() + Duration::from_millis(rng.u64(..STAY_MILLIS));
    let writer = round.next_writer();
    let (mut made, mut unconfirmed, mut heard) = (0, VecDeque::new(), Instant::now());
    while !round.is_over() && (Instant::now() < breaks_off || !unconfirmed.is_empty()) {
        let wants = round.is_loaded() && Instant::now() < breaks_off && rng.u8(..8) == 0;
        if wants && unconfirmed.len() < round.unconfirmed_max && round.book.has_room(channel) {
            made += 1;
            let name = Name { writer, nth: made };
            round.book.note_sent(channel, name);
            unconfirmed.push_back(name);
            sent(socket.send(Message::text(name.text())))?;
        }
        if heard.elapsed() > 2 * PATIENCE && !unconfirmed.is_empty() {
            return Err(Broken::Silent);
        }
        let Some(message) = next_soon(&mut socket)? else { continue };
        heard = Instant::now();
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        let is_binary = message.is_binary();
        let told = round.book.told(who, "a frame");
        let wrong = |why: String| Broken::Wrong(format!("channel {channel}, board {board}: {told}: {why}"));
        let name = Name::of(&message.into_data(), is_binary).map_err(wrong)?;
        seen.push(name);
        round.book.counts.deliveries.fetch_add(1, Relaxed);
        if name.writer != writer {
            continue;
        }
        match unconfirmed.pop_front() {
            Some(first) if first == name => round.book.note_confirmed(name, told),
            // Sent again by its board, since Redis forgot it.
            _ if round.book.has_forgotten_since(channel, 0) => {}
            first => return Err(wrong(format!("of its own it waits for {first:?}, and {name} comes"))),
        }
    }
    Ok(())
}
