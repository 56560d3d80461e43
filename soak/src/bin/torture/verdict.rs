//! What the end of a program is worth.
//!
//! What must stay true: only an end that was asked for may be a success, and any other has a sentence and a code that docs/reference.md names; a panic is
//! never one.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

use crate::calls;

/// What Rust says when it gets no memory for a value, or for the stack that a thread has for the overflow of its own, and ends the process by
/// SIGABRT. Nothing can be done without, and the service manager starts it anew.
const NO_MEMORY: [&str; 3] = [
    "memory allocation of",
    "failed to allocate an alternative stack",
    "failed to set up alternative stack guard page",
];
/// What tiny_http says where it gets no thread. It is caught or ends that thread alone, and the page's server is started anew.
const TINY_HTTP_WITHOUT_THREAD: &str = "failed to spawn thread";
/// The calls by which threads are started.
const OF_STARTING_THREADS: [&str; 4] = ["clone3", "mmap", "mprotect", "munmap"];
/// The calls by which memory is had.
const OF_MEMORY: [&str; 4] = ["mmap", "mprotect", "mremap", "munmap"];

/// What was seen of a program that has ended.
#[derive(Debug)]
pub struct End<'a> {
    pub status: ExitStatus,
    pub stderr: &'a str,
    /// The lines of the trace with a failure that was made.
    pub made: &'a [String],
    pub call: &'a str,
    /// Which codes but 0 may be.
    pub codes: &'static [i32],
    /// Whether it was asked to end, or had nothing more to do.
    pub may_succeed: bool,
}

/// Whether a program has panicked.
///
/// # Errors
/// If so.
pub fn check_words(stderr: &str, call: &str) -> Result<(), String> {
    let lines: Vec<&str> = stderr.lines().collect();
    let panics = lines.iter().enumerate().filter(|(_, line)| line.contains("panicked at"));
    for (nth, line) in panics {
        let words = lines.get(nth + 1).unwrap_or(&"");
        let is_of_memory = OF_MEMORY.contains(&call) && NO_MEMORY.iter().any(|its| words.contains(its));
        let is_of_tiny_http = OF_STARTING_THREADS.contains(&call) && words.contains(TINY_HTTP_WITHOUT_THREAD);
        if !is_of_memory && !is_of_tiny_http {
            return Err(format!("it has panicked: {} {words}", line.trim()));
        }
    }
    Ok(())
}

impl End<'_> {
    /// Whether it is an end in order.
    ///
    /// # Errors
    /// If not.
    pub fn check(&self) -> Result<(), String> {
        check_words(self.stderr, self.call)?;
        let has_words = self.stderr.lines().any(|line| line.starts_with("foghorn: "));
        // Then nobody can hear them.
        let is_mute = self.made.iter().any(|line| {
            calls::call_of(line).is_some_and(|(call, rest)| call.starts_with("write") && rest.starts_with("2<"))
        });
        match (self.status.code(), self.status.signal()) {
            (Some(0), _) if self.may_succeed => Ok(()),
            (Some(0), _) => Err("it has ended with 0, and nobody has asked it to".to_owned()),
            (Some(code), _) if !self.codes.contains(&code) => Err(format!("it has ended with {code}")),
            (Some(_), _) if has_words || is_mute => Ok(()),
            (Some(code), _) => Err(format!("it has ended with {code}, and without a sentence")),
            (_, Some(signal))
                if signal == Signal::ABORT.as_raw()
                    && OF_MEMORY.contains(&self.call)
                    && NO_MEMORY.iter().any(|words| self.stderr.contains(words)) =>
            {
                Ok(())
            }
            (_, signal) => Err(format!("it was ended by signal {}", signal.unwrap_or(0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: i32, stderr: &str, call: &str, may_succeed: bool) -> Result<(), String> {
        let status = ExitStatus::from_raw(raw);
        End { status, stderr, made: &[], call, codes: &[1], may_succeed }.check()
    }

    #[test]
    fn only_an_end_that_was_asked_for_is_a_success() {
        assert_eq!(check(0, "", "read", true), Ok(()));
        assert!(check(0, "", "read", false).is_err());
    }

    #[test]
    fn a_failure_has_a_sentence_and_a_code_that_is_known() {
        assert_eq!(check(1 << 8, "foghorn: no memory\n", "read", false), Ok(()));
        assert!(check(1 << 8, "a line of the log\n", "read", false).is_err());
        assert!(check(7 << 8, "foghorn: no memory\n", "read", false).is_err());
        assert!(check(11, "foghorn: no memory\n", "read", false).is_err());
    }

    #[test]
    fn a_panic_is_never_one() {
        assert!(check(0, "thread 'log' panicked at x.rs:1\n", "read", true).is_err());
        let of_tiny_http = "thread 'x' panicked at x.rs:1\nfailed to spawn thread: Os { code: 11 }\n";
        assert_eq!(check(0, of_tiny_http, "clone3", true), Ok(()));
        assert!(check(0, of_tiny_http, "read", true).is_err());
        assert!(check(0, &format!("{of_tiny_http}thread 'y' panicked at y.rs:1\nno\n"), "clone3", true).is_err());
        assert!(check(101 << 8, "foghorn: x\nthread panicked at x.rs:1\n", "read", false).is_err());
    }

    #[test]
    fn without_memory_it_may_be_aborted_if_it_says_so() {
        assert_eq!(check(6, "memory allocation of 8 bytes failed\n", "mmap", false), Ok(()));
        assert!(check(6, "memory allocation of 8 bytes failed\n", "read", false).is_err());
        assert!(check(6, "\n", "mmap", false).is_err());
    }
}
