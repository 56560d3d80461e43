//! A server with calls that fail: it is visited, left alone, visited again and stopped.
//!
//! Leaves the visit to `visit`, and what its end is worth to `verdict`. What must stay true: whatever fails, the next visitor is served, or the server has
//! ended in order; it comes to rest, and stops when it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use crate::calls;
use crate::case::{Case, From, Lasts, Target};
use crate::folder::Folder;
use crate::plan::Recorded;
use crate::recording;
use crate::traced::{PATIENCE, Traced};
use crate::verdict::{End, check_words};
use crate::visit::{LARGE_FILE, LARGE_FILE_BYTES, Visitor};

/// How long a step of somebody may take who comes while a call fails.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
/// How long a step of the next visitor may take.
const VISIT_PATIENCE: Duration = Duration::from_secs(10);

/// A server that is to be tortured.
pub struct Server {
    pub traced: Traced,
    pub folder: Folder,
    visitor: Visitor,
    /// How long the next visitor waits.
    pub patience: Duration,
}

impl Server {
    /// Starts it, and does not wait for anything. `nth` gives it an address of its own.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(bin: &Path, target: Target, nth: usize, words: Option<&[String]>) -> Result<Self, String> {
        let has_www = target == Target::Disk;
        let folder = Folder::new(!has_www, nth)?;
        let addresses = addresses(nth);
        let mut program: Vec<String> = vec![bin.display().to_string()];
        for address in addresses {
            program.extend(["--listen".to_owned(), address.to_string()]);
        }
        program.extend(["--state".to_owned(), folder.path().join("state").display().to_string()]);
        if has_www {
            let www = folder.path().join("www");
            make_www(&www).map_err(|error| format!("{}: {error}", www.display()))?;
            program.extend(["--www".to_owned(), www.display().to_string()]);
        }
        let traced = Traced::start(&program, words, &folder.path().join("trace"), b"")?;
        Ok(Self {
            traced,
            folder,
            visitor: Visitor { addresses, has_www, patience: VISIT_PATIENCE },
            patience: PATIENCE,
        })
    }

    /// Where it listens first.
    pub fn address(&self) -> SocketAddr {
        self.visitor.addresses[0]
    }

    /// Waits until it serves; `Some` if it has ended. It is healed once more calls have failed than that: what a thread does in vain is done again by
    /// the next, which strace counts anew.
    ///
    /// # Errors
    /// If it does neither.
    pub fn wait_until_served(
        &mut self,
        wanted: fn(&Visitor) -> Result<(), String>,
        failures_max: usize,
    ) -> Result<Option<ExitStatus>, String> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(status) = self.traced.ended() {
                return Ok(Some(status));
            }
            match wanted(&self.visitor) {
                Ok(()) => return Ok(None),
                Err(error) if Instant::now() > deadline => {
                    return Err(format!(
                        "the next visitor is not served within {} s: {error}",
                        self.patience.as_secs()
                    ));
                }
                Err(_) if self.traced.failures().len() > failures_max => self.traced.heal()?,
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn look_around(&self) {
        Visitor { patience: LOOK_PATIENCE, ..self.visitor }.look_around();
    }

    /// Tells it to stop, and waits for its end.
    ///
    /// # Errors
    /// If it goes on.
    pub fn stop(&mut self) -> Result<ExitStatus, String> {
        self.traced.ask_to_stop();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.traced.wait(Duration::from_secs(1)) {
                return Ok(status);
            }
            // Such as to hear of the signal: it would be waited for in vain.
            if self.traced.failures().iter().any(|line| calls::is_impossible(line)) {
                return Err("what has failed cannot fail".to_owned());
            }
            if Instant::now() > deadline {
                return Err(format!("told to stop, it goes on for {} s", PATIENCE.as_secs()));
            }
        }
    }
}

/// An address of this machine that nobody else uses: each server has one of its own.
fn addresses(nth: usize) -> [SocketAddr; 2] {
    let small = |number: usize| u8::try_from(number).expect("it is small");
    let ours = small(64 + std::process::id() as usize % 128);
    // No last byte of 0, which is a network's.
    let [third, last] = [small(nth / 250 % 250), small(1 + nth % 250)];
    [1919, 1920].map(|port| (Ipv4Addr::new(127, ours, third, last), port).into())
}

