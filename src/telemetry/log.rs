//! Where log lines go: to a person's terminal, or to the systemd journal; and no more of them than anybody can read.
//!
//! What must stay true: no flood of connections becomes a flood of lines, what is left out is counted and said, and a log
//! that takes nothing (a full disk, a pipe that nobody reads) costs the server lines and nothing else: so a thread of its own
//! writes them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::config::limits::{LOG_FLUSH_TIMEOUT, LOG_LINES_BURST, LOG_LINES_PER_SEC, LOG_QUEUE_LINES};

/// Starts logging.
///
/// # Errors
/// If there is no thread for it, or a logger was set before.
pub fn start(level: LevelFilter) -> Result<(), Box<dyn std::error::Error>> {
    let journal = if connected_to_journal() { JournalLog::new().ok() } else { None };
    let sink: Box<dyn Log> = match journal {
        Some(journal) => Box::new(journal),
        None => Box::new(SimpleLogger::new().with_level(level).with_utc_timestamps()),
    };
    let (queue, entries) = sync_channel(LOG_QUEUE_LINES);
    thread::Builder::new().name("log".into()).spawn(move || write_all(&*sink, &entries))?;
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(Queue { queue, allowance: Mutex::new(Allowance::new(Instant::now())) }))?;
    Ok(())
}

/// What the thread that writes is sent.
enum Entry {
    Line {
        level: Level,
        text: String,
    },
    /// All lines before this one are to be out before it is answered.
    Flush(SyncSender<()>),
}

/// Puts the lines that the allowance lets through into the queue. Debug lines, which somebody has asked for, always pass.
struct Queue {
    queue: SyncSender<Entry>,
    allowance: Mutex<Allowance>,
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What libraries say below a warning is for their authors.
        metadata.target().starts_with("foghorn") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut allowance = self.allowance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_free = record.level() >= Level::Debug;
        let Some(left_out) = allowance.take(Instant::now(), is_free) else { return };
        if left_out > 0 {
            self.enqueue(&mut allowance, Level::Warn, format!("{left_out} log lines were left out"), left_out);
        }
        self.enqueue(&mut allowance, record.level(), record.args().to_string(), 1);
    }

    fn flush(&self) {
        let (written, is_written) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(written)).is_ok() {
            let _ = is_written.recv_timeout(LOG_FLUSH_TIMEOUT);
        }
    }
}

impl Queue {
    /// Never waits: if the queue is full, these lines count as left out.
    fn enqueue(&self, allowance: &mut Allowance, level: Level, text: String, lines: u64) {
        let entry = Entry::Line { level, text };
        if self.queue.try_send(entry).is_err() {
            allowance.left_out += lines;
        }
    }
}

fn write_all(sink: &dyn Log, entries: &Receiver<Entry>) {
    for entry in entries {
        match entry {
            Entry::Line { level, text } => {
                // simple_logger prints with `eprintln!`, which panics if the line cannot be written.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    sink.log(&Record::builder().level(level).target("foghorn").args(format_args!("{text}")).build());
                }));
            }
            Entry::Flush(written) => {
                sink.flush();
                // Whoever asked may have waited for long enough.
                let _ = written.try_send(());
            }
        }
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
    fn take(&mut self, now: Instant, is_free: bool) -> Option<u64> {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(LOG_LINES_PER_SEC);
        self.lines = (self.lines + refilled).min(f64::from(LOG_LINES_BURST));
        self.at = now;
        if is_free {
            return Some(0);
        }
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
        let passed = (0..10_000).filter(|_| allowance.take(start, false).is_some()).count();
        assert_eq!(passed, LOG_LINES_BURST as usize);
        let later = start + Duration::from_secs(1);
        assert_eq!(allowance.take(later, false), Some(10_000 - u64::from(LOG_LINES_BURST)));
        assert_eq!(allowance.take(later, false), Some(0));
        assert_eq!((0..100).filter(|_| allowance.take(later, true).is_some()).count(), 100, "some are free");
    }
}
