//! `foghorn send` and `foghorn listen`: how they are started, what they are given, what they write, and their end.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::launch::program;
use super::output::Finished;
use super::wait::{eventually, patience};

/// What a client is started with.
pub struct Invocation {
    args: Vec<OsString>,
    envs: Vec<(String, OsString)>,
    before: String,
}

impl Invocation {
    /// `foghorn` with these words.
    pub fn of(args: &[&str]) -> Self {
        Self { args: args.iter().map(OsString::from).collect(), envs: Vec::new(), before: String::new() }
    }

    /// `foghorn send` to an address, with more words.
    #[expect(clippy::needless_pass_by_value, reason = "an address is a text or a socket's")]
    pub fn send(address: impl ToString, args: &[&str]) -> Self {
        Self::of(&[&["send", &address.to_string()], args].concat())
    }

    /// `foghorn listen` at an address, with more words.
    #[expect(clippy::needless_pass_by_value, reason = "an address is a text or a socket's")]
    pub fn listen(address: impl ToString, args: &[&str]) -> Self {
        Self::of(&[&["listen", &address.to_string()], args].concat())
    }

    /// One more word, which need not be UTF-8.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.to_owned(), value.into()));
        self
    }

    /// Shell commands to run in the process before it becomes the client.
    pub fn before(mut self, commands: &str) -> Self {
        self.before.push_str(commands);
        self.before.push('\n');
        self
    }

    /// Starts it, with a pipe as its standard input, and reads all that it writes.
    pub fn start(self) -> Running {
        let (mut running, stdout) = self.start_unread();
        running.stdout = Captured::of(stdout);
        running
    }

    /// Starts it, and leaves what it writes to standard output in the pipe.
    pub fn start_unread(self) -> (Running, ChildStdout) {
        let mut command: Command = program(&self.before, &self.args);
        command.envs(self.envs).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the client's process starts");
        let stdin = child.stdin.take().expect("it is piped");
        let flags = fcntl_getfl(&stdin).expect("a pipe has flags");
        // The other end has flags of its own.
        fcntl_setfl(&stdin, flags | OFlags::NONBLOCK).expect("a pipe need not block");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = Captured::of(child.stderr.take().expect("it is piped"));
        (Running { child, stdin: Some(stdin), stdout: Captured::of(io::empty()), stderr }, stdout)
    }

    /// Starts it with an empty standard input, and waits for its end.
    pub fn run(self) -> Finished {
        self.run_with(b"")
    }

    /// Starts it with this standard input, and waits for its end.
    pub fn run_with(self, input: &[u8]) -> Finished {
        let mut running = self.start();
        // Whoever needs no input may end before it has read any.
        let _ = running.feed(input.to_vec()).join().expect("the thread has not failed");
        running.finish()
    }
}

/// A client that runs.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Captured,
    stderr: Captured,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input as much as it takes now.
    pub fn offer(&mut self, bytes: &[u8]) -> usize {
        match self.stdin.as_mut().expect("it is open").write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => panic!("its standard input is broken: {error}; {}", self.stderr()),
        }
    }

    /// Writes all of this to its standard input, which stays open.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        eventually("the client reads its standard input", || {
            let taken = self.offer(left);
            left = &left[taken..];
            left.is_empty()
        });
    }

    /// Writes all of this to its standard input from a thread, and ends it.
    pub fn feed(&mut self, bytes: Vec<u8>) -> JoinHandle<io::Result<()>> {
        let mut stdin = self.stdin.take().expect("it is open");
        thread::spawn(move || {
            let mut left = &bytes[..];
            while !left.is_empty() {
                match stdin.write(left) {
                    Ok(taken) => left = &left[taken..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// How many lines it has written to standard output so far.
    pub fn lines_written(&self) -> usize {
        self.stdout.bytes().split(|byte| *byte == b'\n').count() - 1
    }

    /// Waits until it has written exactly this to standard output.
    pub fn expect_stdout(&self, expected: &[u8]) {
        eventually(&format!("it writes {:?}", String::from_utf8_lossy(expected)), || {
            let written = self.stdout();
            assert!(expected.starts_with(&written), "{:?}", String::from_utf8_lossy(&written));
            written == expected
        });
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes()).into_owned()
    }

    /// Waits until standard error has this text.
    pub fn wait_for_stderr(&self, text: &str) {
        let started = Instant::now();
        while !self.stderr().contains(text) {
            assert!(started.elapsed() < patience(), "it never says {text:?}: {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").arg("-c").arg(&kill).status().expect("sh runs").success(), "{kill}");
    }

    /// The most memory that it has had, in KiB; nothing if it has ended.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Its exit status, if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// It has not ended.
    pub fn expect_alive(&mut self) {
        let ended = self.try_exit();
        assert!(ended.is_none(), "it has ended with {ended:?}: {}", self.stderr());
    }

    /// Ends it with no time for anything.
    pub fn kill(mut self) -> Finished {
        self.child.kill().expect("it is our child");
        self.finish()
    }

    /// Ends its standard input, and waits for its end and for all that it has written.
    pub fn finish(self) -> Finished {
        self.finish_within(patience())
    }

    /// The same with another deadline.
    pub fn finish_within(mut self, deadline: Duration) -> Finished {
        self.stdin = None;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.try_exit() {
                break status;
            }
            assert!(started.elapsed() < deadline, "the client does not end: {}", self.stderr());
            thread::sleep(Duration::from_millis(2));
        };
        self.stdout.join();
        self.stderr.join();
        let stdout = String::from_utf8_lossy(&self.stdout()).into_owned();
        let finished = Finished { code: status.code(), stdout, stderr: self.stderr() };
        // What is said of a wrong flag shows the usage, too.
        if finished.code != Some(2) {
            finished.expect_its_own_words();
        }
        finished
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the client's standard error:\n{}", self.stderr());
        }
    }
}

/// What a process writes, byte by byte, as it comes.
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                to.lock().unwrap().extend(&piece[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// Waits until nobody writes any more, the commands that a client has started included.
    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            eventually("nobody holds the client's output any more", || reader.is_finished());
            reader.join().expect("the thread has not failed");
        }
    }
}
