//! How a client behaves that has a WebSocket or a stream: drawn once for each, from its own chance.
//!
//! Leaves doing it to `participant` and `stream`. What must stay true: a client that counts as prompt can keep up with whatever its way and the server's
//! settings are.

use std::time::Duration;

use fastrand::Rng;
use foghorn::config::settings::Limits;

use crate::clients::line::Trickle;
use crate::clients::pace::Pace;
use crate::clients::talking::Talk;
use crate::net::link::Link;

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It says goodbye, and waits for the answer.
    Goodbye,
    /// It finishes sending, and reads on.
    HalfClose,
    /// It closes.
    Close,
    /// It breaks the connection.
    Reset,
    /// It is gone, and nobody is told.
    Vanish,
    /// It comes again, the old connection being there.
    ComesAgain,
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Whether it offers `foghorn.v1`.
    pub resumes: bool,
    /// What it says of its own messages.
    pub echo: Option<bool>,
    /// How many of the last messages it wants, if it says so.
    pub history: Option<u64>,
    /// What its way is like.
    pub link: Link,
    /// How it reads.
    pub pace: Pace,
    /// How its bytes go out.
    pub trickle: Option<Trickle>,
    /// Whether it answers pings.
    pub answers_pings: bool,
    /// Whether and how it sends messages.
    pub talk: Option<Talk>,
    /// For how long it stays, on average.
    pub stays: Duration,
    /// For how long it is away, on average.
    pub away: Duration,
    /// Whether nobody has a reason to drop it.
    pub is_prompt: bool,
}

/// A duration somewhere from nothing to twice as long.
pub fn around(random: &mut Rng, mean: Duration) -> Duration {
    mean.mul_f64(random.f64() * 2.0)
}

fn millis(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

/// A way: mostly that of a LAN, sometimes one of a bad WLAN.
pub fn link(random: &mut Rng) -> Link {
    let (least, most) = match random.u8(..10) {
        0..=6 => (Duration::from_micros(random.u64(20..500)), Duration::from_micros(random.u64(500..4000))),
        7..=8 => (millis(random, 1..10), millis(random, 10..60)),
        _ => (millis(random, 5..100), millis(random, 100..400)),
    };
    let window = |random: &mut Rng| match random.u8(..10) {
        0..=6 => random.usize(64 * 1024..256 * 1024),
        7..=8 => random.usize(8 * 1024..64 * 1024),
        _ => random.usize(1024..8 * 1024),
    };
    let (to_client_bytes, to_server_bytes) = (window(random), window(random));
    let segment_bytes_max = if random.u8(..4) == 0 { random.usize(1..1460) } else { random.usize(1460..64 * 1024) };
    // Not so small that a message of a MiB comes in a million pieces.
    let segment_bytes_max = segment_bytes_max.max(to_client_bytes.min(to_server_bytes) / 128);
    let listener = random.usize(..2);
    Link { latency: least..most, to_client_bytes, to_server_bytes, segment_bytes_max, listener, ..Link::default() }
}

/// Whether who reads at once keeps up over this way, with some reserve: takes what it has to in each patience, and answers within a heartbeat.
pub fn is_quick(link: &Link, limits: &Limits) -> bool {
    const PROGRESS_BYTES: f64 = 64.0 * 1024.0;
    let round_trip = link.latency.end * 8;
    let is_in_time = limits.heartbeat.is_none_or(|heartbeat| round_trip * 2 < heartbeat);
    let turns = limits.patience.as_secs_f64() / round_trip.as_secs_f64();
    is_in_time && round_trip < limits.patience && turns.floor() * link.to_client_bytes as f64 > 2.0 * PROGRESS_BYTES
}

fn pace(random: &mut Rng, patience: Duration) -> Pace {
    match random.u8(..4) {
        0 => Pace::Slow(Trickle { bytes: random.usize(1..200_000), every: around(random, patience) }),
        1 | 2 => Pace::Pauses { reads: around(random, Duration::from_secs(20)), stops: around(random, patience * 4) },
        _ => Pace::Stops(around(random, Duration::from_secs(60))),
    }
}

impl Behaviour {
    /// That of a member with `foghorn.v1`, or of one without.
    pub fn draw(random: &mut Rng, limits: &Limits, resumes: bool, talks: bool) -> Self {
        let link = link(random);
        let is_odd = random.u8(..6) == 0;
        let pace = if is_odd && random.bool() { pace(random, limits.patience) } else { Pace::Prompt };
        let answers_pings = !(is_odd && pace == Pace::Prompt && random.u8(..3) == 0);
        let is_trickling = is_odd && pace == Pace::Prompt && answers_pings && random.bool();
        let trickle = Trickle { bytes: random.usize(1..40), every: millis(random, 1..300) };
        let trickle = is_trickling.then_some(trickle);
        let is_prompt = pace == Pace::Prompt && answers_pings && trickle.is_none() && is_quick(&link, limits);
        // Who is silent does not send either, or its messages would be signs of life.
        let talk = (talks && answers_pings).then(|| Talk::draw(random));
        Self {
            resumes,
            echo: [None, None, Some(true), Some(false)][random.usize(..4)].filter(|_| !resumes),
            history: [None, None, Some(0), Some(random.u64(..20))][random.usize(..4)],
            link,
            pace,
            trickle,
            answers_pings,
            talk,
            stays: Duration::from_secs(random.u64(5..600)),
            away: millis(random, 1..10_000),
            is_prompt,
        }
    }

    /// Whether it takes a little now and then: neither all at once nor nothing any more.
    pub fn is_slow_reader(&self, limits: &Limits) -> bool {
        matches!(self.pace, Pace::Slow(_) | Pace::Pauses { .. }) || !is_quick(&self.link, limits)
    }

    /// Makes it one of many that talk at once: mostly over a quick way, and much at a time.
    pub fn hurry(&mut self, random: &mut Rng, limits: &Limits) {
        if random.u8(..8) > 0 {
            self.link = Link { listener: self.link.listener, to_client_bytes: 256 * 1024, ..Link::default() };
        }
        self.is_prompt = self.is_prompt && is_quick(&self.link, limits);
        self.talk = self.talk.take().map(|_| Talk::draw_busy(random));
    }

    /// How it leaves this time.
    pub fn leave(random: &mut Rng) -> Leave {
        match random.u8(..12) {
            0..=3 => Leave::Goodbye,
            4 | 5 => Leave::HalfClose,
            6 => Leave::Close,
            7 => Leave::Reset,
            8 => Leave::Vanish,
            _ => Leave::ComesAgain,
        }
    }
}
