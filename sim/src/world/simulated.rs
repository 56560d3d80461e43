//! The world that a server is in: what its kernel would do for it.
//!
//! Leaves what the server calls to `kernel`, what goes wrong to `faulting`, and actors to `stage`. What must stay true: time moves only while the
//! server waits.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use foghorn::config::settings::Limits;
use foghorn::simulation::clocks::{Clocks, set_clocks};

use crate::net::network::{Happening, Network};
use crate::net::timeline::Nanos;
use crate::scenario::{Scenario, State, mixed};
use crate::statistics::Figures;
use crate::turn::{FAULTS, Turn};
use crate::voice;
use crate::world::disk::Disk;
use crate::world::faulting::Plan;
use crate::world::formula::Formula;
use crate::world::stage::Stage;
use crate::world::stop::Stop;

/// What the clock of the day says at the start: the year 2026.
const UNIX_AT_START: Duration = Duration::from_secs(1_780_000_000);
/// How long the machine has run at the start.
const BOOT_AT_START: Duration = Duration::from_secs(25);

/// How a life is to end, once it has begun to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was killed.
    Kill,
    /// It was told to stop.
    Stop,
    /// The machine is started anew, after it was told to stop, or at once.
    Reboot {
        /// Whether it was told.
        is_in_order: bool,
    },
    /// It was told to stop, and no life follows.
    ForGood,
}

/// The world that a server is in.
pub struct Simulated {
    /// Connections, and what is going to happen.
    pub network: Rc<Network>,
    /// Who is there.
    pub stage: RefCell<Stage>,
    /// What was counted.
    pub figures: RefCell<Figures>,
    /// The disk under `--state`.
    pub disk: RefCell<Disk>,
    /// How this life is to end.
    pub ending: Cell<Option<Ending>>,
    /// The number of this life.
    pub life: Cell<u64>,
    /// What cannot be and yet was seen.
    pub verdict: RefCell<Option<String>>,
    /// By how much the clocks differ from the monotonic one.
    pub(super) boot_offset: Cell<i128>,
    pub(super) unix_offset: Cell<i128>,
    /// How often the machine was started.
    pub boot: Cell<u64>,
    /// By which this life is told to stop.
    pub stop: RefCell<Stop>,
    pub(super) plan: RefCell<Plan>,
    pub(super) limits: Limits,
    pub(super) formula: Formula,
    pub(super) state: State,
    /// It was told to stop for the second time.
    pub(super) told_again: Cell<bool>,
    is_dead: Cell<bool>,
    pub(super) random: RefCell<Rng>,
    pub(super) worker: RefCell<Option<Box<dyn FnMut() -> bool>>>,
    pub(super) work_is_planned: Cell<bool>,
    pub(super) last_wait: Cell<Nanos>,
    pub(super) waits_at_once: Cell<u32>,
}

/// What follows from something that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoesOn,
    /// The server has something to do that it is not told of as an event.
    Wakes,
    /// The server is dead.
    Dies,
}

impl Simulated {
    /// The world of a scenario, with these in it.
    pub fn new(scenario: &Scenario, network: Rc<Network>, stage: Stage) -> Self {
        let random = |what: u64| Rng::with_seed(mixed(scenario.seed, what));
        let is_on = scenario.state != State::Off;
        let disk = Disk::new(random(0xd15c), scenario.faults.torn_steps.filter(|_| is_on));
        let world = Self {
            network,
            stage: RefCell::new(stage),
            figures: RefCell::default(),
            disk: RefCell::new(disk),
            ending: Cell::new(None),
            life: Cell::new(0),
            verdict: RefCell::default(),
            boot_offset: Cell::new(i128::try_from(BOOT_AT_START.as_nanos()).expect("small")),
            unix_offset: Cell::new(i128::try_from(UNIX_AT_START.as_nanos()).expect("small")),
            boot: Cell::new(0),
            stop: RefCell::default(),
            plan: RefCell::new(Plan::new(scenario)),
            limits: scenario.config.limits.clone(),
            formula: Formula::new(&scenario.config.limits, scenario.state),
            state: scenario.state,
            told_again: Cell::new(false),
            is_dead: Cell::new(true),
            random: RefCell::new(random(0x0e1d)),
            worker: RefCell::default(),
            work_is_planned: Cell::new(false),
            last_wait: Cell::new(0),
            waits_at_once: Cell::new(0),
        };
        for fault in FAULTS {
            world.plan_next(fault);
        }
        world.note_clocks();
        let lasts = Nanos::try_from(scenario.lasts.as_nanos()).expect("years are few");
        world.network.push(lasts, Happening::World(Turn::Leave));
        world
    }

