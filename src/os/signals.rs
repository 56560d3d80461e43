//! The signals that ask the program to stop, or say that a child has ended.
//!
//! What must stay true: a handler of a signal does no more than write one byte to a socket; a terminal's signal that was ignored at
//! the start stays ignored, since whoever started us has said that the terminal is not ours (`nohup`, or `&` in a script).

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::task::Poll;

use log::{debug, info};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, signal_name};
use smol::stream::{self, Stream, StreamExt};

use crate::runtime::socket::Async;

/// SIGTERM, SIGINT and SIGHUP: the first item asks the server to stop, the second to do so at once. SIGHUP is only ever the first:
/// a terminal that closes sends it twice, by its shell and by the kernel, and a session that ends sends it behind SIGTERM.
///
/// # Errors
/// If the signals cannot be watched.
pub fn stop_signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let pipes = stop_pipes()?.into_iter().map(|(signal, pipe)| Ok((signal, Async::new(pipe)?)));
    let pipes = pipes.collect::<io::Result<Vec<_>>>()?;
    let arrivals = stream::poll_fn(move |cx| {
        let ready = pipes.iter().find_map(|(signal, pipe)| match pipe.poll_read(cx, &mut [0]) {
            Poll::Ready(read) => Some(read.ok().map(|_| *signal)),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    });
    let mut is_stopping = false;
    Ok(arrivals
        .filter(move |signal| {
            let is_first = !std::mem::replace(&mut is_stopping, true);
            match *signal {
                SIGHUP if !is_first => return false,
                SIGHUP => info!("stopping (the terminal has gone)"),
                SIGINT => info!("stopping (interrupted); once more ends it at once"),
                _ => info!("stopping (terminated)"),
            }
            true
        })
        .map(drop))
}

/// Where SIGTERM, SIGINT and SIGHUP arrive: each a byte in a socket that does not block. One that is ignored never does, and has none.
///
/// # Errors
/// If the signals cannot be watched.
pub fn stop_pipes() -> io::Result<Vec<(i32, UnixStream)>> {
    let ignored = ignored_signals(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let mut pipes = Vec::new();
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        // SIGTERM is sent by somebody who means us, and has to end us.
        if signal != SIGTERM && is_among(ignored, signal) {
            debug!("{} was ignored at the start and stays so", signal_name(signal).unwrap_or("a signal"));
        } else {
            pipes.push((signal, pipe_of(signal)?));
        }
    }
    Ok(pipes)
}

/// Where the end of a child arrives, as one of those. SIGCHLD is watched even if it was ignored, since the kernel would then keep no
/// child's status for us (`wait(2)`).
///
/// # Errors
/// If it cannot be watched.
pub fn children() -> io::Result<UnixStream> {
    pipe_of(SIGCHLD)
}

/// How many signals have arrived there since the last time.
pub fn drain(mut pipe: &UnixStream) -> usize {
    let mut arrivals = 0;
    while let Ok(bytes @ 1..) = pipe.read(&mut [0; 64]) {
        arrivals += bytes;
    }
    arrivals
}

/// Its handler may do no more than write to a socket, whose other end is this.
fn pipe_of(signal: i32) -> io::Result<UnixStream> {
    let (told, tells) = UnixStream::pair()?;
    told.set_nonblocking(true)?;
    pipe::register(signal, tells)?;
    Ok(told)
}

/// The signals that are ignored, by what `/proc/self/status` says (`proc(5)`): bit 0 stands for signal 1. None, if it says nothing.
fn ignored_signals(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_among(signals: u64, signal: i32) -> bool {
    signals >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_line_of_that_name() {
        let ignored =
            ignored_signals("SigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n");
        assert!(is_among(ignored, SIGHUP) && is_among(ignored, signal_hook::consts::SIGPIPE));
        assert!(!is_among(ignored, SIGINT) && !is_among(ignored, SIGTERM));
        for unknown in ["", "SigIgn:\t", "SigIgn:\tsome", "SigBlk:\t0000000000000001"] {
            assert_eq!(ignored_signals(unknown), 0, "{unknown:?}");
        }
    }
}
