//! Channels that are made by posts and forgotten when others need their place: what of them stays in memory.
//!
//! What must stay true: the warm-up makes as many channels as are measured, so what a server keeps for good is there
//! already.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::fleet::Fleet;
use crate::load::Load;
use crate::loads::measurement::settled_kib;
use crate::loads::posts::check_number;
use crate::loads::visit::Visit;
use crate::outcome::Figures;
use crate::process::CpuTime;
use crate::server::Server;
use crate::wire::{Stamp, payload};

/// Messages of each channel.
const MESSAGES: u64 = 64;

/// Resident memory before and after, and CPU time of each channel with all its messages.
pub fn run(load: &Load, server: &Server, mut fleet: Fleet) -> Result<Figures> {
    let round = |round: &str| -> Result<()> {
        let mut visit = Visit::begin(server.target.addr)?;
        for channel in 0..load.channels {
            for seq in 0..MESSAGES {
                let body = payload(load.payload_bytes, Stamp { publisher: 0, seq, sent_ns: 0 });
                let answer = visit.post(&format!("/c/{round}-{channel}"), &body)?;
                check_number(&answer, seq + 1).with_context(|| format!("channel {round}-{channel}"))?;
            }
        }
        Ok(())
    };
    round("warm-up")?;
    let before_kib = settled_kib(server, &mut fleet)?;
    let (cpu, began) = (CpuTime::of(server.pid)?, Instant::now());
    round("measured")?;
    let channels = load.channels as f64;
    let elapsed_s = began.elapsed().as_secs_f64();
    let cpu = CpuTime::of(server.pid)?.since(cpu);
    let after_kib = settled_kib(server, &mut fleet)?;
    Ok(Figures::from([
        ("before_kib".into(), before_kib as f64),
        ("resident_kib".into(), after_kib as f64),
        ("growth_kib".into(), after_kib as f64 - before_kib as f64),
        ("total_us_per_channel".into(), cpu.total_us() / channels),
        ("channels_per_s".into(), channels / elapsed_s),
    ]))
}
