//! `foghorn send`: from words or standard input into a channel's log, each message once and in order.
//!
//! Leaves the connection to `client::link`, and what is under way to `client::unconfirmed`. What must stay true: it ends with 0 only when the
//! server has confirmed all; it reads no further than it can keep; a message that cannot be sent is told and keeps no other one.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::time::Instant;

use crate::cli::outcome::Outcome;
use crate::cli::prepared::prepare;
use crate::cli::voice::{Voice, messages, tell};
use crate::client::failure::Failure;
use crate::client::input::Input;
use crate::client::link::{Event, Greeted, Link, Wishes};
use crate::client::signals::{Signals, Stop};
use crate::client::unconfirmed::Unconfirmed;
use crate::client::waiting::{Interest, wait};
use crate::config::client_flags::SendArgs;
use crate::config::client_limits::{EVENTS_PER_TURN_MAX, INPUT_BYTES, SEND_DRAIN_TIMEOUT, STRANGERS_MESSAGE_BYTES_MAX};

/// Sends, until all is in the log or cannot be.
pub fn send(args: SendArgs) -> Outcome {
    let voice = Voice::new(args.quiet);
    let (address, signals) = match prepare(&args.address, args.code.as_deref()) {
        Ok(prepared) => prepared,
        Err(outcome) => return outcome,
    };
    let stdin = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(stdin) => File::from(stdin),
        Err(error) => {
            tell(format_args!("cannot use standard input ({error}): raise the limit of open files (ulimit -n)"));
            return Outcome::Failed;
        }
    };
    // A sender wants no message of before.
    let link = match Link::open(address, Wishes { history: Some(0), ..Wishes::default() }) {
        Ok(link) => link,
        Err(failure) => {
            tell(failure);
            return Outcome::Failed;
        }
    };
    let sending = Sending {
        voice,
        link,
        input: input_of(args),
        queue: Unconfirmed::default(),
        asked: None,
        bytes_max: None,
        unsent: 0,
        unsure: 0,
        has_failed: false,
        ends_at: None,
        stdin,
        buffer: vec![0; INPUT_BYTES],
    };
    sending.run(signals)
}

/// What is to be sent, by the words behind the address.
fn input_of(args: SendArgs) -> Input {
    if args.text.is_empty() || args.text == ["-"] {
        return Input::reading(args.lines, args.binary);
    }
    let words: Vec<Vec<u8>> = args.text.into_iter().map(OsStringExt::into_vec).collect();
    Input::words(words.join(&b' '), args.binary)
}

struct Sending {
    voice: Voice,
    link: Link,
    input: Input,
    queue: Unconfirmed,
    /// How many messages of this connection the server was asked to confirm, while it has not.
    asked: Option<u64>,
    /// The largest message that the server takes, once it has said so.
    bytes_max: Option<usize>,
    unsent: usize,
    unsure: usize,
    has_failed: bool,
    /// When it ends, whatever is left.
    ends_at: Option<Instant>,
    /// Standard input, without the buffer that std puts before it.
    stdin: File,
    buffer: Vec<u8>,
}

impl Sending {
    fn run(mut self, mut signals: Signals) -> Outcome {
        loop {
            match signals.take().stop {
                Some(Stop::InOrder) => {
                    self.input.stop();
                    self.ends_at = Some(Instant::now() + SEND_DRAIN_TIMEOUT);
                }
                Some(Stop::AtOnce) => return self.end(),
                None => {}
            }
            if self.ends_at.is_some_and(|at| at <= Instant::now()) {
                return self.end();
            }
            let has_more = match self.take_events() {
                Ok(has_more) => has_more,
                Err(failure) => {
                    tell(failure);
                    self.has_failed = true;
                    return self.end();
                }
            };
            self.fill_queue();
            self.fill_link();
            if self.is_done() {
                self.link.close();
                return self.end();
            }
            if let Err(error) = self.wait(&signals, has_more) {
                tell(format_args!("cannot wait ({error})"));
                self.has_failed = true;
                return self.end();
            }
        }
    }

    /// Whether nothing is left to send. One who is to send nothing is done when it could have.
    fn is_done(&self) -> bool {
        let may_end = self.bytes_max.is_some() || self.ends_at.is_some();
        may_end && !self.input.is_read() && self.queue.is_empty() && self.input.is_exhausted()
    }

