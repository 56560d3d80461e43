//! What the server's kernel does in this world.
//!
//! Leaves what happens meanwhile to `simulated`. What must stay true: what the server is not told of at once it is told of at its next wait; once it
//! is killed, nothing that it does has an effect.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use foghorn::simulation::disk::{Course, DiskStep};
use foghorn::simulation::socket::Socket;
use foghorn::simulation::world::{Event, World};

use crate::net::network::Happening;
use crate::net::server_end::ServerEnd;
use crate::net::timeline::Nanos;
use crate::scenario::State;
use crate::turn::Turn;
use crate::world::disk::Mood;
use crate::world::simulated::{Ending, Simulated, Then};

/// Waits at one moment, after which the server counts as one that spins.
const WAITS_AT_ONE_MOMENT_MAX: u32 = 1_000_000;
/// What is free where the folder of `--state` is.
const FREE_BYTES: u64 = 1 << 30;

impl Simulated {
    fn plan_work(&self) {
        if self.worker.borrow().is_some() && !self.work_is_planned.replace(true) {
            // A card takes from a fraction of a millisecond to the better part of a second.
            let mut random = self.random.borrow_mut();
            let longest = if random.u32(..50) == 0 { 700_000_000 } else { 5_000_000 };
            let at = self.network.now() + random.u64(50_000..longest);
            self.network.push(at, Happening::World(Turn::Works));
            self.stage.borrow_mut().book.disk_works.0 = true;
        }
    }

    fn note_wait(&self, now: Nanos) {
        let mut figures = self.figures.borrow_mut();
        figures.waits += 1;
        let bytes = self.network.foreign.of_server().max(0).unsigned_abs();
        figures.server_bytes_max = figures.server_bytes_max.max(bytes);
        let bytes_max = self.formula.bytes_max(self.network.open_connections());
        if bytes > bytes_max {
            self.contradict(format!("memory: {bytes} bytes, where the formula has {bytes_max}"));
        }
        let at_once = if self.last_wait.replace(now) == now { self.waits_at_once.get() + 1 } else { 0 };
        self.waits_at_once.set(at_once);
        if at_once > WAITS_AT_ONE_MOMENT_MAX {
            self.contradict(format!("spin: the server has waited {at_once} times and no time has passed"));
        }
    }
}

fn killed() -> io::Error {
    io::Error::other("the simulated server is killed")
}

impl World for Simulated {
    fn wait(&self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        let now = self.network.now();
        self.note_wait(now);
        let _not_the_servers = self.network.foreign.begin();
        if !self.is_sound() || !self.is_alive() {
            return Err(killed());
        }
        self.plan_work();
        let until = timeout.map_or(Nanos::MAX, |span| {
            now.saturating_add(Nanos::try_from(span.as_nanos()).unwrap_or(Nanos::MAX)).min(Nanos::MAX - 1)
        });
        loop {
            if self.network.has_edges() {
                self.network.report(&mut self.random.borrow_mut(), events);
                break;
            }
            if until == now {
                break;
            }
            let next = self.network.timeline.borrow_mut().advance(until);
            let then = match next {
                Some(what) => self.happen(what),
                None if until == Nanos::MAX => {
                    self.contradict("rest: the world has come to its end before the scenario".into());
                    Then::Dies
                }
                None => break,
            };
            match then {
                Then::GoesOn => {}
                Then::Wakes => break,
                Then::Dies => return Err(killed()),
            }
        }
        // The executor gives way now and then, which is a wait without a sleep.
        self.figures.borrow_mut().sleeps += u64::from(self.network.now() > now);
        self.show_clocks();
        Ok(())
    }

    fn accept(&self, listener: usize) -> io::Result<(Rc<dyn Socket>, SocketAddr)> {
        let connection = self.network.accept(listener)?;
        let peer = connection.peer;
        // The socket itself is the server's, as it is what frees it.
        Ok((Rc::new(ServerEnd::new(connection)), peer))
    }

    fn listens(&self, listener: usize, key: u64) {
        let _not_the_servers = self.network.foreign.begin();
        self.network.listens(listener, key);
    }

    fn listens_no_more(&self, listener: usize) {
        let _not_the_servers = self.network.foreign.begin();
        self.network.close_listener(listener);
    }

    fn disk_step(&self, step: DiskStep) -> io::Result<Course> {
        let _not_the_servers = self.network.foreign.begin();
        let mood = self.disk.borrow_mut().step(step);
        if self.is_alive() && matches!(mood, Mood::Goes(Err(_) | Ok(Course::Partly(_)))) {
            let now = Duration::from_nanos(self.network.now());
            let is_append = matches!(step, DiskStep::Append { .. });
            self.stage.borrow_mut().book.disk_fails(is_append, now);
        }
        match mood {
            Mood::Goes(course) => course,
            Mood::Killed(course) => {
                self.ending.set(Some(Ending::Kill));
                self.figures.borrow_mut().torn_steps += 1;
                self.kill();
                course
            }
        }
    }

    fn is_on_disk(&self) -> bool {
        self.state == State::OnDisk
    }

    fn free_bytes(&self) -> u64 {
        FREE_BYTES
    }

    fn employ(&self, worker: Box<dyn FnMut() -> bool>) {
        *self.worker.borrow_mut() = Some(worker);
    }

    fn boot_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.boot.get())
    }
}
