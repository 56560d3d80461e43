//! Clients that arrive: how fast they are let in, and whether a crowd at the door holds up those inside.
//!
//! The broadcast that goes on meanwhile is left to `lockstep`. What must stay true: who comes again is checked like
//! everybody else, from the first message that it gets.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::fleet::Fleet;
use crate::load::Load;
use crate::loads::lockstep::Lockstep;
use crate::loads::measurement::Measurement;
use crate::outcome::Figures;
use crate::process::CpuTime;
use crate::server::Server;

/// A storm that is not over by then is not going to end well; some runtimes do need twenty seconds.
const STORM_MAX: Duration = Duration::from_secs(60);

/// Handshakes (TCP and WebSocket) per second, all by one load that has up to 256 under way. When all are in, all drop
/// and come again, until the time is over; CPU time is that of coming and going.
pub fn connect(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    let cpu = CpuTime::of(server.pid)?;
    let began = Instant::now();
    let mut opening = fleet.open(load.clients, false)?;
    let mut handshakes = load.clients as f64;
    while began.elapsed() < load.duration() {
        fleet.reconnect(0..load.clients);
        opening += fleet.await_open()?;
        handshakes += load.clients as f64;
    }
    let cpu = CpuTime::of(server.pid)?.since(cpu);
    Ok(Figures::from([
        ("handshakes_per_s".into(), handshakes / opening.as_secs_f64()),
        ("user_us_per_handshake".into(), cpu.user_us() / handshakes),
        ("total_us_per_handshake".into(), cpu.total_us() / handshakes),
    ]))
}

/// A lock-step broadcast to the metered clients, while all phones drop and come back at once: the longest delay that
/// the metered clients see. The phones get the messages too, as they would, and are checked for gaps.
pub fn storm(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    fleet.open(load.clients, true)?;
    fleet.open(load.phones, false)?;
    let mut lockstep = Lockstep::new(load, &fleet);
    lockstep.go_on_for(load.warm_up(), &mut fleet)?;
    let calm = Measurement::begin(server, &mut fleet)?;
    lockstep.go_on_for(load.duration(), &mut fleet)?;
    let calm = calm.end(&mut fleet)?;
    let measurement = Measurement::begin(server, &mut fleet)?;
    let began = Instant::now();
    fleet.reconnect(load.clients..load.clients + load.phones);
    while !fleet.all_open() {
        lockstep.step(&mut fleet)?;
        if began.elapsed() > STORM_MAX {
            bail!("the phones were not all back after {} s", STORM_MAX.as_secs());
        }
    }
    let storm_s = began.elapsed().as_secs_f64();
    let mut figures = measurement.end(&mut fleet)?;
    // The server has worked for the phones too, which are not in the count of deliveries.
    figures.retain(|name, _| name.starts_with("latency"));
    fleet.check_one_order()?;
    figures.insert("calm_max_us".into(), calm["latency_max_us"]);
    figures.insert("calm_p99_us".into(), calm["latency_p99_us"]);
    figures.insert("storm_ms".into(), storm_s * 1000.0);
    figures.insert("handshakes_per_s".into(), load.phones as f64 / storm_s);
    Ok(figures)
}
