//! Clients that are connected and silent, by WebSocket or by event stream: what each of them costs the server in resident memory.
//!
//! What must stay true: what a server sets up once, for whoever comes first, is charged to no client.

use anyhow::Result;

use crate::client::Target;
use crate::fleet::Fleet;
use crate::load::Load;
use crate::loads::measurement::settled_kib;
use crate::outcome::Figures;
use crate::process::CpuTime;
use crate::server::Server;

/// These come before the measured crowd, and stay.
const FIRST_CLIENTS: usize = 8;

/// KiB per client, and CPU time that the silent crowd takes in a second.
pub fn run(load: &Load, server: &Server, fleet: Fleet) -> Result<Figures> {
    run_at(&server.target, load, server, fleet)
}

/// The same of clients that receive by event stream.
pub fn run_streams(load: &Load, server: &Server, fleet: Fleet) -> Result<Figures> {
    run_at(&server.target.events(), load, server, fleet)
}

fn run_at(target: &Target, load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    let empty_kib = settled_kib(server, &mut fleet)?;
    fleet.open_at(target.clone(), FIRST_CLIENTS, false)?;
    let before_kib = settled_kib(server, &mut fleet)?;
    fleet.open_at(target.clone(), load.clients, false)?;
    let after_kib = settled_kib(server, &mut fleet)?;
    let cpu = CpuTime::of(server.pid)?;
    let began = std::time::Instant::now();
    while began.elapsed() < load.duration() {
        fleet.wait(std::time::Duration::from_millis(50))?;
    }
    let idle = CpuTime::of(server.pid)?.since(cpu);
    let grown_kib = after_kib.saturating_sub(before_kib) as f64;
    let mut figures = Figures::from([
        ("empty_kib".into(), empty_kib as f64),
        ("resident_kib".into(), after_kib as f64),
        ("kib_per_client".into(), grown_kib / load.clients as f64),
        ("idle_cpu_us_per_s".into(), idle.total_us() / began.elapsed().as_secs_f64()),
    ]);
    if let Some(start) = server.start {
        figures.insert("start_ms".into(), start.as_secs_f64() * 1000.0);
    }
    Ok(figures)
}
