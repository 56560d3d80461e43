//! What is around a server: the kernel's calls that a simulator makes in its place.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::simulation::disk::{Course, DiskStep};
use crate::simulation::socket::Socket;

/// All that a server has of the world. What its methods do must not call the server.
pub trait World {
    /// In place of `epoll_wait(2)`: lets the world go on until a socket of the server has news, `timeout` (`None`: for ever) has passed
    /// on the simulated clock, or a [worker](Self::employ) has done something. Adds the events.
    ///
    /// # Errors
    /// It ends the server on the spot, as a kill does: `server::run::run` returns with everything of the server dropped.
    fn wait(&self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()>;

    /// A connection to the nth listener, and who has come.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; what `accept(2)` can fail with.
    fn accept(&self, listener: usize) -> io::Result<(Rc<dyn Socket>, SocketAddr)>;

    /// The reactor knows this listener by this key from now on, and wants its events, as for a [socket](Socket::registered).
    fn listens(&self, listener: usize, key: u64);

    /// The server has closed this listener.
    fn listens_no_more(&self, listener: usize);

    /// Asked before each step of `--state` that changes something, or waits for the disk: how it goes.
    ///
    /// # Errors
    /// The step fails with it, and nothing is changed.
    fn disk_step(&self, step: DiskStep) -> io::Result<Course>;

    /// Whether `--state` behaves as on a disk, with a [worker](Self::employ) in place of the thread, rather than as in memory.
    fn is_on_disk(&self) -> bool;

    /// How many bytes are free where the folder of `--state` is.
    fn free_bytes(&self) -> u64;

    /// Takes over what the thread of `--state` would do. A call does one job, if there is one, and returns whether there was; to be made
    /// from within [`wait`](Self::wait). Once the server is gone there is none any more.
    fn employ(&self, worker: Box<dyn FnMut() -> bool>);

    /// The id of the simulated boot.
    fn boot_id(&self) -> String;
}

/// What has happened at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The key by which the reactor knows it.
    pub key: u64,
    /// All that holds of it at this moment.
    pub readiness: Readiness,
}

/// What holds of a socket, as `epoll_ctl(2)` has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are as independent as the kernel's flags")]
pub struct Readiness {
    /// There is something to read, or the end (`EPOLLIN`).
    pub readable: bool,
    /// It takes something (`EPOLLOUT`).
    pub writable: bool,
    /// The peer writes no more (`EPOLLRDHUP`), or nobody does (`EPOLLHUP`).
    pub hung_up: bool,
    /// It is broken (`EPOLLERR`).
    pub failed: bool,
    /// There is urgent data (`EPOLLPRI`).
    pub urgent: bool,
}