fn make_www(www: &Path) -> std::io::Result<()> {
    fs::create_dir(www)?;
    fs::write(www.join("index.html"), "<!doctype html><title>A page</title>")?;
    fs::write(www.join("more.txt"), "more")?;
    fs::write(www.join(LARGE_FILE), vec![b'x'; LARGE_FILE_BYTES])
}

/// Records what a server does when nothing fails.
///
/// # Errors
/// If even then something is wrong, or nothing can be traced.
pub fn record(bin: &Path, target: Target, from: From, nth: usize) -> Result<Recorded, String> {
    let words = ["trace=all".to_owned()];
    let is_whole = from == From::Start;
    let mut server = Server::start(bin, target, nth, is_whole.then_some(&words[..]))?;
    let found = server.wait_until_served(Visitor::knock, usize::MAX);
    if !matches!(found, Ok(None)) {
        return Err(format!("with strace and without failures: {found:?}; it says: {}", server.traced.said()[1]));
    }
    if !is_whole {
        server.traced.attach(&words)?;
    }
    if !server.traced.is_traced() {
        return Err("strace does not work here: nothing is traced".to_owned());
    }
    server.visitor.visit().map_err(|error| format!("without failures: {error}"))?;
    server.traced.wait_for_rest()?;
    let stop = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let status = server.stop()?;
    let [_, stderr] = server.traced.said();
    let end = End { status, stderr: &stderr, made: &[], call: "", codes: &[], may_succeed: true };
    end.check().map_err(|error| format!("without failures: {error}: {stderr}"))?;
    let seen = recording::read(&server.traced.trace(), stop, is_whole);
    if !seen.contains_key("accept4") {
        return Err(format!("strace has not seen that it accepts anybody, but {:?}", seen.keys()));
    }
    Ok(Recorded { target, from, seen })
}

/// Runs one case with a server that is started for it.
///
/// # Errors
/// What is wrong.
pub fn run(server: &mut Server, case: &Case, words: &[String]) -> Result<(), String> {
    let is_whole = case.from == From::Start;
    if !is_whole {
        let found = server.wait_until_served(Visitor::knock, usize::MAX)?;
        if let Some(status) = found {
            return Err(format!("it has ended before anything failed ({status})"));
        }
        server.traced.attach(words)?;
    }
    let mut ended = torture(server, case)?;
    let is_asked = ended.is_none();
    if is_asked {
        ended = Some(server.stop()?);
    }
    let status = ended.expect("it has ended");
    let [_, stderr] = server.traced.said();
    let trace = server.traced.trace();
    let made = calls::failures(&trace);
    End { status, stderr: &stderr, made: &made, call: &case.call, codes: &[1], may_succeed: is_asked }.check()
}

/// Visits it, until it is to be stopped or has ended.
fn torture(server: &mut Server, case: &Case) -> Result<Option<ExitStatus>, String> {
    let is_for_ever = case.lasts == Lasts::ForEver;
    if case.from == From::Start {
        // What fails for ever may let nobody in.
        let lasts = matches!(case.lasts, Lasts::ForEver | Lasts::UntilHealed);
        let deadline = Instant::now() + if lasts { LOOK_PATIENCE } else { PATIENCE };
        while server.visitor.knock_soon(LOOK_PATIENCE).is_err() && Instant::now() < deadline {
            if let Some(status) = server.traced.ended() {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    server.look_around();
    if let Some(status) = server.traced.ended() {
        return Ok(Some(status));
    }
    if case.lasts == Lasts::UntilHealed {
        server.traced.wait_for_rest()?;
        server.traced.heal()?;
    }
    let found = if is_for_ever { None } else { server.wait_until_served(Visitor::visit, case.failures())? };
    if found.is_some() {
        return Ok(found);
    }
    server.traced.wait_for_rest()?;
    let [_, stderr] = server.traced.said();
    check_words(&stderr, &case.call)?;
    Ok(server.traced.ended())
}
