//! Phones that open the page all at once: each connects, gets the page and all that it names over this connection, then
//! joins with a WebSocket over another.
//!
//! The WebSockets are left to the fleet. What must stay true: a phone is done when it has every byte of the page and is
//! joined, and the figures are of all phones.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::fleet::{Fleet, Patience, STALL, Waiting};
use crate::load::Load;
use crate::loads::kept::{self, Kept};
use crate::loads::visit::Plan;
use crate::outcome::Figures;
use crate::process::{self, CpuTime};
use crate::server::Server;
use crate::statistics::median;

/// When the median and the slowest phone have all, what that took the server in CPU time, and its memory at the peak.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet, waiting: Waiting) -> Result<Figures> {
    let plan = Plan::explore(server.target.addr)?;
    for pid in server.pids() {
        process::forget_peak(pid)?;
    }
    let cpu_us = || server.pids().map(|pid| Ok(CpuTime::of(pid)?.total_us())).sum::<Result<f64>>();
    let before_us = cpu_us()?;
    let after = storm(load.clients, server, &plan, &mut fleet, waiting)?;
    let server_us = cpu_us()? - before_us;
    let peak_kib = server.pids().map(process::resident_peak_kib).sum::<Result<u64>>()?;
    let mut figures = arrivals(&after);
    figures.extend([
        ("requests_per_phone".into(), plan.answers.len() as f64),
        ("server_cpu_ms".into(), server_us / 1000.0),
        ("peak_kib".into(), peak_kib as f64),
    ]);
    Ok(figures)
}

fn arrivals(after: &[Duration]) -> Figures {
    let ms = || after.iter().map(|t| t.as_secs_f64() * 1000.0);
    Figures::from([
        ("median_phone_ms".into(), median(ms()).unwrap_or(f64::NAN)),
        ("slowest_phone_ms".into(), ms().fold(f64::NAN, f64::max)),
    ])
}

/// A phone that has not the whole page yet.
struct Phone {
    connection: Kept,
    answers: usize,
}

/// Lets them all come; after which time each had all.
fn storm(phones: usize, server: &Server, plan: &Plan, fleet: &mut Fleet, waiting: Waiting) -> Result<Vec<Duration>> {
    let began = Instant::now();
    let mut loading = Vec::with_capacity(phones);
    for _ in 0..phones {
        let mut connection = Kept::start(server.target.addr)?;
        connection.ask(&plan.answers[0].0)?;
        loading.push(Phone { connection, answers: 0 });
    }
    // As a browser does, a phone keeps the connection of the page when it joins.
    let (mut loaded, mut joining, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let mut patience = Patience::new();
    let mut answers = 0;
    while after.len() < phones {
        if !loading.is_empty() {
            let ready = kept::ready(loading.iter().map(|phone| &phone.connection), waiting)?;
            // From the last on, since whoever has all leaves its place to the last one.
            for i in ready.into_iter().rev() {
                let before = loading[i].answers;
                loading[i].go_on(plan)?;
                answers += loading[i].answers - before;
                if loading[i].answers == plan.answers.len() {
                    loaded.push(loading.swap_remove(i));
                    joining.push(fleet.invite(false));
                }
            }
        }
        if !joining.is_empty() {
            fleet.turn()?;
            joining.retain(|&client| !fleet.is_open(client));
            after.resize(loaded.len() - joining.len(), began.elapsed());
        }
        if patience.is_over((answers, after.len())) {
            bail!("{} phones do not get all, and for {} s nobody got on", phones - after.len(), STALL.as_secs());
        }
    }
    Ok(after)
}

impl Phone {
    /// Takes the next answer, if it is here, and asks for what comes after it.
    fn go_on(&mut self, plan: &Plan) -> Result<()> {
        let (path, expected) = &plan.answers[self.answers];
        let Some(body) = self.connection.go_on().with_context(|| format!("asked for {path}"))? else {
            return Ok(());
        };
        if body != *expected {
            bail!("{path} came back with other bytes than at the first visit");
        }
        self.answers += 1;
        match plan.answers.get(self.answers) {
            Some((next, _)) => self.connection.ask(next),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_of_the_phone_in_the_middle_and_the_last_one() {
        let figures = arrivals(&[10, 20, 900].map(Duration::from_millis));
        assert!((figures["median_phone_ms"] - 20.0).abs() < 1e-9);
        assert!((figures["slowest_phone_ms"] - 900.0).abs() < 1e-9);
    }
}
