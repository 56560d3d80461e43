//! Who comes: actors of all kinds.

use fastrand::Rng;

use crate::actor::Actor;
use crate::scenario::Scenario;

/// The actor of an id.
pub fn actor(_scenario: &Scenario, _id: usize, _random: &mut Rng) -> Box<dyn Actor> {
    todo!()
}
