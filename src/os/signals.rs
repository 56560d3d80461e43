//! The signals that ask the server to stop.
//!
//! What must stay true: a handler of a signal does no more than write one byte to a socket; a terminal's signal that was ignored at
//! the start stays ignored, since whoever started us has said that the terminal is not ours (`nohup`, or `&` in a script).

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::task::Poll;

use log::{debug, info};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, signal_name};
use smol::stream::{self, Stream, StreamExt};

use crate::runtime::socket::Async;

/// SIGTERM, SIGINT and SIGHUP: the first item asks the server to stop, the second to do so at once. SIGHUP is only ever the first:
/// a terminal that closes sends it twice, by its shell and by the kernel, and a session that ends sends it behind SIGTERM.
///
/// # Errors
/// If the signals cannot be watched.
pub fn stop_signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let ignored = ignored_signals(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    // SIGTERM is sent by somebody who means us, and has to end us.
    let terminated = arrivals_of(SIGTERM, false)?;
    let interrupted = arrivals_of(SIGINT, is_among(ignored, SIGINT))?;
    let hung_up = arrivals_of(SIGHUP, is_among(ignored, SIGHUP))?;
    let mut is_stopping = false;
    Ok(stream::or(terminated, stream::or(interrupted, hung_up))
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

/// Each arrival of a signal, unless that is ignored. Its handler may do no more than write to a socket, whose other end is read here.
fn arrivals_of(signal: i32, is_ignored: bool) -> io::Result<impl Stream<Item = i32> + Unpin> {
    let told = if is_ignored {
        debug!("{} was ignored at the start and stays so", signal_name(signal).unwrap_or("a signal"));
        None
    } else {
        let (told, tells) = UnixStream::pair()?;
        pipe::register(signal, tells)?;
        Some(Async::new(told)?)
    };
    Ok(stream::poll_fn(move |cx| match &told {
        Some(told) => told.poll_read(cx, &mut [0]).map(|read| read.ok().map(|_| signal)),
        None => Poll::Pending,
    }))
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
