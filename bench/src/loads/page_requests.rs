//! What one warm request of a file of the page costs a server: a few kept connections, each asks when it has its answer.
//!
//! Connecting is left to `pages`. What must stay true: when a stretch ends nothing is under way, so CPU time and answers
//! are of the same requests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::fleet::{Patience, STALL, Waiting};
use crate::load::Load;
use crate::loads::kept::{self, Kept};
use crate::loads::visit::Visit;
use crate::outcome::Figures;
use crate::process::CpuTime;
use crate::server::Server;

/// What is asked for, with the name in the figures: the page, whose path is no file's name, and one of its scripts.
const PATHS: [(&str, &str); 2] = [("/", "page"), ("/app.js", "script")];

/// CPU time of a request of each path, half of the time each.
pub fn run(load: &Load, server: &Server, waiting: Waiting) -> Result<Figures> {
    let addr = server.target.addr;
    let mut connections = (0..load.clients).map(|_| Kept::start(addr)).collect::<Result<Vec<_>>>()?;
    let mut measured = Vec::new();
    for (path, name) in PATHS {
        let body_bytes = Visit::begin(addr)?.get(path)?.len();
        let mut ask = |duration| ask_for(duration, path, body_bytes, &mut connections, waiting);
        ask(load.warm_up() / 2)?;
        let before = CpuTime::of(server.pid)?;
        let began = Instant::now();
        let answers = ask(load.duration() / 2)?;
        let elapsed = began.elapsed();
        measured.push(Stretch { name, answers, elapsed, cpu: CpuTime::of(server.pid)?.since(before) });
    }
    Ok(figures(&measured))
}

/// Answers to the requests of one path, and what they took.
#[derive(Debug)]
struct Stretch {
    name: &'static str,
    answers: u64,
    elapsed: Duration,
    cpu: CpuTime,
}

/// A request is the mean of the paths, each of which counts the same however many there were of it.
fn figures(measured: &[Stretch]) -> Figures {
    let mut figures = Figures::new();
    let mut mean = |name: &str, value: f64| *figures.entry(name.into()).or_default() += value / measured.len() as f64;
    for stretch in measured {
        let answers = stretch.answers as f64;
        mean("total_us_per_request", stretch.cpu.total_us() / answers);
        mean("user_us_per_request", stretch.cpu.user_us() / answers);
        mean("requests_per_s", answers / stretch.elapsed.as_secs_f64());
    }
    let of_path = |s: &Stretch| (format!("total_us_per_{}_request", s.name), s.cpu.total_us() / s.answers as f64);
    figures.extend(measured.iter().map(of_path));
    figures
}

/// Asks again and again until the time is over and the last answer is here; how many answers came.
fn ask_for(
    duration: Duration,
    path: &str,
    body_bytes: usize,
    connections: &mut [Kept],
    waiting: Waiting,
) -> Result<u64> {
    let until = Instant::now() + duration;
    for connection in connections.iter_mut() {
        connection.ask(path)?;
    }
    let (mut under_way, mut answers) = (connections.len(), 0);
    let mut patience = Patience::new();
    while under_way > 0 {
        for i in kept::ready(connections.iter(), waiting)? {
            let Some(body) = connections[i].go_on().with_context(|| format!("asked for {path}"))? else {
                continue;
            };
            if body.len() != body_bytes {
                bail!("{path} came with {} bytes, and with {body_bytes} at first", body.len());
            }
            answers += 1;
            if Instant::now() < until {
                connections[i].ask(path)?;
            } else {
                under_way -= 1;
            }
        }
        if patience.is_over(answers) {
            bail!("{under_way} requests of {path} are not answered, and for {} s none was", STALL.as_secs());
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_the_mean_of_the_paths_however_many_there_were_of_each() {
        let stretch = |name, answers, cpu_us| Stretch {
            name,
            answers,
            elapsed: Duration::from_secs(2),
            cpu: CpuTime::from_us(cpu_us),
        };
        let figures = figures(&[stretch("page", 100, 1000), stretch("script", 300, 9000)]);
        assert!((figures["total_us_per_page_request"] - 10.0).abs() < 1e-9);
        assert!((figures["total_us_per_script_request"] - 30.0).abs() < 1e-9);
        assert!((figures["total_us_per_request"] - 20.0).abs() < 1e-9);
        assert!((figures["requests_per_s"] - 100.0).abs() < 1e-9);
    }
}
