//! What one bad client does, step by step, on a socket that never makes the others wait.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

/// How long a connection may take to be accepted by the kernel.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a step may take before the client gives up and goes.
const STEP_TIMEOUT: Duration = Duration::from_secs(8);

/// What is read in a turn at most, in bytes.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// One thing that a client does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends this, as fast as it is taken.
    Send(Vec<u8>),
    /// Sends this, so many bytes in each turn.
    Dribble(Vec<u8>, usize),
    /// Sends this over and over, for so long, in each turn at most so many bytes.
    Flood(Vec<u8>, Duration, usize),
    /// Reads so many bytes in each turn, for so long.
    Read(usize, Duration),
    /// Reads until the server has closed.
    ReadToEnd,
    /// Reads the answer to a handshake.
    ReadHead,
    /// Neither reads nor sends.
    Wait(Duration),
    /// Says that it sends no more.
    HalfClose,
    /// Goes with a reset.
    Reset,
}

/// A client that has connected.
pub struct Actor {
    socket: TcpStream,
    steps: VecDeque<Step>,
    since: Instant,
    /// How much of the present step is done.
    done_bytes: usize,
    /// The end of what was read of a head.
    tail: [u8; 4],
}

/// What became of a turn.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The step needs more time.
    Goes,
    /// It is done.
    Done,
    /// The server has closed, or the connection is broken.
    Over,
}

impl Actor {
    /// Connects; with `small`, so that the kernel holds little for it.
    pub fn connect(address: SocketAddr, small: bool, steps: Vec<Step>) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if small {
            socket.set_recv_buffer_size(4096)?;
        }
        socket.connect_timeout(&address.into(), CONNECT_TIMEOUT)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Self { socket: socket.into(), steps: steps.into(), since: Instant::now(), done_bytes: 0, tail: [0; 4] })
    }

    /// Does a little. Returns whether there is more to do. `budget_bytes` is what may still be sent by all in this turn.
    pub fn turn(&mut self, now: Instant, budget_bytes: &mut usize) -> bool {
        let Some(step) = self.steps.pop_front() else { return false };
        match self.play(&step, now, budget_bytes) {
            Turn::Goes if now - self.since < STEP_TIMEOUT + time_of(&step) => self.steps.push_front(step),
            Turn::Done => (self.since, self.done_bytes) = (now, 0),
            Turn::Goes | Turn::Over => return false,
        }
        !self.steps.is_empty()
    }

    fn play(&mut self, step: &Step, now: Instant, budget_bytes: &mut usize) -> Turn {
        let is_time_up = now - self.since >= time_of(step);
        match step {
            Step::Send(bytes) => self.send(bytes, bytes.len(), budget_bytes),
            Step::Dribble(bytes, bytes_max) => self.send(bytes, *bytes_max, budget_bytes),
            Step::Flood(bytes, _, bytes_max) => {
                if is_time_up && self.done_bytes % bytes.len() == 0 {
                    return Turn::Done;
                }
                let at = self.done_bytes % bytes.len();
                match self.send_some(&bytes[at..], *bytes_max, budget_bytes) {
                    Some(()) => Turn::Goes,
                    None => Turn::Over,
                }
            }
            Step::Read(bytes_max, _) => match self.read(*bytes_max) {
                None => Turn::Over,
                Some(_) if is_time_up => Turn::Done,
                Some(_) => Turn::Goes,
            },
            Step::ReadToEnd => match self.read(READ_BYTES_MAX) {
                None => Turn::Done,
                Some(_) => Turn::Goes,
            },
            Step::ReadHead => self.read_head(),
            Step::Wait(_) if is_time_up => Turn::Done,
            Step::Wait(_) => Turn::Goes,
            Step::HalfClose => match self.socket.shutdown(Shutdown::Write) {
                Ok(()) => Turn::Done,
                Err(_) => Turn::Over,
            },
            Step::Reset => {
                let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
                Turn::Over
            }
        }
    }

    fn send(&mut self, bytes: &[u8], bytes_max: usize, budget_bytes: &mut usize) -> Turn {
        match self.send_some(&bytes[self.done_bytes..], bytes_max, budget_bytes) {
            None => Turn::Over,
            Some(()) if self.done_bytes == bytes.len() => Turn::Done,
            Some(()) => Turn::Goes,
        }
    }

    /// `None`: the connection is broken.
    fn send_some(&mut self, bytes: &[u8], bytes_max: usize, budget_bytes: &mut usize) -> Option<()> {
        let bytes = &bytes[..bytes.len().min(bytes_max).min(*budget_bytes)];
        if bytes.is_empty() {
            return Some(());
        }
        match self.socket.write(bytes) {
            Ok(sent) => {
                self.done_bytes += sent;
                *budget_bytes -= sent;
                Some(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(()),
            Err(_) => None,
        }
    }

    /// `None`: the server has closed, or the connection is broken.
    fn read(&mut self, bytes_max: usize) -> Option<usize> {
        let mut buffer = [0; READ_BYTES_MAX];
        let until = bytes_max.min(buffer.len());
        match self.socket.read(&mut buffer[..until]) {
            Ok(0) => None,
            Ok(read) => Some(read),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    fn read_head(&mut self) -> Turn {
        let mut byte = [0];
        loop {
            match self.socket.read(&mut byte) {
                Ok(1..) => {
                    self.tail.rotate_left(1);
                    self.tail[3] = byte[0];
                    if &self.tail == b"\r\n\r\n" {
                        return Turn::Done;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Goes,
                Ok(0) | Err(_) => return Turn::Over,
            }
        }
    }
}

/// How long a step goes on by its own will.
fn time_of(step: &Step) -> Duration {
    match step {
        Step::Flood(_, time, _) | Step::Read(_, time) | Step::Wait(time) => *time,
        _ => Duration::ZERO,
    }
}
