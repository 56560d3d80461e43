//! What `send` and `listen` say beside their work: on standard error, each line with the program's name.
//!
//! What must stay true: a standard error that takes nothing changes nothing.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::AsFd;

use crate::client::address::Address;
use crate::client::failure::Failure;
use crate::client::link::Greeted;
use crate::client::waiting::Interest;

/// Says what went wrong, or what was lost.
pub fn tell(what: impl Display) {
    let stderr = io::stderr();
    let room = Interest { fd: stderr.as_fd(), reads: false, writes: true }.look();
    // Where nobody knows whether there is room, it is said all the same.
    if room.map_or(true, |room| room.writes) {
        // Without `eprintln!`, which panics where nobody can read it.
        let _ = stderr.lock().write_all(format!("foghorn: {what}\n").as_bytes());
    }
}

/// The voice of one command, for what is good to know.
#[derive(Debug)]
pub struct Voice {
    is_quiet: bool,
    /// What was said last of a connection that is lost.
    last_problem: String,
}

impl Voice {
    /// One that has said nothing yet.
    pub fn new(is_quiet: bool) -> Self {
        Self { is_quiet, last_problem: String::new() }
    }

    /// Says something.
    pub fn note(&self, what: impl Display) {
        if !self.is_quiet {
            tell(what);
        }
    }

    /// Says that there is no connection now. What is the same as the last time is not said again.
    pub fn note_lost(&mut self, failure: &Failure) {
        if failure.sentence != self.last_problem {
            self.note(format_args!("{failure}; trying again"));
            self.last_problem.clone_from(&failure.sentence);
        }
    }

    /// Says that there is one again, or what is good to know of the first.
    pub fn note_greeted(&mut self, greeted: &Greeted, address: &Address) {
        self.last_problem.clear();
        let is_main = greeted.hello.as_ref().is_some_and(|hello| hello.channel.is_empty());
        if greeted.is_back {
            self.note("connected again");
        } else if is_main && address.is_beside_channels() {
            self.note(format_args!("{address} is the main channel: other channels are at /c/NAME"));
        }
    }
}

/// So many messages, in words.
pub fn messages(count: impl Display) -> String {
    let count = count.to_string();
    if count == "1" { "1 message".to_owned() } else { format!("{count} messages") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([messages(0_u64), messages(1_usize), messages(2_u64)], ["0 messages", "1 message", "2 messages"]);
    }
}
