//! Waiting until one of several descriptors has something, or a moment has come.
//!
//! What must stay true: a moment that has passed is no reason to wait; a signal that interrupts is none to fail.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What is waited for at a descriptor. That it has broken, or that nobody is at its other end, is always told.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'fd> {
    /// The descriptor.
    pub fd: BorrowedFd<'fd>,
    /// Something to read, or its end.
    pub reads: bool,
    /// Room to write.
    pub writes: bool,
}

/// What a descriptor has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Something to read, or its end.
    pub reads: bool,
    /// Room to write.
    pub writes: bool,
    /// It has broken, or nobody is at its other end.
    pub is_broken: bool,
}

impl<'fd> Interest<'fd> {
    /// In something to read.
    pub fn reads(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, reads: true, writes: false }
    }

    /// What it has now.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn look(self) -> io::Result<Ready> {
        let ready = wait([self], Some(Instant::now()))?;
        Ok(ready[0])
    }
}

/// Waits for one of them, or until then. What each has comes back in their order.
///
/// # Errors
/// If the kernel refuses.
pub fn wait<'fd>(interests: impl IntoIterator<Item = Interest<'fd>>, until: Option<Instant>) -> io::Result<Vec<Ready>> {
    let flags = |interest: &Interest<'_>| {
        let reads = if interest.reads { PollFlags::IN } else { PollFlags::empty() };
        let writes = if interest.writes { PollFlags::OUT } else { PollFlags::empty() };
        reads | writes
    };
    let fds = interests.into_iter().map(|interest| PollFd::from_borrowed_fd(interest.fd, flags(&interest)));
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = left.map(|left| Timespec::try_from(left).unwrap_or(LONGEST));
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fds.iter().map(|fd| ready(fd.revents())).collect())
}

/// For what the kernel cannot count to.
const LONGEST: Timespec = Timespec { tv_sec: 86_400, tv_nsec: 0 };

fn ready(flags: PollFlags) -> Ready {
    Ready {
        reads: flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        writes: flags.contains(PollFlags::OUT),
        is_broken: flags.intersects(PollFlags::HUP | PollFlags::ERR),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_tells_what_it_has_in_its_place() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (silent, _other) = UnixStream::pair().unwrap();
        theirs.write_all(b"x").unwrap();
        let both = [Interest::reads(silent.as_fd()), Interest { writes: true, ..Interest::reads(ours.as_fd()) }];
        let expected = [Ready::default(), Ready { reads: true, writes: true, is_broken: false }];
        assert_eq!(wait(both, None).unwrap(), expected);
        drop(theirs);
        let nothing = Interest { fd: ours.as_fd(), reads: false, writes: false };
        assert!(nothing.look().unwrap().is_broken, "it is told to who wants nothing");
    }

    #[test]
    fn a_moment_ends_the_waiting_and_one_that_has_passed_at_once() {
        let (silent, _other) = UnixStream::pair().unwrap();
        let began = Instant::now();
        for until in [began, began + Duration::from_millis(20)] {
            assert_eq!(wait([Interest::reads(silent.as_fd())], Some(until)).unwrap(), [Ready::default()]);
            assert!(Instant::now() >= until);
        }
    }
}
