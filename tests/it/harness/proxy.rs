//! A network that breaks between a client and a server: when, where and how a test says.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use socket2::SockRef;

use super::network::free_listener;
use super::wait::eventually;

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Both sides see a reset.
    Reset,
    /// Both sides see the end.
    End,
    /// Neither side sees anything any more.
    Stall,
}

/// The place in a connection at which it breaks.
#[derive(Debug, Clone, Copy)]
pub enum At {
    /// Behind so many bytes on one way.
    Bytes(Way, usize),
    /// Before these bytes on one way.
    Before(Way, &'static [u8]),
}

/// A break that is planned.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub at: At,
    pub how: How,
}

/// The header of the Pong that confirms what `foghorn send` has sent: it has eight bytes. Texts of ASCII do not have it.
pub const CONFIRMATION: &[u8] = &[0x8a, 8];

/// How much is read of one end of a connection at a time, in bytes.
const TURN_BYTES_MAX: usize = 16 * 1024;

/// Takes connections, and passes on what comes, until it is told not to.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    acceptor: Option<JoinHandle<()>>,
}

struct State {
    backend: Option<SocketAddr>,
    /// Connections that came.
    taken: usize,
    /// How often all connections were broken, and how the last time.
    breaks: (usize, How),
    /// Whether nothing passes for now.
    is_held: bool,
    /// Connections that pass on what comes, and how many of them have seen that nothing passes.
    open: usize,
    held: usize,
    /// Connections that a break of all has stalled.
    stalled: usize,
    /// Confirmations that were passed on.
    confirmations: usize,
    is_over: bool,
}

impl Proxy {
    /// Passes everything on.
    pub fn to(backend: SocketAddr) -> Self {
        Self::cutting(backend, |_| None)
    }

    /// Asks `plan` for each connection, with its number from 0 on, where it breaks.
    pub fn cutting(backend: SocketAddr, plan: impl FnMut(usize) -> Option<Cut> + Send + 'static) -> Self {
        Self::over(free_listener(), backend, plan, TURN_BYTES_MAX)
    }

    /// A network that takes some 50 bytes a second for each of these.
    pub fn slow(backend: SocketAddr, bytes: usize) -> Self {
        let listener = free_listener();
        // What the kernel takes for it the network would have taken.
        SockRef::from(&listener).set_recv_buffer_size(4096).expect("it is set before connecting");
        Self::over(listener, backend, |_| None, bytes)
    }

