//! Page visits, one after the other by a few visitors at a time.
//!
//! Blocking sockets in a few threads do: a page costs a server far more than it costs the load. Every answer must have
//! status 200 and the bytes that the first visit saw.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::load::Load;
use crate::loads::visit::{Plan, Visit};
use crate::outcome::Figures;
use crate::process::{self, CpuTime};
use crate::server::Server;

/// Visits and requests per second by `clients` visitors at a time.
pub fn run(load: &Load, server: &Server) -> Result<Figures> {
    let addr = server.target.addr;
    let plan = Plan::explore(addr)?;
    visit_for(load.warm_up(), load.clients, addr, &plan)?;
    let before = CpuTime::of(server.pid)?;
    let began = Instant::now();
    let visits = visit_for(load.duration(), load.clients, addr, &plan)?;
    let elapsed_s = began.elapsed().as_secs_f64();
    let cpu = CpuTime::of(server.pid)?.since(before);
    Ok(Figures::from([
        ("visits_per_s".into(), visits as f64 / elapsed_s),
        ("requests_per_s".into(), visits as f64 * plan.answers.len() as f64 / elapsed_s),
        ("requests_per_visit".into(), plan.answers.len() as f64),
        ("total_us_per_visit".into(), cpu.total_us() / visits as f64),
        ("resident_kib".into(), process::resident_kib(server.pid)? as f64),
    ]))
}

fn visit_for(duration: Duration, visitors: usize, addr: SocketAddr, plan: &Plan) -> Result<u64> {
    let until = Instant::now() + duration;
    let one_visitor = || -> Result<u64> {
        let mut visits = 0;
        while Instant::now() < until {
            let mut visit = Visit::begin(addr)?;
            for (path, expected) in &plan.answers {
                if visit.get(path)? != *expected {
                    bail!("{path} came back with other bytes than at the first visit");
                }
            }
            visits += 1;
        }
        Ok(visits)
    };
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..visitors).map(|_| scope.spawn(one_visitor)).collect();
        visitors.into_iter().map(|v| v.join().expect("a visitor does not panic")).sum()
    })
}
