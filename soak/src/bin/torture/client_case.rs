//! A client for the shell with calls that fail, and a server that is well.
//!
//! Leaves what its end is worth to `verdict`. What must stay true: it ends, with all done or with a sentence and its code; and with 0 only if all is done.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::calls;
use crate::case::{Case, From, Lasts, Target};
use crate::folder::Folder;
use crate::plan::Recorded;
use crate::recording;
use crate::traced::{PATIENCE, Traced};
use crate::verdict::End;

/// How long a client may take before it counts as one that tries again and again.
const SOON: Duration = Duration::from_secs(3);
const WHAT: &str = "what was said last";

/// A client that is to be tortured.
pub struct Client {
    pub traced: Traced,
    pub folder: Folder,
    hub: SocketAddr,
    path: String,
}

impl Client {
    /// Starts it in a channel of its own.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(bin: &Path, target: Target, hub: SocketAddr, nth: usize, words: &[String]) -> Result<Self, String> {
        let folder = Folder::new(true, nth)?;
        let path = format!("/c/client-{nth}");
        let address = format!("{hub}{path}");
        let cursor = folder.path().join("cursor").display().to_string();
        let (rest, input) = if target == Target::Send {
            (vec!["send", &address, "--lines"], format!("first\n{WHAT}\n"))
        } else {
            say(hub, &path)?;
            (vec!["listen", &address, "--history", "1", "--count", "1", "--cursor", &cursor], String::new())
        };
        let program: Vec<String> =
            [bin.display().to_string()].into_iter().chain(rest.into_iter().map(str::to_owned)).collect();
        let traced = Traced::start(&program, Some(words), &folder.path().join("trace"), input.as_bytes())?;
        Ok(Self { traced, folder, hub, path })
    }
}

/// Asks the server that is well, and returns what it says.
fn ask(hub: SocketAddr, request: &str) -> Result<String, String> {
    let answer = || {
        let mut socket = TcpStream::connect_timeout(&hub, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(request.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    answer().map_err(|error: std::io::Error| format!("the server that is well does not answer: {error}"))
}

fn say(hub: SocketAddr, path: &str) -> Result<(), String> {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {hub}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", WHAT.len());
    ask(hub, &format!("{head}{WHAT}")).map(drop)
}

/// Records what a client does when nothing fails.
///
/// # Errors
/// If even then something is wrong, or nothing can be traced.
pub fn record(bin: &Path, target: Target, hub: SocketAddr, nth: usize) -> Result<Recorded, String> {
    let mut client = Client::start(bin, target, hub, nth, &["trace=all".to_owned()])?;
    let status = client.traced.wait(PATIENCE);
    let [_, stderr] = client.traced.said();
    if !status.is_some_and(|status| status.success()) {
        return Err(format!("without failures, a client has ended with {status:?}: {stderr}"));
    }
    let seen = recording::read(&client.traced.trace(), f64::MAX, true);
    if !seen.contains_key("connect") {
        return Err(format!("strace has not seen that a client connects: {stderr}"));
    }
    Ok(Recorded { target, from: From::Start, seen })
}

/// Runs one case with a client that is started for it.
///
/// # Errors
/// What is wrong.
pub fn run(client: &mut Client, case: &Case) -> Result<(), String> {
    let lasts = matches!(case.lasts, Lasts::ForEver | Lasts::UntilHealed);
    let mut ended = client.traced.wait(if lasts { SOON } else { PATIENCE });
    if ended.is_none() {
        client.traced.wait_for_rest()?;
        if case.lasts == Lasts::ForEver {
            client.traced.ask_to_stop();
        } else {
            client.traced.heal()?;
        }
        ended = client.traced.wait(PATIENCE);
    }
    let status = ended.ok_or_else(|| format!("it goes on for {} s", PATIENCE.as_secs()))?;
    let [stdout, stderr] = client.traced.said();
    let trace = client.traced.trace();
    let made = calls::failures(&trace);
    let codes: &[i32] = if case.target == Target::Send { &[1, 3, 4] } else { &[1] };
    End { status, stderr: &stderr, made: &made, call: &case.call, codes, may_succeed: true }.check()?;
    if !status.success() {
        return Ok(());
    }
    let is_done = match case.target {
        Target::Send => {
            let (hub, path) = (client.hub, &client.path);
            ask(hub, &format!("GET {path}?last HTTP/1.1\r\nHost: {hub}\r\nConnection: close\r\n\r\n"))?.ends_with(WHAT)
        }
        // Told to end, it ends in order.
        _ => stdout == format!("{WHAT}\n") || case.lasts == Lasts::ForEver && stdout.is_empty(),
    };
    if is_done { Ok(()) } else { Err(format!("it has ended with 0, and has not done it: {stdout:?}")) }
}
