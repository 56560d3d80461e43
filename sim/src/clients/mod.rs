//! Who comes: actors of all kinds.
//!
//! Leaves what they are told to the book. What must stay true: what an actor does comes from its own chance and from what it was told, and nothing else.

pub mod behaviour;
pub mod connection;
pub mod frames;
pub mod hearing;
pub mod hello;
pub mod http;
pub mod line;
pub mod participant;
pub mod talking;
pub mod verdict;

use fastrand::Rng;

use crate::actor::Actor;
use crate::book::CHANNELS;
use crate::clients::behaviour::Behaviour;
use crate::clients::hello::Settings;
use crate::clients::participant::Participant;
use crate::scenario::{Role, Scenario};

/// The actor of an id.
pub fn actor(scenario: &Scenario, id: usize, random: &mut Rng) -> Box<dyn Actor> {
    let config = &scenario.config;
    let settings = Settings { history: config.history, greeting: config.greeting.clone(), echo: config.echo };
    let role = scenario.crowd[id];
    // Most are in one channel, so that something happens there.
    let channel = if random.u8(..3) > 0 { 0 } else { random.usize(..CHANNELS.len()) };
    let participant = |random: &mut Rng, resumes, talks| {
        let behaviour = Behaviour::draw(random, &config.limits, resumes, talks);
        Box::new(Participant::new(format!("{role:?}"), behaviour, settings.clone(), channel, random))
    };
    match role {
        Role::Idle => {
            let resumes = random.bool();
            participant(random, resumes, false)
        }
        Role::Plain => participant(random, false, true),
        _ => participant(random, true, true),
    }
}
