//! Where log lines go: to a person's terminal, or to the systemd journal; and no more of them than anybody can read.
//!
//! What must stay true: no flood of connections becomes a flood of lines, what is left out is counted and said, soon even if
//! nothing follows, and a log that takes nothing (a full disk, a pipe that nobody reads) costs the server lines and nothing else:
//! so a thread of its own writes them. It wakes an idle board only to say what was left out.

use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::config::limits::{
    LOG_FLUSH_TIMEOUT, LOG_LEFT_OUT_DELAY, LOG_LINES_BURST, LOG_LINES_PER_SEC, LOG_QUEUE_LINES,
};
use crate::runtime::clock;

/// What the thread is called that writes lines.
const THREAD: &str = "log";

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
    keep_quiet_where_lines_cannot_be_written();
    let queue = Queue::start(sink)?;
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(queue))?;
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
    /// A line was left out, and none before it that is not said yet.
    LeftOut,
}

/// Puts the lines that the allowance lets through into the queue. Debug lines, which somebody has asked for, always pass.
struct Queue {
    queue: SyncSender<Entry>,
    allowance: Arc<Mutex<Allowance>>,
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
        let mut allowance = lock(&self.allowance);
        let is_free = record.level() >= Level::Debug;
        let Some(left_out) = allowance.take(clock::now(), is_free) else {
            if allowance.left_out == 1 {
                // A full queue wakes the thread as well, which looks after each entry.
                let _ = self.queue.try_send(Entry::LeftOut);
            }
            return;
        };
        if left_out > 0 {
            self.enqueue(&mut allowance, Level::Warn, left_out_text(left_out), left_out);
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

/// Printing panics where a line cannot be written, and whoever reads on would find that panic's words in place of it.
fn keep_quiet_where_lines_cannot_be_written() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(THREAD) {
            report(panic);
        }
    }));
}

impl Queue {
    /// Starts the thread that writes lines to `sink`.
    fn start(sink: Box<dyn Log>) -> io::Result<Self> {
        let (queue, entries) = sync_channel(LOG_QUEUE_LINES);
        let allowance = Arc::new(Mutex::new(Allowance::new(clock::now())));
        let writer = Writer { sink, allowance: Arc::clone(&allowance) };
        thread::Builder::new().name(THREAD.into()).spawn(move || writer.write_all(&entries))?;
        Ok(Self { queue, allowance })
    }

    /// Never waits: if the queue is full, these lines count as left out.
    fn enqueue(&self, allowance: &mut Allowance, level: Level, text: String, lines: u64) {
        let entry = Entry::Line { level, text };
        if self.queue.try_send(entry).is_err() {
            allowance.left_out += lines;
        }
    }
}

fn left_out_text(lines: u64) -> String {
    format!("{lines} log lines were left out")
}

fn lock(allowance: &Mutex<Allowance>) -> MutexGuard<'_, Allowance> {
    allowance.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The thread that writes lines out.
struct Writer {
    sink: Box<dyn Log>,
    allowance: Arc<Mutex<Allowance>>,
}

impl Writer {
    /// Writes until nobody can send any more. It waits with a deadline only while something is left out, and says that at the
    /// deadline unless a line that passes has said it before.
    fn write_all(&self, entries: &Receiver<Entry>) {
        let mut due = None;
        loop {
            let now = clock::now();
            due = (lock(&self.allowance).left_out > 0).then(|| due.unwrap_or(now + LOG_LEFT_OUT_DELAY));
            let received = match due {
                None => entries.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) if due > now => entries.recv_timeout(due - now),
                Some(_) => Err(RecvTimeoutError::Timeout),
            };
            match received {
                Ok(Entry::Line { level, text }) => self.write(level, &text),
                Ok(Entry::Flush(written)) => {
                    self.say_what_was_left_out();
                    self.sink.flush();
                    // Whoever asked may have waited for long enough.
                    let _ = written.try_send(());
                }
                Ok(Entry::LeftOut) => {}
                Err(RecvTimeoutError::Timeout) => self.say_what_was_left_out(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn say_what_was_left_out(&self) {
        let left_out = std::mem::take(&mut lock(&self.allowance).left_out);
        if left_out > 0 {
            self.write(Level::Warn, &left_out_text(left_out));
        }
    }

    fn write(&self, level: Level, text: &str) {
        // simple_logger prints with `eprintln!`, which panics if the line cannot be written.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.sink.log(&Record::builder().level(level).target("foghorn").args(format_args!("{text}")).build());
        }));
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
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Long enough for whatever has to happen.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Hands on what is written.
    struct Sink(Sender<String>);

    impl Log for Sink {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            self.0.send(record.args().to_string()).expect("the test reads");
        }

        fn flush(&self) {}
    }

    /// A log with so many more lines than it writes at once, and what it has written. Nothing follows them.
    fn after_a_flood(lines: u32) -> (Queue, Receiver<String>) {
        let (sink, written) = channel();
        let queue = Queue::start(Box::new(Sink(sink))).expect("a thread");
        for _ in 0..lines {
            queue.log(&Record::builder().level(Level::Info).target("foghorn").args(format_args!("a line")).build());
        }
        (queue, written)
    }

    /// How many lines it accounts for: 1 that is written, or those that were left out.
    fn lines_in(written: &str) -> u32 {
        written.strip_suffix(" log lines were left out").map_or(1, |count| count.parse().expect("a number"))
    }

    #[test]
    fn what_a_flood_leaves_out_is_said_although_nothing_follows() {
        const FLOOD: u32 = 10 * LOG_LINES_BURST;
        let (_queue, written) = after_a_flood(FLOOD);
        let mut lines = 0;
        while lines < FLOOD {
            let line = written.recv_timeout(PATIENCE);
            lines += lines_in(&line.unwrap_or_else(|_| panic!("{lines} lines of {FLOOD} are accounted for")));
        }
        assert_eq!(lines, FLOOD, "none is counted twice");
    }

    #[test]
    fn what_a_flood_leaves_out_is_said_before_the_end() {
        const FLOOD: u32 = 10 * LOG_LINES_BURST;
        let (queue, written) = after_a_flood(FLOOD);
        let (answer, is_out) = sync_channel(1);
        queue.queue.send(Entry::Flush(answer)).expect("the thread runs");
        is_out.recv_timeout(PATIENCE).expect("it is answered");
        assert_eq!(written.try_iter().map(|line| lines_in(&line)).sum::<u32>(), FLOOD);
    }

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
