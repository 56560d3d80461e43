//! When changes of files are worth telling: from what happens to single files to what pages are told at a time.
//!
//! Leaves finding out what happens to `watched_folders`, and telling to `reload`; reads no clock. What must stay true: a file that is being
//! written is not told of before its writer closes it or falls silent; what is complete waits for no more than [`CHANGES_HELD_MAX`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use crate::config::reload_limits::{
    CHANGES_APART_MIN, CHANGES_HELD_MAX, CHANGES_PENDING_MAX, CHANGES_QUIET, FOUND_SILENT_MAX, WRITER_SILENT_MAX,
};

/// What pages are told of at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Anything may have changed, and the page itself may have gone.
    Everything,
    /// The files at these paths, in the folder, have changed or come, and none has gone.
    Paths(Vec<String>),
}

/// What has happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is new, and somebody has it open to write it.
    Begun,
    /// It is new, and there as a whole: a link, or a folder.
    Made,
    /// It is there as a whole, perhaps in another's place: moved here.
    Placed,
    /// It is in a new folder, and somebody may have it open to write it.
    Found,
    /// Something was written, and more may follow.
    Written,
    /// Whoever had it open to write it has closed it.
    Closed,
    /// It is not there any more.
    Gone,
}

/// Changes that are not told yet.
#[derive(Debug, Default)]
pub struct Settling {
    pending: BTreeMap<String, Pending>,
    /// When it was last found that anything may have changed.
    everything_at: Option<Instant>,
    /// Since when something waits that is complete.
    waiting_since: Option<Instant>,
    told_at: Option<Instant>,
}

/// A file that has changed.
#[derive(Debug)]
struct Pending {
    before: Before,
    /// Since when it is being written; `None` if it is complete.
    written_since: Option<Instant>,
    /// After so long a silence it is complete.
    silent_max: Duration,
    last_at: Instant,
    is_gone: bool,
}

/// Whether a file was there before it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// If it goes again, nothing has changed. Editors write beside a file, and then rename.
    Absent,
    /// If it goes again, it was an editor's copy, or another has gone with it.
    Unknown,
    Present,
}

impl Pending {
    /// Whether all others wait for it. What is written for longer than others can wait, as a log is, nobody waits for.
    fn holds(&self, now: Instant) -> bool {
        self.written_since.is_some_and(|since| now < since + CHANGES_HELD_MAX)
    }
}

impl Settling {
    /// Notes what has happened to the file at a path.
    pub fn note(&mut self, path: String, event: Event, now: Instant) {
        let before = match event {
            Event::Begun | Event::Made | Event::Found => Before::Absent,
            Event::Placed => Before::Unknown,
            Event::Written | Event::Closed | Event::Gone => Before::Present,
        };
        let is_full = self.pending.len() >= CHANGES_PENDING_MAX;
        match self.pending.entry(path) {
            Entry::Vacant(_) if is_full => self.note_everything(now),
            Entry::Occupied(known) if event == Event::Gone && known.get().before == Before::Absent => {
                known.remove();
            }
            entry => {
                let pending = entry.or_insert(Pending {
                    before,
                    written_since: None,
                    silent_max: WRITER_SILENT_MAX,
                    last_at: now,
                    is_gone: false,
                });
                pending.last_at = now;
                pending.is_gone = event == Event::Gone;
                if matches!(event, Event::Begun | Event::Written | Event::Found) {
                    pending.written_since.get_or_insert(now);
                    pending.silent_max = if event == Event::Found { FOUND_SILENT_MAX } else { WRITER_SILENT_MAX };
                } else {
                    pending.written_since = None;
                    self.waiting_since.get_or_insert(now);
                }
            }
        }
    }

    /// Notes that anything may have changed.
    pub fn note_everything(&mut self, now: Instant) {
        self.everything_at = Some(now);
        self.waiting_since.get_or_insert(now);
    }

    /// What is to be told now, if anything is.
    pub fn take(&mut self, now: Instant) -> Option<Changes> {
        for pending in self.pending.values_mut() {
            if pending.written_since.is_some() && now >= pending.last_at + pending.silent_max {
                pending.written_since = None;
                self.waiting_since.get_or_insert(now);
            }
        }
        if self.due(now)? > now {
            return None;
        }
        let is_complete = |pending: &Pending| pending.written_since.is_none();
        let complete = self.pending.iter().filter(|(_, pending)| is_complete(pending));
        let there = complete.filter(|(_, pending)| !pending.is_gone);
        let paths: Vec<String> = there.map(|(path, _)| path.clone()).collect();
        // What came and has gone beside others that stay was a copy; alone, it may have taken with it what was there before.
        let has_lost = self.pending.values().any(|pending| pending.is_gone && pending.before == Before::Present);
        if has_lost || paths.is_empty() {
            self.note_everything(now);
        }
        self.pending.retain(|_, pending| !is_complete(pending));
        self.waiting_since = None;
        self.told_at = Some(now);
        Some(if self.everything_at.take().is_some() { Changes::Everything } else { Changes::Paths(paths) })
    }

