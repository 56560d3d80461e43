//! Who works in a round: a few clients of every kind in every channel.
//!
//! What must stay true: each writer has a number of its own, and is in one channel only.

use fastrand::Rng;
use soak::message::FIRST_SENDER;
use soak::stream::Form;
use soak::told::Who;

use crate::askers::{self, Posted};
use crate::programs;
use crate::round::{DELETED, Reader, Round};
use crate::rover;
use crate::streams;
use crate::talker::{Proof, Talker};

/// What a writer reports at its end.
#[derive(Debug)]
pub struct Report {
    pub channel: usize,
    pub writer: u32,
    /// How many messages it has sent.
    pub sent: u32,
    /// What became of each, if they were posted.
    pub posted: Option<Posted>,
}

/// What a client does from the start to the end of a round.
type Client<'a> = Box<dyn FnOnce() -> Result<Option<Report>, String> + Send + 'a>;

/// All of them; or a few that have no connections with an id, and writers that come only now and then: what is known of their connections has to
/// outlive several kills without anybody's help.
pub fn clients<'a>(round: &'a Round, is_quiet: bool, rng: &mut Rng) -> Vec<Client<'a>> {
    let mut clients: Vec<Client<'a>> = Vec::new();
    let mut reader = 0;
    let mut next_reader = |kind: &'static str, channel: usize| {
        reader += 1;
        Reader::new(round, Who(kind, reader), channel)
    };
    let proofs = [(0, Proof::Echo), (0, Proof::Pong), (1, Proof::Both), (2, Proof::Pong), (DELETED, Proof::Both)];
    // Each that comes has what is known of all written anew.
    let writers = if is_quiet { 2 } else { proofs.len() };
    for ((channel, proof), writer) in proofs.into_iter().zip(1..).take(writers) {
        let talker = if is_quiet {
            let reader = Reader::seldom(round, Who("sleeper", writer as usize), channel);
            Talker::writing(reader, writer, proof, rng.fork()).sleeping()
        } else {
            Talker::writing(next_reader("writer", channel), writer, proof, rng.fork())
        };
        clients.push(Box::new(move || Ok(Some(Report { channel, writer, sent: talker.run()?, posted: None }))));
    }
    for channel in [0, 1, DELETED].into_iter().filter(|_| !is_quiet) {
        let talker = Talker::listening(next_reader("reader", channel), rng.fork());
        clients.push(Box::new(move || talker.run().map(|_| None)));
    }
    for (channel, form) in [
        (0, Form::Events),
        (0, Form::Json),
        (1, Form::Events),
        (2, Form::Json),
        (DELETED, Form::Events),
        (DELETED, Form::Json),
    ] {
        let (reader, rng) = (next_reader("stream", channel), rng.fork());
        clients.push(Box::new(move || streams::listen(reader, form, rng).map(|()| None)));
    }
    for (channel, writer) in [(0, 101), (1, 102), (DELETED, 103)] {
        let rng = rng.fork();
        clients.push(Box::new(move || {
            let posted = askers::post(round, writer as usize, channel, writer, rng)?;
            Ok(Some(Report { channel, writer, sent: posted.made, posted: Some(posted) }))
        }));
    }
    for (channel, nth) in [(0, 0), (2, 1)].into_iter().filter(|_| !is_quiet) {
        let (listening, sending, writer) = (rng.fork(), rng.fork(), FIRST_SENDER + u32::try_from(nth).unwrap_or(0));
        clients.push(Box::new(move || programs::listen(round, nth, channel, listening).map(|_| None)));
        clients.push(Box::new(move || {
            let sent = programs::send(round, nth, channel, writer, sending)?;
            Ok(Some(Report { channel, writer, sent, posted: None }))
        }));
    }
    for nth in 0..2 {
        let (passing, looking) = (rng.fork(), rng.fork());
        if !is_quiet {
            clients.push(Box::new(move || askers::come_and_go(round, nth, passing).map(|()| None)));
        }
        clients.push(Box::new(move || askers::look(round, nth, looking).map(|()| None)));
    }
    let (watching, deleting, roving) = (rng.fork(), rng.fork(), rng.fork());
    clients.push(Box::new(move || rover::run(round, 104, roving).map(|()| None)));
    clients.push(Box::new(move || askers::watch(round, 0, watching).map(|()| None)));
    clients.push(Box::new(move || askers::delete(round, deleting).map(|()| None)));
    clients
}