    fn over(
        listener: TcpListener,
        backend: SocketAddr,
        mut plan: impl FnMut(usize) -> Option<Cut> + Send + 'static,
        turn_bytes: usize,
    ) -> Self {
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a listener need not block");
        let state = State {
            backend: Some(backend),
            taken: 0,
            is_held: false,
            open: 0,
            held: 0,
            breaks: (0, How::Reset),
            stalled: 0,
            confirmations: 0,
            is_over: false,
        };
        let state = Arc::new(Mutex::new(state));
        let its = Arc::clone(&state);
        let acceptor = thread::spawn(move || {
            let mut relays = Vec::new();
            while let Some((nth, client)) = accept(&listener, &its) {
                let (cut, its) = (plan(nth), Arc::clone(&its));
                relays.push(thread::spawn(move || Relay::between(client, cut, turn_bytes, &its)));
            }
            for relay in relays {
                relay.join().expect("the relay has not failed");
            }
        });
        Self { address, state, acceptor: Some(acceptor) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, new connections go to this server.
    pub fn lead_to(&self, backend: SocketAddr) {
        self.state().backend = Some(backend);
    }

    /// From now on, new connections are ended at once.
    pub fn lead_nowhere(&self) {
        self.state().backend = None;
    }

    /// Breaks all connections that there are. An end lets arrive what is on its way to the client.
    pub fn break_all(&self, how: How) {
        let mut state = self.state();
        state.breaks = (state.breaks.0 + 1, how);
        let before = state.stalled;
        drop(state);
        if how == How::Stall {
            eventually("the connection stands still", || self.state().stalled > before);
        }
    }

    /// From now on nothing passes, on connections that there are and on new ones, until it [goes on](Self::go_on).
    pub fn hold(&self) {
        self.state().is_held = true;
        eventually("all connections stand still", || {
            let state = self.state();
            state.held == state.open
        });
    }

    /// Ends a [`hold`](Self::hold). Nothing is lost.
    pub fn go_on(&self) {
        self.state().is_held = false;
    }

    /// Waits until what `foghorn send` has sent was confirmed once.
    pub fn wait_for_confirmation(&self) {
        eventually("it is confirmed what was sent", || self.state().confirmations > 0);
    }

    /// How many connections came.
    pub fn taken(&self) -> usize {
        self.state().taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state().is_over = true;
        let joined = self.acceptor.take().expect("it runs").join();
        assert!(joined.is_ok() || thread::panicking(), "the proxy has failed");
    }
}

/// The next connection and its number, until the proxy is over.
fn accept(listener: &TcpListener, state: &Mutex<State>) -> Option<(usize, TcpStream)> {
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                let mut state = state.lock().unwrap();
                state.taken += 1;
                return Some((state.taken - 1, client));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        if state.lock().unwrap().is_over {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// One connection.
struct Relay {
    /// The client and the server.
    ends: [TcpStream; 2],
    /// What was read of each and is not passed on yet.
    pending: [Vec<u8>; 2],
    has_ended: [bool; 2],
    passed: [usize; 2],
    /// Whether it counts as held.
    is_held: bool,
    /// Those that nobody has counted yet.
    confirmations: usize,
    cut: Option<Cut>,
    /// How much is read of one end at a time.
    turn_bytes: usize,
}

impl Relay {
    fn between(client: TcpStream, cut: Option<Cut>, turn_bytes: usize, state: &Mutex<State>) {
        let (backend, breaks) = {
            let state = state.lock().unwrap();
            (state.backend, state.breaks.0)
        };
        let Some(server) = backend.and_then(|backend| TcpStream::connect(backend).ok()) else { return };
        for socket in [&client, &server] {
            socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).expect("a socket need not block");
        }
        let pending = [Vec::new(), Vec::new()];
        let mut relay = Self {
            ends: [client, server],
            pending,
            has_ended: [false; 2],
            passed: [0; 2],
            is_held: false,
            confirmations: 0,
            cut,
            turn_bytes,
        };
        state.lock().unwrap().open += 1;
        let is_reset = relay.pass_all_on(breaks, state);
        let mut state = state.lock().unwrap();
        state.open -= 1;
        state.held -= usize::from(relay.is_held);
        drop(state);
        if is_reset {
            relay.reset();
        }
    }

    /// Says whether the connection ends by a reset.
    fn pass_all_on(&mut self, breaks: usize, state: &Mutex<State>) -> bool {
        let mut is_stalled = false;
        loop {
            let (broken, is_held) = {
                let mut state = state.lock().unwrap();
                if state.is_over {
                    return false;
                }
                if state.is_held && !self.is_held {
                    state.held += 1;
                } else if !state.is_held && self.is_held {
                    state.held -= 1;
                }
                self.is_held = state.is_held;
                state.confirmations += std::mem::take(&mut self.confirmations);
                ((state.breaks.0 > breaks).then_some(state.breaks.1), state.is_held)
            };
            match broken {
                Some(How::Reset) => return true,
                Some(How::End) => return false,
                Some(How::Stall) if !is_stalled => {
                    state.lock().unwrap().stalled += 1;
                    is_stalled = true;
                }
                Some(How::Stall) | None => {}
            }
            if is_stalled || is_held {
                thread::sleep(Duration::from_millis(2));
                continue;
            }
            if self.turn_bytes < TURN_BYTES_MAX {
                thread::sleep(Duration::from_millis(20));
            }
            match self.turn() {
                Ok(None) => {}
                Ok(Some(How::Stall)) => is_stalled = true,
                Ok(Some(How::End)) => return false,
                // What was reset on one side is reset on the other.
                Ok(Some(How::Reset)) | Err(_) => return true,
            }
        }
    }

    /// Waits a little for something to do, and does it. Says how the connection ends, if it does.
    fn turn(&mut self) -> io::Result<Option<How>> {
        let wanted = [0, 1].map(|from| {
            let reads =
                if self.pending[from].is_empty() && !self.has_ended[from] { PollFlags::IN } else { PollFlags::empty() };
            if self.pending[1 - from].is_empty() { reads } else { reads | PollFlags::OUT }
        });
        let mut fds = [0, 1].map(|end| PollFd::new(&self.ends[end], wanted[end]));
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 2_000_000 }))?;
        for from in [0, 1] {
            if let Some(how) = self.pass_on(from)? {
                return Ok(Some(how));
            }
        }
        let is_done = self.has_ended == [true; 2] && self.pending.iter().all(Vec::is_empty);
        Ok(is_done.then_some(How::End))
    }

    fn pass_on(&mut self, from: usize) -> io::Result<Option<How>> {
        let way = [Way::Up, Way::Down][from];
        if !self.has_ended[from] && self.pending[from].len() < 64 * 1024 {
            let mut piece = [0; TURN_BYTES_MAX];
            match (&self.ends[from]).read(&mut piece[..self.turn_bytes]) {
                Ok(0) => self.has_ended[from] = true,
                Ok(count) => self.pending[from].extend(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let pending = &self.pending[from];
        let allowed = match self.cut.map(|cut| cut.at) {
            Some(At::Bytes(its, bytes)) if its == way => pending.len().min(bytes - self.passed[from]),
            Some(At::Before(its, words)) if its == way => before(pending, words),
            _ => pending.len(),
        };
        if allowed > 0 {
            match (&self.ends[1 - from]).write(&pending[..allowed]) {
                Ok(count) => {
                    if way == Way::Down {
                        let is_confirmation = |bytes: &&[u8]| *bytes == CONFIRMATION;
                        self.confirmations +=
                            pending[..count].windows(CONFIRMATION.len()).filter(is_confirmation).count();
                    }
                    self.pending[from].drain(..count);
                    self.passed[from] += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(Cut { at, how }) = self.cut {
            let is_there = match at {
                At::Bytes(its, bytes) => its == way && self.passed[from] == bytes,
                At::Before(its, words) => its == way && self.pending[from].starts_with(words),
            };
            if is_there {
                return Ok(Some(how));
            }
        }
        if self.has_ended[from] && self.pending[from].is_empty() {
            // It may be gone already.
            let _ = self.ends[1 - from].shutdown(Shutdown::Write);
        }
        Ok(None)
    }

    fn reset(self) {
        for end in &self.ends {
            SockRef::from(end).set_linger(Some(Duration::ZERO)).expect("a socket can linger");
        }
    }
}

/// How many bytes come before these words, or before what may be their beginning.
fn before(bytes: &[u8], words: &[u8]) -> usize {
    (0..bytes.len()).find(|&at| words.starts_with(&bytes[at..bytes.len().min(at + words.len())])).unwrap_or(bytes.len())
}
