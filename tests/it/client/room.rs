//! Who else is in a channel: who hears everything that is said there, and who says it.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::harness::{
    BINARY, Client, FIN, Frame, GREETING, Invocation, PING, PONG, Running, Server, TEXT, is_emulated, masked, patience,
    post,
};

/// A plain client, which knows nothing of epochs, in a thread of its own.
pub struct Recorder {
    messages: Arc<Mutex<Vec<Frame>>>,
    socket: TcpStream,
    reader: Option<JoinHandle<()>>,
}

impl Recorder {
    pub fn at(server: &Server, path: &str) -> Self {
        let mut client = Client::connect(server.address());
        client.upgrade(server.address(), path, "");
        assert_eq!(client.text(), GREETING);
        let messages = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&messages);
        let socket = client.writer();
        socket.set_read_timeout(None).expect("a socket can wait");
        let reader = thread::spawn(move || {
            let mut writer = client.writer();
            while let Ok(frame) = client.try_frame() {
                match frame.opcode {
                    TEXT | BINARY => to.lock().unwrap().push(frame),
                    PING => drop(writer.write_all(&masked(FIN | PONG, &frame.payload))),
                    _ => {}
                }
            }
        });
        Self { messages, socket, reader: Some(reader) }
    }

    /// What it has heard so far.
    pub fn messages(&self) -> Vec<Frame> {
        self.messages.lock().unwrap().clone()
    }

    /// What it has heard so far, which has to be texts.
    pub fn texts(&self) -> Vec<String> {
        let texts = self.messages().into_iter().map(|frame| {
            assert_eq!(frame.opcode, TEXT, "{frame:?}");
            String::from_utf8(frame.payload).expect("a text is UTF-8")
        });
        texts.collect()
    }

    /// Waits until it has heard so many messages.
    pub fn wait_for(&self, count: usize) {
        self.wait_for_within(count, patience());
    }

    /// The same with another deadline.
    pub fn wait_for_within(&self, count: usize, deadline: Duration) {
        let started = Instant::now();
        while self.messages.lock().unwrap().len() < count {
            let heard = self.messages.lock().unwrap().len();
            assert!(started.elapsed() < deadline, "{heard} messages came, and not {count}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for these texts, which have to be all that comes.
    pub fn expect(&self, texts: &[&str]) {
        self.wait_for(texts.len());
        assert_eq!(self.texts(), texts);
    }

    /// Speaks behind all that is in the log, hears that, and returns what came before, which has to be texts.
    pub fn close(self, server: &Server, path: &str) -> Vec<String> {
        const LAST: &str = "the recorder speaks";
        let mut speaker = Client::join_at(server.address(), path);
        speaker.expect_echo(LAST);
        let started = Instant::now();
        loop {
            let mut texts = self.texts();
            if texts.last().is_some_and(|last| last == LAST) {
                texts.pop();
                return texts;
            }
            assert!(started.elapsed() < patience(), "the recorder hears nothing any more");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The server may be gone already.
        let _ = self.socket.shutdown(Shutdown::Both);
        let joined = self.reader.take().expect("it runs").join();
        assert!(joined.is_ok() || thread::panicking(), "the recorder has failed");
    }
}

/// Lines with the numbers of a range, each with its line feed, of so many bytes with it (if the number is not longer).
pub fn numbered_lines(numbers: Range<usize>, bytes: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    for number in numbers {
        lines.extend(numbered_line(number, bytes).as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// One of these lines, without its line feed.
pub fn numbered_line(number: usize, bytes: usize) -> String {
    let mut line = format!("{number} ");
    while line.len() + 1 < bytes {
        line.push('.');
    }
    line
}

/// The numbers of such lines.
pub fn numbers(lines: &[String]) -> Vec<usize> {
    let number = |line: &String| line.split(' ').next().and_then(|number| number.parse().ok());
    lines.iter().map(|line| number(line).unwrap_or_else(|| panic!("no number in {line:?}"))).collect()
}

/// Fails with the first of these lines that is not the one that has to be there.
pub fn expect_lines(lines: &[String], expected: Range<usize>) {
    let start = expected.start;
    for (nth, number) in numbers(lines).into_iter().enumerate() {
        assert_eq!(number, start + nth, "at place {nth} of {}: lost, repeated or out of order", lines.len());
    }
    assert_eq!(lines.len(), expected.len());
}

/// A listener of the main channel that has come in.
pub fn listener(server: &Server, args: &[&str]) -> Running {
    let before = server.figure("/clients");
    let running = Invocation::listen(server.address(), args).start();
    server.wait_for_figure("/clients", before + 1);
    running
}

/// Publishes texts, each behind the one before.
pub fn say(server: &Server, texts: &[&str]) {
    for text in texts {
        assert_eq!(post(server, "/", "", text.as_bytes()).status, 200);
    }
}

/// Publishes a binary message.
pub fn say_binary(server: &Server, bytes: &[u8]) {
    assert_eq!(post(server, "/", "Content-Type: application/octet-stream\r\n", bytes).status, 200);
}

/// How long a client may take that has to come back several times: its pauses grow to 15 s.
pub fn long_patience() -> Duration {
    6 * patience()
}

/// What chance decides in a test, and the seed of it: a new one, or that of a run that is to be seen again.
pub fn random() -> (u64, Rng) {
    let given = std::env::var("FOGHORN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("FOGHORN_TEST_SEED={seed}");
    (seed, Rng::with_seed(seed))
}

/// The sum of the numbers that lines with these words begin with, as far as there are such lines.
pub fn told_number(stderr: &str, words: &str) -> usize {
    let lines = stderr.lines().filter(|line| line.contains(words));
    let first_number = |line: &str| line.split(' ').find_map(|word| word.parse::<usize>().ok());
    lines.map(|line| first_number(line).unwrap_or_else(|| panic!("no number in {line:?}"))).sum()
}

/// How much memory a client may take that is to take none for what waits, in KiB: the program, and some messages of 1 MiB.
pub fn memory_kib_max() -> u64 {
    (if is_emulated() { 64 + 24 } else { 24 }) * 1024
}
