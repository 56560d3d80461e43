//! What a process writes: while it runs, and when it has ended.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// It has said one line for a person, and no panic or backtrace.
    pub fn expect_a_sentence(&self) {
        let stderr = &self.stderr;
        assert!(stderr.starts_with("foghorn: ") && stderr.lines().count() == 1, "{stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("Error {") && !stderr.contains("Os {"), "{stderr}");
    }

    /// Each line on standard error says who says it, and none is for programmers.
    pub fn expect_its_own_words(&self) {
        for line in self.stderr.lines() {
            assert!(line.starts_with("foghorn: "), "{}", self.stderr);
            assert!(!line.contains("Error {") && !line.contains("Os {"), "{line}");
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// What a process writes, as it comes.
pub struct Lines {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    pub fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Waits until the process writes no more.
    pub fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
