//! A terminal for a server's standard output.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::output::Lines;

/// The near side of a pseudoterminal.
pub struct Terminal {
    written: Lines,
}

impl Terminal {
    /// A terminal, and what the process that is to write to it gets.
    pub fn open() -> (Self, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags).expect("a pseudoterminal");
        grantpt(&near).and_then(|()| unlockpt(&near)).expect("it is ours");
        let far = ioctl_tiocgptpeer(&near, flags).expect("its other side");
        (Self { written: Lines::of(File::from(near)) }, far)
    }

    /// What was written to it, as its driver passes it on: with `\r\n` for each line's end.
    pub fn text(&self) -> String {
        self.written.text()
    }
}
