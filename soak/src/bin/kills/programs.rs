//! `foghorn listen --cursor`, which is killed now and then, and `foghorn send --lines`.
//!
//! What must stay true: a listener that was killed may say again what it has said, and never leaves anything out; a sender that ends with 0 has
//! brought each of its lines into the log, once and in order.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use soak::message::Name;
use soak::told::Who;

use crate::round::{CHANNELS, Round};

/// A listener that has not got what is there for so long is killed, since its pauses grow with each kill of the server.
const LAG_MAX: Duration = Duration::from_millis(300);
/// A sender may make pauses of 15 s.
const SENDER_TIMEOUT: Duration = Duration::from_secs(60);

fn start(round: &Round, words: &[&str], rng: &mut Rng, channel: usize) -> Result<Child, String> {
    round.book.note_join();
    let address = format!("{}{}", round.address(rng), CHANNELS[channel]);
    let mut command = Command::new("setpriv");
    // Dies with this tool.
    command.args(["--pdeathsig", "KILL", "--"]).arg(&round.bin).args([words[0], &address]).args(&words[1..]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| format!("{} cannot be started: {error}", words[0]))
}

/// What a program that has ended has said on standard error.
fn said(child: &mut Child) -> String {
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    said
}

/// A listener, and where it is.
struct Listener<'a> {
    round: &'a Round,
    who: Who,
    channel: usize,
    place: usize,
    position: Option<(String, u64)>,
}

/// Has a listener run until the round is over, and kills it now and then. Returns how often.
pub fn listen(round: &Round, nth: usize, channel: usize, mut rng: Rng) -> Result<u32, String> {
    let place = round.book.add_reader(channel);
    let mut listener = Listener { round, who: Who("listener", nth), channel, place, position: None };
    let cursor = round.folder.join(format!("cursor-{nth}"));
    let path = cursor.to_string_lossy().into_owned();
    let mut runs = 0;
    while !round.is_over() {
        runs += 1;
        let words = ["listen", "--cursor", &path, "--json", "--quiet"];
        let mut child = start(round, &words, &mut rng, channel)?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let has_ended = AtomicBool::new(false);
        let checked = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let checked = listener.read(lines);
                has_ended.store(true, Relaxed);
                checked
            });
            supervise(round, (channel, place), &cursor, &has_ended, &mut rng);
            let _ = child.kill();
            reading.join().unwrap_or_else(|_| Err("a listener's reader has panicked".to_owned()))
        });
        let status = child.wait().map_err(|error| error.to_string())?;
        checked?;
        let said = said(&mut child);
        // The first connection has to succeed, and the server may be killed just then.
        let is_expected = said.is_empty() || status.code() == Some(1) && !said.contains("lost:");
        if !is_expected {
            return Err(format!("{} ended with {status} and said: {said}", round.book.told(listener.who, "itself")));
        }
    }
    Ok(runs)
}

/// Waits until a listener has ended, is to be killed, or has been behind for long. Its file says that it has come in.
fn supervise(round: &Round, (channel, place): (usize, usize), cursor: &Path, has_ended: &AtomicBool, rng: &mut Rng) {
    let until = Instant::now() + Duration::from_millis(rng.u64(200..4000));
    let mut behind_since = None;
    while !has_ended.load(Relaxed) && !round.is_over() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
        let lag = round.book.lag(channel, place);
        if lag == u64::MAX {
            // Nobody says anything before all are there.
            if let Some((epoch, "0")) = fs::read_to_string(cursor).unwrap_or_default().trim_end().split_once(':') {
                round.book.move_to(channel, place, epoch, 0);
            }
        } else if lag == 0 {
            behind_since = None;
        } else if behind_since.get_or_insert_with(Instant::now).elapsed() > LAG_MAX {
            return;
        }
    }
}

