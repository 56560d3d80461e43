//! The course of one scenario: the server's lives, one after the other, to the end.
//!
//! Leaves what happens within a life to `simulated`. What must stay true: after each life nothing of the server is left but the folder of
//! `--state`; the same scenario has the same course.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use foghorn::config::settings::{Config, PORTS};
use foghorn::server::run::{Ended, StartError, run};
use foghorn::simulation::chance;
use foghorn::simulation::entered::enter;
use foghorn::simulation::socket::Listener;
use foghorn::simulation::world::World;
use tempfile::TempDir;

use crate::book::{End, Life};
use crate::net::network::{LISTENERS, Network};
use crate::net::timeline::Nanos;
use crate::panics;
use crate::scenario::{Scenario, State, mixed};
use crate::statistics::Figures;
use crate::world::simulated::{Ending, Simulated};
use crate::world::stage::Stage;

/// What a life may leave in memory, in bytes: what is made once in a process.
const LEFT_BYTES_MAX: isize = 128 * 1024;

/// What has come of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was seen that cannot be: first what kind, then a colon and the rest.
    pub contradiction: Option<String>,
    /// All that has happened, in one number.
    pub trace: u64,
    /// What was counted.
    pub figures: Figures,
    /// Who was there.
    pub who: Vec<String>,
}

impl Outcome {
    /// The kind of the contradiction.
    pub fn kind(&self) -> Option<&str> {
        self.contradiction.as_deref().map(|what| what.split(':').next().unwrap_or(what))
    }
}

/// Runs a scenario, with all actors or only these.
pub fn run_scenario(scenario: &Scenario, only: Option<&[usize]>) -> Outcome {
    let network = Network::new(scenario.seed);
    let stage = Stage::new(scenario, only, &network);
    run_stage(scenario, network, stage)
}

/// Runs a scenario with this stage.
pub fn run_stage(scenario: &Scenario, network: Rc<Network>, stage: Stage) -> Outcome {
    let world = Rc::new(Simulated::new(scenario, network, stage));
    let folder = (scenario.state != State::Off).then(|| {
        let shm = Path::new("/dev/shm");
        tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir()).expect("a folder in memory or for temporary files")
    });
    let mut config = scenario.config.clone();
    config.state = folder.as_ref().map(|folder| folder.path().to_owned());
    world.stage.borrow_mut().step_all();
    Course { world: &world, scenario, config, folder, random: Rng::with_seed(mixed(scenario.seed, 0x11fe)) }.go();
    let mut figures = *world.figures.borrow();
    let stage = world.stage.borrow();
    let timeline = world.network.timeline.borrow();
    figures.seeds = 1;
    figures.simulated = Duration::from_nanos(timeline.now());
    figures.deliveries = stage.book.deliveries;
    figures.restarts = world.life.get().saturating_sub(1);
    figures.events = timeline.events();
    let outcome =
        Outcome { contradiction: world.verdict.borrow().clone(), trace: timeline.trace(), figures, who: stage.names() };
    drop((timeline, stage));
    // Connections know the network, and what is going to happen knows connections.
    world.network.timeline.borrow_mut().clear();
    outcome
}

struct Course<'a> {
    world: &'a Rc<Simulated>,
    scenario: &'a Scenario,
    config: Config,
    folder: Option<TempDir>,
    random: Rng,
}

impl Course<'_> {
    fn go(mut self) {
        loop {
            let number = self.world.life.get();
            self.begin(number);
            let result = self.live(number);
            self.end(result);
            if self.world.verdict.borrow().is_some() {
                return;
            }
            if self.world.ending.get() == Some(Ending::ForGood) {
                return self.close();
            }
            // A service manager takes a moment; a machine a while.
            let longest: Nanos = if self.random.u32(..8) == 0 { 30_000_000_000 } else { 200_000_000 };
            let until = self.world.network.now() + self.random.u64(1_000_000..longest);
            self.world.pass_until(until);
            if self.world.verdict.borrow().is_some() {
                return;
            }
        }
    }

    fn begin(&mut self, number: u64) {
        let world = self.world;
        let mut stage = world.stage.borrow_mut();
        stage.book.life_begins(&Life {
            number,
            began: Duration::from_nanos(world.network.now()),
            boot: world.boot.get(),
        });
        stage.server_is_up = true;
        drop(stage);
        world.begin_life();
        world.stage.borrow_mut().step_all();
    }

    fn live(&self, number: u64) -> Result<Result<Ended, StartError>, String> {
        let entered = enter(Rc::clone(self.world) as Rc<dyn World>);
        self.world.show_clocks();
        chance::seed(mixed(self.scenario.seed, 0x5eed_0000 + number));
        let listeners = (0..LISTENERS).map(|nth| {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORTS[nth]));
            Listener { nth, address }
        });
        let stop = self.world.stop.borrow().clone();
        self.world.network.foreign.reset();
        let (config, listeners) = (self.config.clone(), listeners.collect::<Vec<_>>());
        let result = panics::quietly(|| catch_unwind(AssertUnwindSafe(|| run(listeners, config, stop))));
        drop(entered);
        result.map_err(|_| panics::last())
    }

    /// The server is gone: was it as it should be?
    fn end(&mut self, result: Result<Result<Ended, StartError>, String>) {
        let world = self.world;
        let was_alive = world.is_alive();
        world.end_life();
        world.stage.borrow_mut().server_is_up = false;
        let ending = world.ending.get();
        match result {
            Err(panic) => world.contradict(format!("panic: {panic}")),
            Ok(Ok(Ended::Drained)) if was_alive && ending.is_some() => {}
            Ok(Ok(Ended::AtOnce)) if was_alive && world.told_again.get() => {}
            // A kill within the last steps of a stop leaves nothing to wait for.
            Ok(_) if !was_alive => {}
            Ok(result) => world.contradict(format!("end: {result:?}, where {ending:?} was asked for")),
        }
        let left = world.network.descriptors();
        if left > 0 {
            world.contradict(format!("descriptors: {left} are left after the server has ended"));
        }
        let left = world.network.foreign.of_server();
        log::debug!("life {} leaves {left} bytes", world.life.get());
        if left > LEFT_BYTES_MAX {
            world.contradict(format!("memory: {left} bytes are left after the server has ended"));
        }
        if world.verdict.borrow().is_some() {
            return;
        }
        let end = self.leave_files(ending);
        let mut stage = world.stage.borrow_mut();
        stage.book.life_ends(end);
        stage.step_all();
    }

    /// What a machine that is started anew leaves of the files, and how the life has ended.
    fn leave_files(&mut self, ending: Option<Ending>) -> End {
        match ending {
            Some(Ending::Stop | Ending::ForGood) => End::Stopped,
            Some(Ending::Reboot { is_in_order }) => {
                self.world.restart_machine();
                if self.scenario.state == State::OnDisk {
                    return End::Reboot { was_in_order: is_in_order };
                }
                if let Some(folder) = &self.folder {
                    empty(folder.path());
                }
                End::DiskLost
            }
            Some(Ending::Kill) | None => End::Killed,
        }
    }

    fn close(&self) {
        let mut stage = self.world.stage.borrow_mut();
        stage.book.close();
        if let Some(first) = stage.book.found.first() {
            self.world.contradict(first.clone());
        }
    }
}

fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}
