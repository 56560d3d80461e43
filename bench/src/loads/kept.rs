//! A connection that is kept for many requests and never waited for: one thread has hundreds of them.
//!
//! What is asked over it, and whether the answer is right, is left to the loads. What must stay true: looking whether
//! an answer has come registers nothing with the kernel, so a server does not pay for waking a load that spins.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::fleet::Waiting;
use crate::loads::answers::{self, Answers};

/// As large as the page's largest file, so that most answers come with one read.
const READ_BUFFER_BYTES: usize = 1 << 14;

/// A connection with at most one request under way.
#[derive(Debug)]
pub struct Kept {
    stream: TcpStream,
    addr: SocketAddr,
    /// What the socket has not taken yet.
    outgoing: Vec<u8>,
    answers: Answers,
}

impl Kept {
    /// Starts to connect.
    pub fn start(addr: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))
            .context("no socket for a visitor: is the file limit (ulimit -n) large enough?")?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // As in `client`: a reset at the end, so that ports do not run out.
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&addr.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(e) => return Err(e).with_context(|| format!("cannot connect to {addr}")),
        }
        Ok(Self { stream: socket.into(), addr, outgoing: Vec::new(), answers: Answers::default() })
    }

    /// Asks for a path; at once, or as soon as it is connected.
    pub fn ask(&mut self, path: &str) -> Result<()> {
        self.outgoing.extend_from_slice(answers::request(path, self.addr).as_bytes());
        self.send()
    }

    /// Posts this body to a path; at once, or as soon as it is connected.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Result<()> {
        self.outgoing.extend(answers::post(path, self.addr, body));
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(n) => drop(self.outgoing.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e).context("a request could not be sent"),
            }
        }
        Ok(())
    }

    /// Does what [`ready`] has found it ready for; the body of the answer, once all of it is here.
    pub fn go_on(&mut self) -> Result<Option<Vec<u8>>> {
        self.send()?;
        let mut buffer = [0; READ_BUFFER_BYTES];
        match self.stream.read(&mut buffer) {
            Ok(0) => bail!("the server ended a connection that had a request under way"),
            Ok(n) => self.answers.feed(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e).context("an answer could not be read"),
        }
        self.answers.take()
    }
}

/// Which of these can go on, by their place.
pub fn ready<'a>(connections: impl Iterator<Item = &'a Kept>, waiting: Waiting) -> Result<Vec<usize>> {
    let flags = |kept: &Kept| if kept.outgoing.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
    let mut polled: Vec<_> = connections.map(|kept| PollFd::new(&kept.stream, flags(kept))).collect();
    let patience = match waiting {
        Waiting::Spin => Duration::ZERO,
        Waiting::Sleep => Duration::from_millis(5),
    };
    match poll(&mut polled, Some(&Timespec::try_from(patience).context("a wait is short")?)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(e).context("waiting for answers failed"),
    }
    Ok((0..polled.len()).filter(|&i| !polled[i].revents().is_empty()).collect())
}
