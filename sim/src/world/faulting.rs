//! What the world does by itself: faults, and the end.
//!
//! Leaves when a life is over to `course`. What must stay true: each kind of fault has a chance of its own; none happens once everybody is
//! to leave.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::limits::{DRAIN_TIMEOUT, SWEEPS_PER_HEARTBEAT};

use crate::net::network::Happening;
use crate::net::timeline::{Nanos, SECOND};
use crate::scenario::{Faults, Scenario, State, mixed};
use crate::turn::{FAULTS, Fault, Turn};
use crate::world::simulated::{Ending, Simulated, Then};

/// How long everybody has to leave.
const LEAVING_TIME: Nanos = 90 * SECOND;
/// How long the server has to notice that all have gone, and to keep again what it could not.
const SETTLING_TIME: Nanos = 150 * SECOND;
/// How long it is looked whether it rests.
const REST_TIME: Nanos = 3600 * SECOND;
/// How long it is asked for its figures.
const AUDIT_TIME: Nanos = 30 * SECOND;
/// How often a server may wake at rest, beside its heartbeats.
const WAKES_AT_REST_MAX: u64 = 8;
/// How long a stop may take beside the drain, as for what the disk has left to do.
const STOP_SLACK: Nanos = 25 * SECOND;

/// When what goes wrong.
#[derive(Debug)]
pub(super) struct Plan {
    faults: Faults,
    chances: Vec<Rng>,
    sleeps_before_rest: u64,
}

impl Plan {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let chances = (0..FAULTS.len() as u64).map(|kind| Rng::with_seed(mixed(scenario.seed, 0xfa00 + kind)));
        Self { faults: scenario.faults.clone(), chances: chances.collect(), sleeps_before_rest: 0 }
    }
}

impl Simulated {
    /// Notes when a kind of fault happens next.
    pub(super) fn plan_next(&self, fault: Fault) {
        let mut plan = self.plan.borrow_mut();
        let plan = &mut *plan;
        if let Some(mean) = *fault.mean(&mut plan.faults) {
            let mean = nanos(mean).max(1);
            let at = self.network.now() + plan.chances[fault as usize].u64(..2 * mean);
            self.network.push(at, Happening::World(Turn::Fault(fault)));
        }
    }

    /// The world does something by itself.
    pub(super) fn turn(&self, turn: Turn) -> Then {
        let now = self.network.now();
        match turn {
            Turn::Fault(_) if self.stage.borrow().is_leaving => Then::GoesOn,
            Turn::Fault(fault) => {
                let mut random = self.plan.borrow_mut().chances[fault as usize].fork();
                self.plan_next(fault);
                self.fault(fault, &mut random, now)
            }
            Turn::DiskRecovers => {
                self.disk.borrow_mut().set_failing(false);
                Then::GoesOn
            }
            Turn::Works => self.work(),
            Turn::Leave => {
                self.leave(now);
                Then::GoesOn
            }
            Turn::BreakAll => {
                for nth in 0..self.network.open_connections() {
                    self.network.open_connection(nth).come_back_broken();
                }
                Then::GoesOn
            }
            Turn::RestBegins => {
                self.begin_rest();
                Then::GoesOn
            }
            Turn::RestEnds => {
                self.end_rest();
                Then::GoesOn
            }
            Turn::StopForGood => self.tell_to_stop(Ending::ForGood, now),
            Turn::StopAtOnce(life) if self.is_alive() && self.life.get() == life => self.tell_at_once(now),
            Turn::StopAtOnce(_) => Then::GoesOn,
            Turn::StopIsLate(life) => {
                if self.is_alive() && self.life.get() == life {
                    self.contradict(format!("stop: the server was told to, and is still there at {now} ns"));
                }
                Then::GoesOn
            }
        }
    }

