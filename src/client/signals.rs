//! What signals tell a client: that it is to stop, and that a command has ended.
//!
//! Leaves to `os` how they arrive, and to its caller what follows. What must stay true: the second request to stop ends the client
//! at once, and a terminal that goes away, which sends SIGHUP twice, is never a second one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::SIGHUP;

use crate::os::signals::{children, drain, stop_pipes};

/// How a client is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With what is under way brought to its end.
    InOrder,
    /// As it is.
    AtOnce,
}

/// What has come since somebody last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Somebody wants it to stop.
    pub stop: Option<Stop>,
    /// Some child may have ended.
    pub child: bool,
}

/// SIGTERM, SIGINT and SIGHUP, of which those of a terminal may be ignored, and SIGCHLD.
#[derive(Debug)]
pub struct Signals {
    stop: Vec<(i32, UnixStream)>,
    children: UnixStream,
    is_stopping: bool,
}

impl Signals {
    /// Watches for them from now on. To be called before the first command starts: whose children's end is ignored can wait for none.
    ///
    /// # Errors
    /// If they cannot be watched.
    pub fn watch() -> io::Result<Self> {
        Ok(Self { stop: stop_pipes()?, children: children()?, is_stopping: false })
    }

    /// What to poll: one of them can be read when a signal has come.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.stop.iter().map(|(_, pipe)| pipe.as_fd()).chain([self.children.as_fd()])
    }

    /// What has come since the last time. It does not wait.
    pub fn take(&mut self) -> Arrived {
        let mut asked = 0;
        let mut is_hung_up = false;
        for (signal, pipe) in &self.stop {
            let arrivals = drain(pipe);
            if *signal == SIGHUP {
                is_hung_up = arrivals > 0;
            } else {
                asked += arrivals;
            }
        }
        let is_second = asked > usize::from(!self.is_stopping);
        let is_first = !self.is_stopping && (asked > 0 || is_hung_up);
        self.is_stopping |= is_first;
        let stop = if is_second { Some(Stop::AtOnce) } else { is_first.then_some(Stop::InOrder) };
        Arrived { stop, child: drain(&self.children) > 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::low_level::raise;

    use super::*;

    const ORDER: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, 0];

    /// Signals that the test itself sends: by number, 0 for SIGCHLD.
    fn signals() -> (Signals, impl FnMut(&[i32])) {
        let (read, mut written): (Vec<_>, Vec<_>) = ORDER
            .map(|_| {
                let (read, written) = UnixStream::pair().unwrap();
                read.set_nonblocking(true).unwrap();
                (read, written)
            })
            .into_iter()
            .unzip();
        let mut pipes: Vec<_> = ORDER.into_iter().zip(read).collect();
        let (_, children) = pipes.pop().unwrap();
        let send = move |signals: &[i32]| {
            for signal in signals {
                let nth = ORDER.iter().position(|known| known == signal).unwrap();
                written[nth].write_all(b"X").unwrap();
            }
        };
        (Signals { stop: pipes, children, is_stopping: false }, send)
    }

    #[test]
    fn the_first_stops_it_in_order_and_the_second_at_once() {
        for (first, second) in [(SIGTERM, SIGTERM), (SIGINT, SIGTERM), (SIGINT, SIGINT), (SIGHUP, SIGTERM)] {
            let (mut signals, mut send) = signals();
            assert_eq!(signals.take(), Arrived { stop: None, child: false });
            send(&[first]);
            assert_eq!(signals.take().stop, Some(Stop::InOrder));
            assert_eq!(signals.take().stop, None);
            send(&[second]);
            assert_eq!(signals.take().stop, Some(Stop::AtOnce));
        }
    }

    #[test]
    fn two_that_come_together_are_two_but_not_with_the_terminal_s_end() {
        for (together, stop) in [
            (&[SIGINT, SIGINT][..], Stop::AtOnce),
            (&[SIGTERM, SIGINT], Stop::AtOnce),
            (&[SIGHUP, SIGHUP], Stop::InOrder),
            (&[SIGTERM, SIGHUP], Stop::InOrder),
        ] {
            let (mut signals, mut send) = signals();
            send(together);
            assert_eq!(signals.take().stop, Some(stop), "{together:?}");
            send(&[SIGHUP]);
            assert_eq!(signals.take().stop, None);
        }
    }

    #[test]
    fn an_end_of_a_child_is_told_once_however_many_ended() {
        let (mut signals, mut send) = signals();
        send(&[0; 100]);
        assert_eq!(signals.take(), Arrived { stop: None, child: true });
        assert_eq!(signals.take(), Arrived { stop: None, child: false });
    }

    #[test]
    fn real_signals_arrive() {
        let mut signals = Signals::watch().unwrap();
        raise(SIGTERM).unwrap();
        let mut polled: Vec<_> = signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        poll(&mut polled, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap();
        assert_eq!(signals.take().stop, Some(Stop::InOrder));
    }
}