impl Listener<'_> {
    /// Reads what it says until it has ended.
    fn read(&mut self, mut lines: BufReader<ChildStdout>) -> Result<(), String> {
        let mut line = String::new();
        let mut is_first = true;
        loop {
            line.clear();
            if lines.read_line(&mut line).is_err() || !line.ends_with('\n') {
                return Ok(());
            }
            self.check(&line, is_first)?;
            is_first = false;
        }
    }

    fn check(&mut self, line: &str, is_first: bool) -> Result<(), String> {
        let told = self.round.book.told(self.who, "a line");
        let json: Value = serde_json::from_str(line).map_err(|error| format!("{told}: {line:?}: {error}"))?;
        let (Some(epoch), Some(seq), Some(text)) =
            (json["epoch"].as_str(), json["seq"].as_u64(), json["text"].as_str().or(json["base64"].as_str()))
        else {
            return Err(format!("{told}: {line:?}"));
        };
        let is_binary = json["text"].is_null();
        let bytes = if is_binary {
            data_encoding::BASE64.decode(text.as_bytes()).map_err(|error| format!("{told}: {text:?}: {error}"))?
        } else {
            text.as_bytes().to_vec()
        };
        self.round.book.message(self.channel, (epoch, seq), (&bytes, is_binary), told)?;
        if let Some(at) = json["at"].as_u64() {
            self.round.book.came_at(self.channel, (epoch, seq), at, told)?;
        }
        // Nobody says anything before it has come in.
        let (its, last) = self.position.get_or_insert_with(|| (epoch.to_owned(), 0));
        let is_again = is_first && seq <= *last;
        if its != epoch || seq != *last + 1 && !is_again && !self.round.book.has_lost(self.channel) {
            return Err(format!("channel {}: {told}: after {its}:{last} comes {epoch}:{seq}", self.channel));
        }
        *last = seq;
        let last = *last;
        self.round.book.deliveries.fetch_add(1, Relaxed);
        self.round.book.move_to(self.channel, self.place, epoch, last);
        Ok(())
    }
}

/// Sends lines with one program after the other. Returns how many lines were sent.
pub fn send(round: &Round, nth: usize, channel: usize, writer: u32, mut rng: Rng) -> Result<u32, String> {
    let who = Who("sender", nth);
    let mut sent = 0;
    round.busy.fetch_add(1, Relaxed);
    while round.is_loaded() {
        let count = rng.u32(1..=u32::try_from(round.unconfirmed_max).unwrap_or(64));
        let names: Vec<_> = (sent + 1..=sent + count).map(|nth| Name { writer, nth }).collect();
        loop {
            let mut child = start(round, &["send", "--lines", "--quiet"], &mut rng, channel)?;
            let mut stdin = child.stdin.take().expect("it is piped");
            for name in &names {
                while !round.book.has_room(channel) && !round.book.is_over() {
                    thread::sleep(Duration::from_millis(1));
                }
                // It may have ended: then its exit code says why.
                let _ = writeln!(stdin, "{}", name.text());
            }
            drop(stdin);
            let status = wait(&mut child, round)?;
            if round.book.is_over() {
                return Ok(sent);
            }
            let said = said(&mut child);
            match status {
                Some(0) if said.is_empty() => break,
                // The first connection has to succeed, and the server may be killed just then: nothing was sent.
                Some(1) => {}
                _ => return Err(format!("{} ended with {status:?} and said: {said}", round.book.told(who, "itself"))),
            }
        }
        sent += count;
    }
    round.busy.fetch_sub(1, Relaxed);
    Ok(sent)
}

fn wait(child: &mut Child, round: &Round) -> Result<Option<i32>, String> {
    let deadline = Instant::now() + SENDER_TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(status.code());
        }
        if round.book.is_over() || Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            let sentence = format!("`foghorn send` has not ended for {} s", SENDER_TIMEOUT.as_secs());
            return if round.book.is_over() { Ok(None) } else { Err(sentence) };
        }
        thread::sleep(Duration::from_millis(2));
    }
}
