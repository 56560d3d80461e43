//! Messages to a command, one after the other.
//!
//! Leaves one run of it to `running_command`. What must stay true: the next one starts when the last one has ended, however it did.

use std::collections::VecDeque;
use std::ffi::OsString;

use crate::client::incoming::{End, Incoming};
use crate::client::running_command::{RunningCommand, failure, was_stopped};
use crate::client::waiting::Interest;
use crate::config::client_limits::UNHANDLED_BYTES_MAX;
use crate::hub::position::Position;

/// What a waiting message takes beside its bytes.
const MESSAGE_OVERHEAD_BYTES: usize = size_of::<Incoming>() + 64;

/// The command, and the messages that wait for it.
#[derive(Debug)]
pub struct Handling {
    command: OsString,
    as_json: bool,
    waiting: VecDeque<Incoming>,
    waiting_bytes: usize,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    command: RunningCommand,
    seq: u64,
    position: Option<Position>,
}

impl Handling {
    /// Nothing waits, nothing runs.
    pub fn new(command: OsString, as_json: bool) -> Self {
        Self { command, as_json, waiting: VecDeque::new(), waiting_bytes: 0, running: None }
    }

    /// Adds a message at the end.
    pub fn push(&mut self, incoming: Incoming) {
        self.waiting_bytes += bytes_of(&incoming);
        self.waiting.push_back(incoming);
    }

    /// Whether no more should be added now.
    pub fn is_full(&self) -> bool {
        self.waiting_bytes >= UNHANDLED_BYTES_MAX
    }

    /// Whether all is done.
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Whether the next command could start: signals are looked at first, when one was stopped.
    pub fn is_held(&self) -> bool {
        self.running.is_none() && !self.waiting.is_empty()
    }

    /// Keeps only what runs.
    pub fn drop_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// What to wait for beside SIGCHLD.
    pub fn interest(&self) -> Option<Interest<'_>> {
        let stdin = self.running.as_ref().and_then(|running| running.command.stdin_fd());
        stdin.map(|fd| Interest { fd, reads: false, writes: true })
    }

    /// Goes on as far as nothing makes it wait. Returns up to where all is done, if that has changed. What a command has failed with is
    /// told, and counts as done, unless somebody has stopped it.
    ///
    /// # Errors
    /// If there can be no command: its message is not done.
    pub fn go_on(&mut self, tell: impl Fn(String)) -> Result<Option<Position>, End> {
        let mut done = None;
        loop {
            if let Some(running) = &mut self.running {
                running.command.feed();
                let ended = running.command.try_wait();
                let ended = ended.map_err(|error| End::Failed(format!("cannot wait for the command ({error})")))?;
                let Some(status) = ended else { return Ok(done) };
                if let Some(failure) = failure(status) {
                    tell(format!("message {}: the command {failure}", running.seq));
                }
                let position = running.position.take();
                self.running = None;
                if was_stopped(status) {
                    // With us, perhaps: then it is not done, and its message comes again the next time.
                    return Ok(done);
                }
                done = position.or(done);
            }
            let Some(next) = self.waiting.pop_front() else { return Ok(done) };
            self.waiting_bytes -= bytes_of(&next);
            self.running = Some(self.start(next)?);
        }
    }

    fn start(&self, incoming: Incoming) -> Result<Running, End> {
        let seq = incoming.received.seq;
        let epoch = incoming.position.as_ref().map(|position| position.epoch.clone()).unwrap_or_default();
        let kind = if incoming.is_text() { "text" } else { "binary" };
        let variables = [("FOGHORN_SEQ", seq.to_string()), ("FOGHORN_EPOCH", epoch), ("FOGHORN_KIND", kind.to_owned())];
        let input = if self.as_json { incoming.json_line() } else { incoming.payload().to_vec() };
        match RunningCommand::start(&self.command, input, &variables) {
            Ok(command) => Ok(Running { command, seq, position: incoming.position }),
            Err(error) => Err(End::Failed(format!("message {seq}: cannot start sh for the command ({error})"))),
        }
    }
}

fn bytes_of(incoming: &Incoming) -> usize {
    incoming.payload().len() + MESSAGE_OVERHEAD_BYTES
}