    /// A server begins to live: it finds all as a new process does.
    pub fn begin_life(&self) {
        self.is_dead.set(false);
        self.disk.borrow_mut().set_dead(false);
        self.ending.set(None);
        self.told_again.set(false);
        *self.stop.borrow_mut() = Stop::default();
        self.work_is_planned.set(false);
        self.network.open_listeners();
        self.show_clocks();
    }

    /// The server is gone, however it went.
    pub fn end_life(&self) {
        self.is_dead.set(true);
        self.disk.borrow_mut().set_dead(true);
        {
            let _not_the_servers = self.network.foreign.begin();
            self.network.kill();
        }
        *self.worker.borrow_mut() = None;
        self.life.set(self.life.get() + 1);
    }

    /// The server is dead from now on, wherever it is.
    pub(super) fn kill(&self) {
        self.is_dead.set(true);
        self.disk.borrow_mut().set_dead(true);
        self.network.kill();
    }

    /// Whether there is a server that was not killed.
    pub fn is_alive(&self) -> bool {
        !self.is_dead.get()
    }

    /// Something cannot be: the server is stopped on the spot.
    pub fn contradict(&self, what: String) {
        self.verdict.borrow_mut().get_or_insert(what);
    }

    /// Lets the world go on without a server, until this moment.
    pub fn pass_until(&self, until: Nanos) {
        loop {
            let next = self.network.timeline.borrow_mut().advance(until);
            match next {
                Some(what) => self.happen(what),
                None => return,
            };
            if self.verdict.borrow().is_some() {
                return;
            }
        }
    }

    /// The machine is started anew: another boot, and the clock that counts from there.
    pub fn restart_machine(&self) {
        self.boot.set(self.boot.get() + 1);
        self.boot_offset.set(i128::try_from(BOOT_AT_START.as_nanos()).expect("small") - i128::from(self.network.now()));
        self.note_clocks();
    }

    /// Writes down what the clocks say from now on.
    pub(super) fn note_clocks(&self) {
        let now = Duration::from_nanos(self.network.now());
        let offsets = (self.boot_offset.get(), self.unix_offset.get());
        self.stage.borrow_mut().book.times.note(now, self.boot.get(), offsets.0, offsets.1);
    }

    /// What the server's clocks say from now on.
    pub fn show_clocks(&self) {
        let now = self.network.now();
        let with = |offset: i128| {
            Duration::from_nanos(u64::try_from((i128::from(now) + offset).max(0)).expect("some hundred years are few"))
        };
        voice::set_now(Duration::from_nanos(now));
        set_clocks(Clocks {
            monotonic: Duration::from_nanos(now),
            boot: with(self.boot_offset.get()),
            unix: with(self.unix_offset.get()),
        });
    }

    pub(super) fn happen(&self, what: Happening) -> Then {
        match what {
            Happening::Passes(connection, passing) => {
                if connection.pass(passing) {
                    self.stage.borrow_mut().step(connection.actor);
                }
            }
            Happening::Due(actor) => self.stage.borrow_mut().step_if_due(actor),
            Happening::World(turn) => {
                let then = self.turn(turn);
                if then != Then::GoesOn && self.is_sound() {
                    return then;
                }
            }
        }
        if self.is_sound() { Then::GoesOn } else { Then::Dies }
    }

    /// Whether nothing was seen that cannot be. If so, the server is dead.
    pub(super) fn is_sound(&self) -> bool {
        if let Some(first) = self.stage.borrow().book.found.first() {
            self.contradict(first.clone());
        }
        let is_sound = self.verdict.borrow().is_none();
        if !is_sound && self.is_alive() {
            self.kill();
        }
        is_sound
    }

    /// The worker does a job, if there is one.
    pub(super) fn work(&self) -> Then {
        self.work_is_planned.set(false);
        self.show_clocks();
        let Some(mut worker) = self.worker.borrow_mut().take() else { return Then::GoesOn };
        let has_worked = {
            let _of_the_server = self.network.foreign.pause();
            worker()
        };
        let mut place = self.worker.borrow_mut();
        place.get_or_insert(worker);
        if !self.is_alive() {
            return Then::Dies;
        }
        if has_worked {
            return Then::Wakes;
        }
        self.stage.borrow_mut().book.disk_works = (false, Duration::from_nanos(self.network.now()));
        Then::GoesOn
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("network", &self.network).finish_non_exhaustive()
    }
}
