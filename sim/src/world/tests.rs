//! The simulator itself: that it replays, and that it finds what was planted.

use std::time::Duration;

use crate::net::network::{Network, Plant};
use crate::scenario::{Faults, Role, Scenario, State};
use crate::speed::{calm, talk};
use crate::turn::{FAULTS, Fault};
use crate::world::course::{Outcome, run_stage};
use crate::world::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn talkers_get_all_that_is_said_and_nothing_is_left_of_them() {
    let (outcome, seen) = talk(&calm(1, 20 * SECOND), 5, Some(SECOND));
    assert_eq!(outcome.contradiction, None);
    assert_eq!(seen.opened.get(), 5);
    assert!((90..=100).contains(&seen.sent.get()), "{seen:?}");
    assert!(seen.got.get() + 10 >= 5 * seen.sent.get(), "{seen:?}");
    assert!(outcome.figures.simulated > Duration::from_secs(3600), "an idle hour follows");
}

#[test]
fn the_same_seed_has_the_same_course_with_all_kinds_of_faults_and_another_seed_another() {
    for state in [State::Off, State::InMemory, State::OnDisk] {
        let run = |seed| {
            let mut scenario = calm(seed, 60 * SECOND);
            scenario.state = state;
            for fault in FAULTS {
                *fault.mean(&mut scenario.faults) = Some(5 * SECOND);
            }
            scenario.faults.torn_steps = Some(40);
            talk(&scenario, 8, Some(SECOND / 3)).0
        };
        let [first, again, other] = [run(5), run(5), run(6)];
        assert_eq!(first.contradiction, None);
        // Other threads' memory is counted, too.
        assert_eq!((first.trace, first.figures.events), (again.trace, again.figures.events));
        assert_ne!(first.trace, other.trace);
        assert!(first.figures.restarts > 3, "{:?}", first.figures);
    }
}

#[test]
fn leaving_out_a_kind_of_fault_changes_no_time_of_another() {
    let run = |has_stalls: bool| {
        let mut scenario = calm(9, 60 * SECOND);
        *Fault::Kill.mean(&mut scenario.faults) = Some(3 * SECOND);
        *Fault::Stall.mean(&mut scenario.faults) = has_stalls.then_some(SECOND);
        talk(&scenario, 3, Some(SECOND)).0.figures.restarts
    };
    let restarts = run(true);
    assert!(restarts > 3 && run(false) == restarts);
}

#[test]
fn a_server_with_idle_clients_wakes_for_its_heartbeats_and_their_answers_and_for_nothing_else() {
    let (outcome, seen) = talk(&calm(3, 3600 * SECOND), 10, None);
    assert_eq!((outcome.contradiction, seen.opened.get()), (None, 10));
    // A sweep every 12.5 s, in the hour with nobody, too; a ping every 37.5 s to each of ten; the rest is who comes and goes.
    let sweeps = outcome.figures.simulated.as_millis() / 12_500;
    let answers = 10 * 3600 * 10 / 375;
    let wakes = u128::from(outcome.figures.sleeps);
    assert!((sweeps..sweeps + answers + 80).contains(&wakes), "{wakes}, with {sweeps} sweeps and {answers} answers");
}

/// Members and readers who talk for a minute, with what is planted in their wires.
fn run_with(plant: Option<Plant>, seed: u64) -> Outcome {
    let mut scenario = Scenario::of(seed);
    scenario.lasts = 60 * SECOND;
    scenario.faults = Faults::default();
    scenario.crowd = [Role::Member, Role::Reader, Role::Poster].repeat(4);
    let network = Network::new(seed);
    network.plant.set(plant);
    let stage = Stage::new(&scenario, None, &network);
    run_stage(&scenario, network, stage)
}

#[test]
fn a_wire_that_leaves_out_doubles_or_turns_what_it_carries_is_found() {
    for plant in [Plant::Drops(50), Plant::Doubles(50), Plant::Turns(50)] {
        let found = (0..4).filter(|seed| run_with(Some(plant), *seed).contradiction.is_some()).count();
        assert!(found >= 3, "{plant:?}: {found} of 4");
    }
    for seed in 0..4 {
        assert_eq!(run_with(None, seed).contradiction, None, "seed {seed}");
    }
}
