//! Where news of sockets comes from: the kernel's epoll, or the world of a simulator.
//!
//! Leaves to the reactor whom the news is for. What must stay true: all that waits in a thread waits here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use socket2::SockRef;

#[cfg(feature = "simulation")]
use crate::simulation::{entered, socket, world};

/// Waits longer than some weeks need a call that older kernels lack (`epoll_wait(2)`).
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// What the kernel tells of a socket, once for each time that it happens.
const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::PRI).union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// The key of the descriptor by which other threads wake this one.
const BELL_KEY: u64 = u64::MAX;

/// What tells of a socket.
#[derive(Debug)]
pub enum Handle<'a> {
    /// The kernel, by this descriptor.
    Kernel(BorrowedFd<'a>),
    /// The world, of a connection.
    #[cfg(feature = "simulation")]
    Simulated(&'a dyn socket::Socket),
    /// The world, of its nth listener.
    #[cfg(feature = "simulation")]
    SimulatedListener(usize),
}

/// A socket that there can be news of.
pub trait Pollable {
    /// What tells of it.
    fn handle(&self) -> Handle<'_>;
}

impl Pollable for UnixStream {
    fn handle(&self) -> Handle<'_> {
        Handle::Kernel(self.as_fd())
    }
}

impl Handle<'_> {
    /// Has no call on it wait.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Kernel(descriptor) => SockRef::from(descriptor).set_nonblocking(true),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) | Self::SimulatedListener(_) => Ok(()),
        }
    }

    /// What has become of the connection, once.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Kernel(descriptor) => SockRef::from(descriptor).take_error(),
            #[cfg(feature = "simulation")]
            Self::Simulated(socket) => Ok(socket.take_error()),
            #[cfg(feature = "simulation")]
            Self::SimulatedListener(_) => Ok(None),
        }
    }
}

/// Where news comes from.
#[derive(Debug)]
pub(super) enum Poller {
    Kernel(OwnedFd),
    /// The world that the thread is in.
    #[cfg(feature = "simulation")]
    World,
}

/// What other threads ring to have this one wait no longer. A world has none: nobody else does anything in it.
#[derive(Debug)]
pub(super) enum Bell {
    Kernel(OwnedFd),
    #[cfg(feature = "simulation")]
    World,
}

impl Bell {
    pub(super) fn ring(&self) {
        match self {
            Self::Kernel(event) => {
                // It fails only when it counts 2^64 wakes that nobody has seen.
                let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
            }
            #[cfg(feature = "simulation")]
            Self::World => {}
        }
    }
}

impl Poller {
    /// The kernel's.
    pub(super) fn new() -> io::Result<(Self, Bell)> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered too: each write to it is an edge, and nobody has to read it.
        epoll::add(&epoll, &event, EventData::new_u64(BELL_KEY), EventFlags::IN | EventFlags::ET)?;
        Ok((Self::Kernel(epoll), Bell::Kernel(event)))
    }

    /// Tells of this socket from now on. What there is to read already is the first that is told.
    pub(super) fn add(&self, socket: &Handle<'_>, key: u64) -> io::Result<()> {
        match (self, socket) {
            (Self::Kernel(epoll), Handle::Kernel(descriptor)) => {
                Ok(epoll::add(epoll, descriptor, EventData::new_u64(key), INTEREST)?)
            }
            #[cfg(feature = "simulation")]
            (Self::World, Handle::Simulated(socket)) => {
                socket.registered(key);
                Ok(())
            }
            #[cfg(feature = "simulation")]
            (Self::World, Handle::SimulatedListener(nth)) => {
                present_world()?.listens(*nth, key);
                Ok(())
            }
            // The kernel knows nothing of a world, nor the world of the kernel.
            #[cfg(feature = "simulation")]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Tells nothing more of this socket, if it has.
    pub(super) fn remove(&self, socket: &Handle<'_>) {
        match (self, socket) {
            (Self::Kernel(epoll), Handle::Kernel(descriptor)) => {
                // Nothing is left to do if it is not there.
                let _ = epoll::delete(epoll, descriptor);
            }
            #[cfg(feature = "simulation")]
            (Self::World, Handle::Simulated(socket)) => socket.deregistered(),
            #[cfg(feature = "simulation")]
            (Self::World, Handle::SimulatedListener(nth)) => {
                if let Some(world) = entered::world() {
                    world.listens_no_more(*nth);
                }
            }
            #[cfg(feature = "simulation")]
            _ => {}
        }
    }

    /// Waits for news, at most so long, and leaves it in `events`, at most as much as these have room for.
    pub(super) fn wait(&self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        match self {
            Self::Kernel(epoll) => {
                let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout.min(WAIT_MAX)).ok());
                match epoll::wait(epoll, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
                    Ok(_) | Err(Errno::INTR) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            #[cfg(feature = "simulation")]
            Self::World => {
                let mut told = Vec::new();
                present_world()?.wait(timeout, &mut told)?;
                events.extend(
                    told.into_iter()
                        .map(|told| Event { flags: flags_of(told.readiness), data: EventData::new_u64(told.key) }),
                );
                Ok(())
            }
        }
    }
}

#[cfg(feature = "simulation")]
fn present_world() -> io::Result<std::rc::Rc<dyn world::World>> {
    entered::world().ok_or_else(|| io::Error::other("the world was left"))
}

#[cfg(feature = "simulation")]
fn flags_of(readiness: world::Readiness) -> EventFlags {
    let world::Readiness { readable, writable, hung_up, failed, urgent } = readiness;
    let all = [
        (readable, EventFlags::IN),
        (writable, EventFlags::OUT),
        (hung_up, EventFlags::RDHUP),
        (failed, EventFlags::ERR),
        (urgent, EventFlags::PRI),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag).collect()
}