    /// When [`take`](Self::take) may have something, if nothing else happens. `None`: then it never has.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        let due = self.due(now);
        let being_written = self.pending.values().filter(|pending| pending.written_since.is_some());
        let silent = being_written.clone().map(|pending| pending.last_at + pending.silent_max);
        let let_go = being_written.filter_map(|pending| Some(pending.written_since? + CHANGES_HELD_MAX));
        let let_go = let_go.filter(|at| due.is_some() && *at > now);
        due.into_iter().chain(silent).chain(let_go).min()
    }

    /// When what is complete is told; `None` if nothing is.
    fn due(&self, now: Instant) -> Option<Instant> {
        let complete = self.pending.values().filter(|pending| pending.written_since.is_none());
        let last_at = complete.map(|pending| pending.last_at).chain(self.everything_at).max()?;
        let held_until = self.waiting_since.unwrap_or(now) + CHANGES_HELD_MAX;
        let mut holding = self.pending.values().filter(|pending| pending.holds(now));
        let settled = if holding.next().is_some() { held_until } else { held_until.min(last_at + CHANGES_QUIET) };
        Some(self.told_at.map_or(settled, |told_at| settled.max(told_at + CHANGES_APART_MIN)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A moment after the start of a story, in milliseconds.
    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    /// Each time that something is told, in milliseconds, with the paths; all events come at their times, and nothing else wakes anybody
    /// than what `next_look` says.
    fn told(events: &[(u64, &str, Event)]) -> Vec<(u64, String)> {
        let start = Instant::now();
        let mut settling = Settling::default();
        let mut told = Vec::new();
        let mut events = events.iter().peekable();
        let mut now = start;
        loop {
            let next_event = events.peek().map(|(millis, ..)| at(start, *millis));
            let Some(next) = next_event.into_iter().chain(settling.next_look(now)).min() else { return told };
            assert!(next > now || next_event == Some(next), "it is woken for something");
            now = next;
            while let Some((_, path, event)) = events.next_if(|(millis, ..)| at(start, *millis) == now) {
                settling.note((*path).to_owned(), *event, now);
            }
            if let Some(changes) = settling.take(now) {
                let millis = u64::try_from((now - start).as_millis()).unwrap();
                let paths = if let Changes::Paths(paths) = changes { paths.join(" ") } else { "*".to_owned() };
                told.push((millis, paths));
            }
        }
    }

    fn of(told: &[(u64, &str)]) -> Vec<(u64, String)> {
        told.iter().map(|(millis, paths)| (*millis, (*paths).to_owned())).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "they are a few seconds")]
    const fn millis(limit: Duration) -> u64 {
        limit.as_millis() as u64
    }
    const QUIET: u64 = millis(CHANGES_QUIET);
    const HELD: u64 = millis(CHANGES_HELD_MAX);
    const APART: u64 = millis(CHANGES_APART_MIN);
    const SILENT: u64 = millis(WRITER_SILENT_MAX);

    #[test]
    fn a_burst_is_told_once_when_it_is_quiet() {
        use Event::{Closed, Written};
        let burst = [(0, "b", Written), (1, "b", Closed), (30, "a", Written), (50, "a", Closed), (50, "b", Closed)];
        assert_eq!(told(&burst), of(&[(50 + QUIET, "a b")]));
    }

    #[test]
    fn what_editors_write_beside_a_file_is_no_change() {
        use Event::{Begun, Closed, Gone, Placed, Written};
        let vim =
            [(0, "4913", Begun), (0, "4913", Closed), (1, "4913", Gone), (2, "x.css", Gone), (2, "x.bak", Placed)];
        let vim = [&vim[..], &[(3, "x.css", Begun), (4, "x.css", Written), (5, "x.css", Closed), (6, "x.bak", Gone)]];
        assert_eq!(told(&vim.concat()), of(&[(6 + QUIET, "x.css")]));
        let sed = [(0, "sedX", Begun), (0, "sedX", Written), (0, "sedX", Closed), (1, "sedX", Gone), (1, "x", Placed)];
        assert_eq!(told(&sed), of(&[(1 + QUIET, "x")]));
        let jet = [(0, "x_tmp", Begun), (0, "x_tmp", Closed), (1, "x", Gone), (1, "x_old", Placed)];
        let jet = [&jet[..], &[(2, "x_tmp", Gone), (2, "x", Placed), (3, "x_old", Gone)]];
        assert_eq!(told(&jet.concat()), of(&[(3 + QUIET, "x")]));
        assert_eq!(told(&[(0, "lock", Event::Made), (1, "lock", Gone)]), []);
        assert_eq!(told(&[(0, "x", Gone)]), of(&[(QUIET, "*")]), "what was there before is missed");
    }

    #[test]
    fn what_was_replaced_and_then_deleted_is_missed() {
        use Event::{Begun, Closed, Gone, Placed};
        let replaced = [(0, "new", Begun), (0, "new", Closed), (1, "new", Gone), (1, "x", Placed)];
        let again = [(400, "new", Begun), (400, "new", Closed), (401, "new", Gone), (401, "x", Placed)];
        let deleted = [&replaced[..], &again, &[(700, "x", Gone)]];
        assert_eq!(told(&deleted.concat()), of(&[(1 + QUIET, "x"), (1 + QUIET + APART, "*")]));
    }

    #[test]
    fn a_file_found_in_a_new_folder_is_told_of_when_nothing_is_written_to_it() {
        use Event::{Closed, Found, Made, Written};
        let new = [(0, "n", Made), (0, "n/x", Found), (400, "n/x", Written), (1500, "n/x", Closed)];
        assert_eq!(told(&new), of(&[(1500 + QUIET, "n n/x")]));
        assert_eq!(told(&new[..2]), of(&[(millis(FOUND_SILENT_MAX), "n n/x")]));
    }

    #[test]
    fn a_file_that_is_being_written_is_told_of_when_it_is_closed_or_its_writer_silent() {
        use Event::{Begun, Closed, Written};
        let slow = [(0, "x", Begun), (500, "x", Written), (4000, "x", Written), (8000, "x", Closed)];
        assert_eq!(told(&slow), of(&[(8000 + QUIET, "x")]));
        assert_eq!(told(&slow[..2]), of(&[(500 + SILENT, "x")]));
    }

    #[test]
    fn others_wait_for_what_is_being_written_but_not_for_long() {
        use Event::{Closed, Written};
        let soon = [(0, "page", Closed), (10, "style", Written), (900, "style", Closed)];
        assert_eq!(told(&soon), of(&[(900 + QUIET, "page style")]));
        let late = [(0, "page", Closed), (10, "film", Written), (3000, "film", Written), (3500, "film", Closed)];
        assert_eq!(told(&late), of(&[(HELD, "page"), (3500 + QUIET, "film")]));
        // What has been written for long is known to be no part of what is saved now.
        let log: Vec<_> = (0..=40).map(|nth| (nth * 100, "log", Written)).collect();
        let mut with_page = log.clone();
        with_page.insert(35, (3450, "page", Closed));
        with_page.sort_by_key(|(millis, ..)| *millis);
        assert_eq!(told(&with_page)[0], (3450 + QUIET, "page".to_owned()));
    }

    #[test]
    fn an_endless_stream_of_changes_is_told_again_and_again_but_in_no_storm() {
        use Event::Closed;
        let often: Vec<_> = (0..200).map(|nth| (nth * 40, "x", Closed)).collect();
        let times: Vec<u64> = told(&often).iter().map(|(millis, _)| *millis).collect();
        assert_eq!(times[..3], [HELD, 2 * HELD + 40, 3 * HELD + 80], "it is never quiet");
        let seldom: Vec<_> = (0..20).map(|nth| (nth * 200, "x", Closed)).collect();
        let times: Vec<u64> = told(&seldom).iter().map(|(millis, _)| *millis).collect();
        assert_eq!(times[..3], [QUIET, QUIET + APART, QUIET + 2 * APART]);
    }

    #[test]
    fn of_too_many_changes_at_once_it_is_said_that_anything_may_have_changed() {
        let start = Instant::now();
        let mut settling = Settling::default();
        for nth in 0..=CHANGES_PENDING_MAX {
            settling.note(nth.to_string(), Event::Closed, start);
        }
        assert_eq!(settling.pending.len(), CHANGES_PENDING_MAX);
        assert_eq!(settling.take(start), None);
        assert_eq!(settling.take(start + CHANGES_QUIET), Some(Changes::Everything));
        assert_eq!(settling.next_look(start + CHANGES_QUIET), None);
    }
}