    /// Takes what has come, and returns whether there may be more: somebody may say more than we can read.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn take_events(&mut self) -> Result<bool, Failure> {
        for _ in 0..EVENTS_PER_TURN_MAX {
            match self.link.next_event() {
                None => return Ok(false),
                Some(Event::Greeted(greeted)) => self.begin(&greeted)?,
                Some(Event::Confirmed(count)) if self.asked == Some(count) => {
                    self.queue.confirm(count);
                    self.asked = None;
                }
                // What others say: it has to be read, for others wait for who does not. And what nobody has asked for.
                Some(Event::Received(_) | Event::Confirmed(_) | Event::Nothing) => {}
                Some(Event::Lost(failure)) => self.voice.note_lost(&failure),
                Some(Event::Failed(failure)) => return Err(failure),
            }
        }
        Ok(true)
    }

    fn begin(&mut self, greeted: &Greeted) -> Result<(), Failure> {
        let address = self.link.address();
        let hello = greeted.hello.as_ref();
        if hello.is_none() && !greeted.is_back {
            self.voice.note(format_args!(
                "{address} is no Foghorn (it speaks no foghorn.v1): what is under way when a connection breaks may be \
                 lost, and is then told"
            ));
        }
        self.voice.note_greeted(greeted, address);
        let unsure = self.queue.begin_connection(hello.and_then(|hello| hello.taken));
        if unsure > 0 {
            self.unsure += unsure;
            tell(format_args!(
                "nobody knows whether {} got through: the server does not know the connection any more by which {}; \
                 not sent again",
                messages(unsure),
                if unsure == 1 { "it went" } else { "they went" }
            ));
        }
        if hello.is_some_and(|hello| !hello.may_send) {
            return Err(Failure::may_not_send(address));
        }
        let bytes_max = hello.map_or(STRANGERS_MESSAGE_BYTES_MAX, |hello| hello.message_bytes_max);
        let removed = self.queue.remove_longer_than(bytes_max);
        if removed > 0 {
            self.unsent += removed;
            tell(format_args!("{} left out: the server takes only {bytes_max} bytes now", messages(removed)));
        }
        self.bytes_max = Some(bytes_max);
        self.asked = None;
        if self.input.is_from_person() && !greeted.is_back && self.stdin.is_terminal() {
            self.voice.note("type the message; Ctrl-D ends it and sends it");
        }
        Ok(())
    }

    /// Puts into the queue what was read and is whole.
    fn fill_queue(&mut self) {
        let Some(bytes_max) = self.bytes_max else { return };
        while !self.queue.is_full() {
            let Some((line, message)) = self.input.next(bytes_max) else { return };
            match message {
                Ok(message) => self.queue.push(message),
                Err(why) => {
                    self.unsent += 1;
                    tell(why.sentence(line, bytes_max));
                }
            }
        }
    }

    /// Sends what waits, and asks for what is under way to be confirmed.
    fn fill_link(&mut self) {
        if !self.link.is_open() {
            return;
        }
        while self.link.takes_messages() {
            match self.queue.take_next() {
                Some(message) => self.link.send(message),
                None => break,
            }
        }
        if self.asked.is_none() && self.queue.lens().0 > 0 {
            self.asked = Some(self.queue.sent());
            self.link.ask_to_confirm(self.queue.sent());
        }
        self.link.flush();
    }

    fn wait(&mut self, signals: &Signals, has_more: bool) -> io::Result<()> {
        let reads = self.bytes_max.is_some() && self.input.is_read() && !self.queue.is_full();
        let stdin = reads.then(|| Interest::reads(self.stdin.as_fd()));
        let interests = signals.fds().map(Interest::reads).chain(self.link.interest(true)).chain(stdin);
        let at_once = has_more.then(Instant::now);
        let until = [self.link.deadline(), self.ends_at, at_once].into_iter().flatten().min();
        let found = wait(interests, until)?;
        if reads && found.last().is_some_and(|stdin| stdin.reads) {
            self.read();
        }
        Ok(())
    }

    fn read(&mut self) {
        match self.stdin.read(&mut self.buffer) {
            Ok(0) => self.input.end(),
            Ok(count) => self.input.push(&self.buffer[..count]),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => {
                let hint = if error.kind() == ErrorKind::IsADirectory { ": give a file" } else { "" };
                tell(format_args!("cannot read standard input ({error}){hint}"));
                self.has_failed = true;
                self.input.fail();
            }
        }
    }

    /// Says what is not done, if anything is not.
    fn end(mut self) -> Outcome {
        let (under_way, waiting) = self.queue.lens();
        let mut unsent = waiting + self.input.count_left();
        // Without a first connection nothing can have been, and that it failed is told already.
        if unsent > 0 && (self.bytes_max.is_some() || self.ends_at.is_some()) {
            let were = if unsent == 1 { "was" } else { "were" };
            tell(format_args!("{} {were} not sent", messages(unsent)));
        }
        if self.input.was_stopped() && self.has_unread() {
            unsent += 1;
            tell("there was more in standard input, which was not read");
        }
        if under_way > 0 {
            tell(format_args!("nobody knows whether {} got through", messages(under_way)));
        }
        outcome(self.unsure + under_way, self.unsent + unsent, self.has_failed)
    }

    /// Whether something is there to be read, and not just the end.
    fn has_unread(&mut self) -> bool {
        let is_ready = Interest::reads(self.stdin.as_fd()).look().is_ok_and(|stdin| stdin.reads);
        is_ready && self.stdin.read(&mut self.buffer).is_ok_and(|count| count > 0)
    }
}

/// The worst of it. That something failed is told only if it is not known better what became of the messages.
fn outcome(unsure: usize, unsent: usize, has_failed: bool) -> Outcome {
    match (unsure, has_failed, unsent) {
        (1.., _, _) => Outcome::Unsure,
        (_, true, _) => Outcome::Failed,
        (_, _, 1..) => Outcome::Unsent,
        _ => Outcome::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_the_worst() {
        assert_eq!(outcome(0, 0, false), Outcome::Done);
        assert_eq!([outcome(0, 0, true), outcome(0, 1, true)], [Outcome::Failed; 2]);
        assert_eq!([outcome(1, 1, true), outcome(1, 0, false)], [Outcome::Unsure; 2]);
        assert_eq!(outcome(0, 1, false), Outcome::Unsent);
    }
}
