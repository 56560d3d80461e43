//! Who works in a round: a few clients of every kind in every channel, and at each board some who stay.
//!
//! What must stay true: each writer has a number of its own, and is in one channel only.

use std::sync::atomic::Ordering::Relaxed;

use fastrand::Rng;
use soak::stream::Form;
use soak::told::Who;

use crate::askers;
use crate::channel::BOARDS;
use crate::plain;
use crate::reader::Reader;
use crate::round::{CHANNELS, DELETED, Round};
use crate::said::FIRST_POSTER;
use crate::streams;
use crate::talker::{Proof, Talker};

/// What a client does from the start to the end of a round.
type Client<'a> = Box<dyn FnOnce() -> Result<(), String> + Send + 'a>;

/// All of them. Where the logs are short, those who stay at a board may miss something, and others come only now and then.
pub fn clients<'a>(round: &'a Round, is_short: bool, deletes: bool, rng: &mut Rng) -> Vec<Client<'a>> {
    let mut clients: Vec<Client<'a>> = Vec::new();
    let mut nth = 0;
    let mut next = |kind: &'static str| {
        nth += 1;
        Who(kind, nth)
    };
    let proofs = [(0, Proof::Echo), (0, Proof::Pong), (1, Proof::Both), (2, Proof::Pong), (DELETED, Proof::Both)];
    for ((channel, proof), writer) in proofs.into_iter().zip(1..) {
        let reader = Reader::new(round, next("writer"), channel);
        let (talker, rng) = (Talker::writing(reader, writer, proof), rng.fork());
        clients.push(Box::new(move || talker.run(rng)));
    }
    for channel in [0, 1, DELETED] {
        let (talker, rng) = (Talker::listening(Reader::new(round, next("reader"), channel)), rng.fork());
        clients.push(Box::new(move || talker.run(rng)));
    }
    for (channel, writer) in [(0, 11), (1, 12), (2, 13), (2, 14)].into_iter().filter(|_| is_short) {
        let reader = Reader::seldom(round, next("sleeper"), channel);
        let (talker, rng) = (Talker::writing(reader, writer, Proof::Both).sleeping(), rng.fork());
        clients.push(Box::new(move || talker.run(rng)));
    }
    for (channel, form) in [(0, Form::Events), (1, Form::Json), (2, Form::Events), (DELETED, Form::Events)] {
        let (reader, rng) = (Reader::new(round, next("stream"), channel), rng.fork());
        clients.push(Box::new(move || streams::listen(reader, form, rng)));
    }
    for board in 0..BOARDS {
        for channel in 0..CHANNELS.len() {
            let who = next(["resident of board 0", "resident of board 1", "resident of board 2"][board]);
            let reader = if is_short { Reader::seldom(round, who, channel) } else { Reader::new(round, who, channel) };
            let form = if (board + channel) % 2 == 0 { Form::Events } else { Form::Json };
            let (reader, rng) = (reader.staying(board), rng.fork());
            clients.push(Box::new(move || streams::listen(reader, form, rng)));
        }
    }
    for (nth, channel) in [0, 2].into_iter().enumerate() {
        let rng = rng.fork();
        clients.push(Box::new(move || plain::talk(round, nth, channel, rng)));
    }
    for (channel, writer) in [0, 1, DELETED].into_iter().zip(FIRST_POSTER..) {
        let (Who(_, nth), rng) = (next("poster"), rng.fork());
        round.busy.fetch_add(1, Relaxed);
        clients.push(Box::new(move || askers::post(round, nth, channel, writer, rng)));
    }
    let (watching, looking, deleting) = (rng.fork(), rng.fork(), rng.fork());
    clients.push(Box::new(move || askers::look(round, 0, looking)));
    clients.push(Box::new(move || askers::watch(round, 0, watching)));
    if deletes {
        round.busy.fetch_add(1, Relaxed);
        clients.push(Box::new(move || askers::delete(round, deleting)));
    }
    clients
}