    fn fault(&self, fault: Fault, random: &mut Rng, now: Nanos) -> Then {
        let span = |random: &mut Rng, longest: Nanos| {
            // As many short ones as long ones.
            let longest = random.u64(longest / 1000..longest);
            random.u64(1..=longest)
        };
        match fault {
            Fault::Kill | Fault::Stop | Fault::Reboot if !self.is_alive() || self.ending.get().is_some() => {}
            Fault::Kill => {
                self.ending.set(Some(Ending::Kill));
                self.kill();
                return Then::Dies;
            }
            Fault::Stop => {
                if random.u8(..3) == 0 {
                    let at = now + span(random, nanos(DRAIN_TIMEOUT));
                    self.network.push(at, Happening::World(Turn::StopAtOnce(self.life.get())));
                }
                return self.tell_to_stop(Ending::Stop, now);
            }
            Fault::Reboot => {
                let is_in_order = random.bool();
                let ending = Ending::Reboot { is_in_order };
                if is_in_order {
                    return self.tell_to_stop(ending, now);
                }
                self.ending.set(Some(ending));
                self.kill();
                return Then::Dies;
            }
            Fault::Disk => {
                self.disk.borrow_mut().set_failing(true);
                let at = now + span(random, 30 * SECOND);
                self.network.push(at, Happening::World(Turn::DiskRecovers));
            }
            Fault::Reset | Fault::Vanish | Fault::Stall => {
                let open = self.network.open_connections();
                if open > 0 {
                    let connection = self.network.open_connection(random.usize(..open));
                    match fault {
                        Fault::Reset => connection.break_off(),
                        Fault::Vanish => connection.disappear(),
                        _ => connection.stall(now + span(random, 20 * SECOND)),
                    }
                }
            }
            Fault::ClockJump => {
                let year = 366 * 86_400 * i128::from(SECOND);
                let by = i128::from(span(random, 366 * 86_400 * SECOND));
                let offset = self.unix_offset.get() + if random.bool() { by } else { -by };
                self.unix_offset.set(offset.clamp(0, 60 * year));
                self.note_clocks();
            }
            Fault::Suspend => {
                let by = i128::from(span(random, 24 * 3600 * SECOND));
                self.boot_offset.set(self.boot_offset.get() + by);
                self.unix_offset.set(self.unix_offset.get() + by);
                self.note_clocks();
            }
            Fault::Accept => self.network.accept_failures.set(random.u32(1..8)),
        }
        Then::GoesOn
    }

    fn tell_to_stop(&self, ending: Ending, now: Nanos) -> Then {
        if !self.is_alive() {
            return Then::GoesOn;
        }
        self.ending.set(Some(ending));
        self.stage.borrow_mut().book.stop_begins();
        let late = now + nanos(DRAIN_TIMEOUT) + STOP_SLACK;
        self.network.push(late, Happening::World(Turn::StopIsLate(self.life.get())));
        self.stop.borrow().tell();
        Then::Wakes
    }

    /// Tells it once more, so that it ends in this moment, but for what a disk has left to do.
    fn tell_at_once(&self, now: Nanos) -> Then {
        self.told_again.set(true);
        let slack = if self.state == State::OnDisk { STOP_SLACK } else { 1 };
        self.network.push(now + slack, Happening::World(Turn::StopIsLate(self.life.get())));
        self.stop.borrow().tell();
        Then::Wakes
    }

    fn leave(&self, now: Nanos) {
        self.disk.borrow_mut().set_failing(false);
        self.disk.borrow_mut().tear_no_more();
        let mut stage = self.stage.borrow_mut();
        stage.is_leaving = true;
        stage.step_all();
        let rest = now + LEAVING_TIME + SETTLING_TIME;
        for (at, turn) in [
            (now + LEAVING_TIME, Turn::BreakAll),
            (rest, Turn::RestBegins),
            (rest + REST_TIME, Turn::RestEnds),
            (rest + REST_TIME + AUDIT_TIME, Turn::StopForGood),
        ] {
            self.network.push(at, Happening::World(turn));
        }
    }

    fn begin_rest(&self) {
        let left = self.network.descriptors();
        if left > 0 {
            self.contradict(format!("descriptors: {left} sockets are open though everybody has gone"));
        }
        self.plan.borrow_mut().sleeps_before_rest = self.figures.borrow().sleeps;
    }

    fn end_rest(&self) {
        let wakes = self.figures.borrow().sleeps - self.plan.borrow().sleeps_before_rest;
        let heartbeats = self.limits.heartbeat.map_or(0, |heartbeat| REST_TIME / nanos(heartbeat) + 1);
        let wakes_max = WAKES_AT_REST_MAX + heartbeats * u64::from(SWEEPS_PER_HEARTBEAT);
        if wakes > wakes_max {
            self.contradict(format!("rest: {wakes} wakes in an idle hour, where {wakes_max} are enough"));
        }
        self.stage.borrow_mut().audit();
    }
}

fn nanos(span: Duration) -> Nanos {
    Nanos::try_from(span.as_nanos()).expect("some hundred years are few")
}
