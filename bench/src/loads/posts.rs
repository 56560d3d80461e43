//! Messages that are posted: over kept connections to subscribers by WebSocket, and each over a connection of its own.
//!
//! What must stay true: a post counts when its answer is here and all subscribers have its message.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::fleet::{Deliveries, Fleet, Patience, STALL, Waiting};
use crate::load::Load;
use crate::loads::kept::{self, Kept};
use crate::loads::measurement::Measurement;
use crate::loads::sides::{self, SLICE};
use crate::loads::visit::Visit;
use crate::outcome::Figures;
use crate::process::CpuTime;
use crate::server::Server;
use crate::statistics::{Ratio, median};
use crate::wire::{PUBLISHERS_MAX, Stamp, payload};

/// A connection that posts again when it has its answer.
#[derive(Debug)]
struct Poster {
    kept: Kept,
    sent: u64,
    posted: Instant,
}

/// Connections that post, one publisher each.
#[derive(Debug)]
struct Posters {
    connections: Vec<Poster>,
    path: String,
    payload_bytes: usize,
    waiting: Waiting,
    answers_us: Vec<f64>,
}

impl Posters {
    fn new(load: &Load, server: &Server, waiting: Waiting) -> Result<Self> {
        let start = |_| Ok(Poster { kept: Kept::start(server.target.addr)?, sent: 0, posted: Instant::now() });
        Ok(Self {
            connections: (0..PUBLISHERS_MAX).map(start).collect::<Result<_>>()?,
            path: server.target.path.clone(),
            payload_bytes: load.payload_bytes,
            waiting,
            answers_us: Vec::new(),
        })
    }

    fn post(&mut self, publisher: usize, fleet: &mut Fleet) -> Result<()> {
        let poster = &mut self.connections[publisher];
        let stamp = Stamp { publisher, seq: poster.sent, sent_ns: fleet.meter().clock_ns() };
        poster.sent += 1;
        poster.posted = Instant::now();
        poster.kept.post(&self.path, &payload(self.payload_bytes, stamp))
    }

    fn posts(&self) -> u64 {
        self.connections.iter().map(|poster| poster.sent).sum()
    }

    /// Posts for so long, and leaves nothing under way.
    fn go_on_for(&mut self, duration: Duration, fleet: &mut Fleet) -> Result<()> {
        let until = Instant::now() + duration;
        for publisher in 0..self.connections.len() {
            self.post(publisher, fleet)?;
        }
        let (mut under_way, mut patience) = (self.connections.len(), Patience::new());
        while under_way > 0 {
            for publisher in kept::ready(self.connections.iter().map(|poster| &poster.kept), self.waiting)? {
                let poster = &mut self.connections[publisher];
                if poster.kept.go_on().context("a post was refused")?.is_none() {
                    continue;
                }
                let now = Instant::now();
                self.answers_us.push((now - poster.posted).as_secs_f64() * 1e6);
                if now < until {
                    self.post(publisher, fleet)?;
                } else {
                    under_way -= 1;
                }
            }
            fleet.turn()?;
            if patience.is_over(self.answers_us.len()) {
                bail!("{under_way} posts are not answered, and for {} s none was", STALL.as_secs());
            }
        }
        fleet.drain(Deliveries::metered(self.posts() * fleet.metered() as u64))
    }
}

/// Messages per second over kept connections, what they cost with their deliveries, and how long they took.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet, waiting: Waiting) -> Result<Figures> {
    fleet.open(load.clients, true)?;
    let mut posters = Posters::new(load, server, waiting)?;
    posters.go_on_for(load.warm_up(), &mut fleet)?;
    posters.answers_us.clear();
    let (before, began) = (posters.posts(), Instant::now());
    let measurement = Measurement::begin(server, &mut fleet)?;
    posters.go_on_for(load.duration(), &mut fleet)?;
    let mut figures = measurement.end(&mut fleet)?;
    fleet.check_one_order()?;
    let posts = (posters.posts() - before) as f64;
    figures.insert("posts_per_s".into(), posts / began.elapsed().as_secs_f64());
    posters.answers_us.sort_by(f64::total_cmp);
    for (figure, share) in [("answer_p50_us", 0.5), ("answer_p99_us", 0.99)] {
        figures.insert(figure.into(), posters.answers_us[(posts * share) as usize]);
    }
    Ok(figures)
}

/// What a post over a connection of its own costs, beside the page over one: slices by turns, and nobody receives.
pub fn run_new(load: &Load, server: &Server) -> Result<Figures> {
    let addr = server.target.addr;
    let page_bytes = Visit::begin(addr)?.get("/")?.len();
    let body = payload(load.payload_bytes, Stamp { publisher: 0, seq: 0, sent_ns: 0 });
    let mut posts: u64 = 0;
    let mut visit = |posting: bool| -> Result<()> {
        let mut visit = Visit::begin(addr)?;
        if !posting {
            let got = visit.get("/")?.len();
            return if got == page_bytes {
                Ok(())
            } else {
                bail!("the page has {got} bytes, and {page_bytes} at first")
            };
        }
        posts += 1;
        let answer = visit.post("/c/bench-posts", &body)?;
        check_number(&answer, posts)
    };
    let mut costs_us: [Vec<f64>; 2] = Default::default();
    let mut slice = |posting: bool, duration: Duration| -> Result<f64> {
        let (before, began, mut visits) = (CpuTime::of(server.pid)?, Instant::now(), 0);
        while began.elapsed() < duration {
            visit(posting)?;
            visits += 1;
        }
        Ok(CpuTime::of(server.pid)?.since(before).total_us() / f64::from(visits))
    };
    for posting in [false, true] {
        slice(posting, load.warm_up())?;
    }
    for turn in 0..sides::turns(load) {
        for i in [turn % 2, (turn + 1) % 2] {
            costs_us[i].push(slice(i == 0, SLICE)?);
        }
    }
    let mut figures = Figures::new();
    for (figure, costs) in [("total_us_per_post", &costs_us[0]), ("total_us_per_page", &costs_us[1])] {
        figures.insert(figure.into(), median(costs.iter().copied()).unwrap_or(f64::NAN));
    }
    let [post, page] = costs_us.map(Vec::into_iter);
    figures.extend(sides::ratio("cost_ratio", Ratio::of(post, page)));
    Ok(figures)
}

/// Whether this answer to a post says that it is the message of this number.
pub fn check_number(answer: &[u8], number: u64) -> Result<()> {
    let answer: serde_json::Value = serde_json::from_slice(answer).context("the answer to a post is no JSON")?;
    if answer["seq"] != number {
        bail!("a post was answered as message {}, where {number} was due", answer["seq"]);
    }
    Ok(())
}
