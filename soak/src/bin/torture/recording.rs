//! Which calls a program makes, how often, and in which part of its life, as strace has seen it when nothing failed.
//!
//! Leaves to `plan` what follows from it. What must stay true: a call is counted as strace counts for a failure, for each thread of its own; what
//! the loader does before our code begins is known by itself, for there nothing of ours is tried.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::{call_of, is_impossible};

/// With this call Rust's own code begins: it looks whether the standard streams are there.
const FIRST_OF_RUST: &str = "poll";

/// What was seen of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often the loader made it.
    pub by_loader: usize,
    /// At which of its times, of one thread or another, it can fail: all but those of which no kernel could have it fail.
    pub times: BTreeSet<usize>,
    /// The first of a thread behind the moment in which it was told to stop.
    pub first_at_stop: Option<usize>,
}

/// Reads a trace. `stop` is when the program was told to stop, in seconds since 1970; `is_whole`: it begins with the program's start.
pub fn read(trace: &str, stop: f64, is_whole: bool) -> BTreeMap<String, Seen> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut is_loading = is_whole;
    for line in trace.lines() {
        let Some((call, _)) = call_of(line) else { continue };
        let mut words = line.split_whitespace();
        let (thread, time) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        is_loading &= call != FIRST_OF_RUST;
        let count = counts.entry((thread.to_owned(), call.to_owned())).or_default();
        *count += 1;
        let its = seen.entry(call.to_owned()).or_default();
        its.by_loader += usize::from(is_loading);
        if !is_impossible(line) {
            its.times.insert(*count);
        }
        if time.parse().is_ok_and(|time: f64| time > stop) {
            its.first_at_stop = Some(its.first_at_stop.map_or(*count, |first| first.min(*count)));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_thread_and_by_part_of_life() {
        let trace = "7 1.0 read(3, 1) = 1\n7 1.1 poll([], 0) = 0\n7 1.2 read(3, 1) = 1\n8 1.3 read(4 <unfinished ...>\n\
                     8 1.4 <... read resumed>) = 1\n8 5.0 read(4, 1) = 1\n7 5.1 fsync(3) = 0\n7 5.2 +++ exited with 0 +++\n";
        let seen = read(trace, 4.0, true);
        assert_eq!(seen["read"], Seen { by_loader: 1, times: [1, 2].into(), first_at_stop: Some(2) });
        assert_eq!(seen["fsync"], Seen { by_loader: 0, times: [1].into(), first_at_stop: Some(1) });
        assert_eq!(read(trace, 9.0, false)["read"], Seen { by_loader: 0, times: [1, 2].into(), first_at_stop: None });
    }
}
