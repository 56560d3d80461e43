//! One who posts to more channels than there may be.
//!
//! What must stay true: the channels of all others are in use whenever it asks for one more, or they would be forgotten for it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use soak::message::Name;
use soak::told::Who;
use soak::wire::{Broken, TIMEOUT, connect};

use crate::askers::Asker;
use crate::round::{CHANNELS, IN_USE, Round};

/// Posts to more channels than there may be, so that they are forgotten one for another, and looks at what is left of them. Nobody else asks
/// for these, so an epoch that is over must not come back.
pub fn run(round: &Round, writer: u32, rng: Rng) -> Result<(), String> {
    let mut asker = Asker::new(round, Who("rover", 0), IN_USE, rng);
    let mut sitters = Vec::new();
    let mut nth = 0;
    while round.is_loaded() {
        thread::sleep(Duration::from_millis(asker.rng.u64(..8)));
        if !sit(&mut asker, &mut sitters)? {
            continue;
        }
        asker.channel = asker.rng.usize(IN_USE..CHANNELS.len());
        let channel = asker.channel;
        let since = round.book.mark(channel);
        if asker.rng.bool() {
            let Some(answer) = asker.ask("GET", "?last", "", b"")? else { continue };
            // Without a position there is no such channel now.
            let Some((epoch, seq)) = answer.position() else { continue };
            let told = round.book.told(asker.who, "?last");
            if answer.status == 200 {
                let is_binary = answer.header("Content-Type") == Some("application/octet-stream");
                round.book.message(channel, (epoch, seq), (&answer.body, is_binary), told)?;
            }
            round.book.head(channel, epoch, seq, &since, told)?;
            continue;
        }
        nth += 1;
        let name = Name { writer, nth };
        let kind = if name.is_binary() { "application/octet-stream" } else { "text/plain" };
        let lines = format!("Content-Type: {kind}\r\n");
        let Some(answer) = asker.ask("POST", "", &lines, name.text().as_bytes())? else { continue };
        let Some((epoch, seq)) = answer.position().filter(|_| answer.status == 200) else {
            if answer.status == 503 {
                continue;
            }
            return asker.wrong("the answer to its post", &format!("{answer:?}"));
        };
        let told = round.book.told(asker.who, "the answer to its post");
        round.book.message(channel, (epoch, seq), (name.text().as_bytes(), name.is_binary()), told)?;
        round.book.head(channel, epoch, seq, &since, told)?;
    }
    Ok(())
}

/// Sits down in the channels of all others. Who sits there has come after the first request of the connection by which is asked next: when the
/// server is killed, both end. Just after a start nobody is there, and then channels that were in use may be forgotten, too.
fn sit(asker: &mut Asker<'_>, sitters: &mut Vec<TcpStream>) -> Result<bool, String> {
    let goes_on = asker.socket.is_some() && sitters.iter_mut().all(reads_all);
    if goes_on && sitters.len() == IN_USE {
        return Ok(true);
    }
    sitters.clear();
    if asker.ask("GET", "?status", "", b"")?.is_none() || asker.socket.is_none() {
        return Ok(false);
    }
    for path in &CHANNELS[..IN_USE] {
        match sitter(asker, path) {
            Ok(Some(sitter)) => sitters.push(sitter),
            Ok(None) => return Ok(false),
            Err(broken) => return broken.sentence().map_or(Ok(false), Err),
        }
    }
    Ok(true)
}

/// A stream that is there; `None` if the server ends just now.
fn sitter(asker: &mut Asker<'_>, path: &str) -> Result<Option<TcpStream>, Broken> {
    let mut socket = connect(asker.round.address(&mut asker.rng), TIMEOUT)?;
    write!(socket, "GET {path}?as=events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = [0; 4096];
    let is_there = socket.read(&mut answer)? > 0 && answer.starts_with(b"HTTP/1.1 200 ");
    socket.set_nonblocking(true)?;
    Ok(Some(socket).filter(|_| is_there))
}

/// Takes all that has come, so that nobody waits for it. Whether the connection goes on.
fn reads_all(socket: &mut TcpStream) -> bool {
    let mut bytes = [0; 8 * 1024];
    loop {
        match socket.read(&mut bytes) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            _ => return false,
        }
    }
}
