//! A program under strace: started or attached to, healed, watched, and its end.
//!
//! Leaves to `verdict` what an end is worth. What must stay true: the program is our own child, so that its end is its own and not strace's; and
//! a machine on which nothing can be traced is an error, never a success.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::calls;

/// How long anything may take that should be quick, on a busy machine, under strace.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// For how long it is looked at whether it rests.
const QUIET: Duration = Duration::from_secs(1);
/// How long strace may take to get hold of a program.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(20);
/// How often strace is started until it has got hold of a program: where a thread ends at that moment, it gives up.
const ATTEMPTS_MAX: u32 = 20;
/// How long such a thread gets for its end.
const ATTEMPTS_APART: Duration = Duration::from_millis(100);
/// How often it may be found at work before it counts as never coming to rest.
const LOOKS_MAX: u32 = 8;
/// What it may take of the processor in [`QUIET`], in ticks of a hundredth of a second.
const TICKS_MAX: u64 = 8;
/// How often it may give up the processor in [`QUIET`]: under strace, twice for each call.
const SWITCHES_MAX: u64 = 150;
/// Leaves no core behind, and dies with this tool.
const SCRIPT: &str = "ulimit -c 0; exec setpriv --pdeathsig KILL -- \"$@\"";

/// The program, and whoever makes its calls fail.
pub struct Traced {
    child: Child,
    tracer: Option<Child>,
    heard: [Arc<Mutex<Vec<u8>>>; 2],
    listening: Vec<JoinHandle<()>>,
    trace: PathBuf,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The words of strace: which calls are written down, and which fail.
fn strace(trace: &Path, words: &[String]) -> Vec<String> {
    let mut all: Vec<String> = ["strace", "-f", "-qq", "-y", "-ttt", "-I", "2", "-o"].map(str::to_owned).into();
    all.push(trace.display().to_string());
    all.extend(words.iter().flat_map(|word| ["-e".to_owned(), word.clone()]));
    all
}

impl Traced {
    /// Starts it: untraced without `words`, else with them for strace. `input` is what its standard input has.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(program: &[String], words: Option<&[String]>, trace: &Path, input: &[u8]) -> Result<Self, String> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).env("RUST_BACKTRACE", "0");
        if let Some(words) = words {
            // As a grandchild: the program itself is our child.
            command.args(strace(trace, words)).arg("-D");
        }
        command.args(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("sh cannot be started: {error}"))?;
        let heard = [Arc::default(), Arc::default()];
        let mut stdin = child.stdin.take().expect("it is piped");
        // It fits into a pipe, and may be read by nobody.
        let _ = stdin.write_all(input);
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("it is piped")), Box::new(child.stderr.take().expect("it is piped"))];
        let listening = pipes.into_iter().zip(&heard).map(|(pipe, heard)| {
            let heard = Arc::clone(heard);
            thread::spawn(move || listen_to(pipe, &heard))
        });
        let listening = listening.collect();
        Ok(Self { child, tracer: None, heard, listening, trace: trace.to_owned() })
    }

    /// Has strace look at it from now on.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn attach(&mut self, words: &[String]) -> Result<(), String> {
        let mut all = strace(&self.trace, words);
        all.extend(["-p".to_owned(), self.child.id().to_string()]);
        let mut said = String::new();
        for _ in 0..ATTEMPTS_MAX {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).args(&all).stdin(Stdio::null()).stderr(Stdio::piped());
            let mut tracer = command.spawn().map_err(|error| format!("strace cannot be started: {error}"))?;
            if self.wait_until_traced(&mut tracer) {
                self.tracer = Some(tracer);
                return Ok(());
            }
            let _ = tracer.kill();
            let _ = tracer.wait();
            said.clear();
            let _ = tracer.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            thread::sleep(ATTEMPTS_APART);
        }
        Err(format!("strace cannot work here: {}", said.trim_end()))
    }

    /// Whether this one has got hold of all threads. It gives up where one ends meanwhile.
    fn wait_until_traced(&self, tracer: &mut Child) -> bool {
        let deadline = Instant::now() + ATTACH_TIMEOUT;
        while !self.all_traced() {
            if tracer.try_wait().is_ok_and(|ended| ended.is_some()) || Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn all_traced(&self) -> bool {
        let statuses = self.statuses();
        !statuses.is_empty() && statuses.iter().all(|status| field(status, "TracerPid:") != 0)
    }

    /// Ends the failures.
    ///
    /// # Errors
    /// If nobody makes any.
    pub fn heal(&mut self) -> Result<(), String> {
        let statuses = self.statuses();
        let tracer = statuses.first().map_or(0, |status| field(status, "TracerPid:"));
        let tracer = i32::try_from(tracer).ok().and_then(Pid::from_raw);
        if let Some(tracer) = tracer {
            let _ = kill_process(tracer, Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.statuses().iter().any(|status| field(status, "TracerPid:") != 0) {
            if Instant::now() > deadline {
                return Err("strace does not let go of it".to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether strace holds it.
    pub fn is_traced(&self) -> bool {
        self.statuses().first().is_some_and(|status| field(status, "TracerPid:") != 0)
    }

    fn statuses(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok()).collect()
    }

    /// Sends it SIGTERM.
    pub fn ask_to_stop(&self) {
        // It may have ended by itself.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, for so long.
    pub fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + longest;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() > deadline {
                return ended;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it rests: hardly a call and hardly any work for a second. What it has to clear up comes first.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_for_rest(&mut self) -> Result<(), String> {
        let mut last = (0, 0);
        for _ in 0..LOOKS_MAX {
            let before = self.work();
            thread::sleep(QUIET);
            if self.ended().is_some() {
                return Ok(());
            }
            let after = self.work();
            last = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
            if last.0 <= TICKS_MAX && last.1 <= SWITCHES_MAX {
                return Ok(());
            }
        }
        let (ticks, switches) = last;
        Err(format!("it spins: {ticks} % of a processor, and {switches} switches in a second in which nobody asks"))
    }

    /// Its ticks of processor time, and how often its threads gave the processor up.
    fn work(&self) -> (u64, u64) {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // Behind the name in brackets, utime and stime are the 12th and 13th (`proc(5)`).
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<u64> = behind_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
        let switches = self.statuses().iter().map(|status| field(status, "voluntary_ctxt_switches:")).sum();
        (ticks, switches)
    }

    /// What it has said on standard output and standard error, by now; all of it if it has ended.
    pub fn said(&mut self) -> [String; 2] {
        if self.ended().is_some() {
            for listening in self.listening.drain(..) {
                let _ = listening.join();
            }
        }
        [0, 1].map(|nth: usize| String::from_utf8_lossy(&lock(&self.heard[nth])).into_owned())
    }

    /// The failures that were made by now.
    pub fn failures(&self) -> Vec<String> {
        let trace = fs::read(&self.trace).unwrap_or_default();
        calls::failures(&String::from_utf8_lossy(&trace))
    }

    /// What is in the trace.
    pub fn trace(&mut self) -> String {
        if let Some(tracer) = self.tracer.as_mut().filter(|_| self.child.try_wait().is_ok_and(|ended| ended.is_some()))
        {
            let _ = tracer.wait();
        }
        fs::read(&self.trace).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        for child in [Some(&mut self.child), self.tracer.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The number behind a name in a file of `/proc`.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn listen_to(mut pipe: impl Read, heard: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut bytes) {
        lock(heard).extend_from_slice(&bytes[..count]);
    }
}
