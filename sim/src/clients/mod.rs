//! Who comes: actors of all kinds.
//!
//! Leaves what they are told to the book. What must stay true: what an actor does comes from its own chance and from what it was told, and nothing else.

pub mod attempt;
pub mod auditor;
pub mod behaviour;
pub mod checking;
pub mod connection;
pub mod forms;
pub mod frames;
pub mod guesser;
pub mod hearing;
pub mod hello;
pub mod http;
pub mod line;
pub mod looker;
pub mod looks;
pub mod mischief;
pub mod pace;
pub mod participant;
pub mod poster;
pub mod posting;
pub mod reading;
pub mod refusing;
pub mod stream;
pub mod talking;
pub mod vandal;
pub mod vanished;
pub mod verdict;

use fastrand::Rng;

use crate::actor::Actor;
use crate::book::CHANNELS;
use crate::clients::behaviour::Behaviour;
use crate::clients::guesser::Guesser;
use crate::clients::hello::Settings;
use crate::clients::looker::Looker;
use crate::clients::participant::Participant;
use crate::clients::poster::Poster;
use crate::clients::stream::Stream;
use crate::clients::vandal::Vandal;
use crate::scenario::{Role, Scenario};

/// The actor of an id.
pub fn actor(scenario: &Scenario, id: usize, random: &mut Rng) -> Box<dyn Actor> {
    let config = &scenario.config;
    let settings = Settings {
        history: config.history,
        greeting: config.greeting.clone(),
        echo: config.echo,
        codes: scenario.codes,
    };
    let role = scenario.crowd[id];
    // Most are in one channel, so that something happens there.
    let channel = if random.u8(..3) > 0 { 0 } else { random.usize(..CHANNELS.len()) };
    let channel = if scenario.is_busy { channel / 4 } else { channel };
    let draw = |random: &mut Rng, resumes, talks| {
        let mut behaviour = Behaviour::draw(random, &config.limits, resumes, talks);
        if scenario.is_busy {
            behaviour.hurry(random, &config.limits);
        }
        behaviour
    };
    let participant = |random: &mut Rng, resumes, talks| -> Box<dyn Actor> {
        let behaviour = draw(random, resumes, talks);
        Box::new(Participant::new(format!("{role:?}"), behaviour, settings.clone(), channel, random))
    };
    match role {
        Role::Idle => {
            let resumes = random.bool();
            participant(random, resumes, false)
        }
        Role::Plain => participant(random, false, true),
        Role::Reader => {
            let behaviour = draw(random, false, false);
            Box::new(Stream::new(behaviour, settings.clone(), channel, random))
        }
        Role::Looker => Box::new(Looker::new(scenario.codes, &config.limits, random)),
        Role::Guesser => {
            let is_first = scenario.crowd.iter().position(|role| *role == Role::Guesser) == Some(id);
            Box::new(Guesser::new(scenario.codes, is_first, &config.limits, random))
        }
        Role::Vandal => Box::new(Vandal::new(random)),
        Role::Poster => Box::new(Poster::new(channel, scenario.codes, &config.limits, random)),
        Role::Member => participant(random, true, true),
    }
}
