//! Where log lines go: to a person's terminal, or to the systemd journal; and no more of them than anybody can read.
//!
//! What must stay true: no flood of connections becomes a flood of lines, and what is left out is counted and said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use simple_logger::SimpleLogger;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::config::{LOG_LINES_BURST, LOG_LINES_PER_SEC};

/// Starts logging.
///
/// # Errors
/// If a logger was set before.
pub fn start(level: LevelFilter) -> Result<(), SetLoggerError> {
    let journal = if connected_to_journal() { JournalLog::new().ok() } else { None };
    let to: Box<dyn Log> = match journal {
        Some(journal) => Box::new(journal),
        None => Box::new(SimpleLogger::new().with_level(level).with_utc_timestamps()),
    };
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(Limited { to, allowance: Mutex::new(Allowance::new(Instant::now())) }))
}

/// Passes on what the allowance lets through. Errors and, where somebody has asked for them, debug lines always pass.
struct Limited {
    to: Box<dyn Log>,
    allowance: Mutex<Allowance>,
}

impl Log for Limited {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What libraries say below a warning is for their authors.
        let is_ours = metadata.target().starts_with("foghorn");
        (is_ours || metadata.level() <= Level::Warn) && self.to.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if matches!(record.level(), Level::Warn | Level::Info) {
            let mut allowance = self.allowance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let Some(left_out) = allowance.take(Instant::now()) else { return };
            if left_out > 0 {
                let mut builder = Record::builder();
                builder.level(Level::Warn).target(record.target());
                self.pass_on(&builder.args(format_args!("{left_out} log lines were left out")).build());
            }
        }
        self.pass_on(record);
    }

    fn flush(&self) {
        self.to.flush();
    }
}

impl Limited {
    /// `simple_logger` prints with `eprintln!`, which panics if the line cannot be written. A full disk behind the log must
    /// not end the server.
    fn pass_on(&self, record: &Record<'_>) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.to.log(record)));
    }
}

/// A bucket of lines that fills with time.
#[derive(Debug)]
struct Allowance {
    lines: f64,
    at: Instant,
    left_out: u64,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { lines: f64::from(LOG_LINES_BURST), at: now, left_out: 0 }
    }

    /// Takes one line, if there is one, and returns how many were left out before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(LOG_LINES_PER_SEC);
        self.lines = (self.lines + refilled).min(f64::from(LOG_LINES_BURST));
        self.at = now;
        if self.lines < 1.0 {
            self.left_out += 1;
            return None;
        }
        self.lines -= 1.0;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let passed = (0..10_000).filter(|_| allowance.take(start).is_some()).count();
        assert_eq!(passed, LOG_LINES_BURST as usize);
        let later = start + Duration::from_secs(1);
        assert_eq!(allowance.take(later), Some(10_000 - u64::from(LOG_LINES_BURST)));
        assert_eq!(allowance.take(later), Some(0));
    }
}
