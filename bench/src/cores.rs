//! Which core runs what: one is the server's, one is the load's.
//!
//! When a thread moves is left to those who start servers. What must stay true: with `--no-pin` there is no core for
//! anybody, so nothing is moved and the kernel chooses.

use anyhow::{Context, Result};
use rustix::thread::CpuSet;

/// Which core runs what.
#[derive(Clone, Debug, clap::Args)]
pub struct Cores {
    /// Leave it to the kernel which core runs what
    #[arg(long)]
    no_pin: bool,
    /// The core of the server
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    load_core: usize,
}

impl Cores {
    /// The core of the server, if it is to have one of its own.
    pub fn server(&self) -> Option<usize> {
        (!self.no_pin).then_some(self.server_core)
    }

    /// The core of the load, if it is to have one of its own.
    pub fn load(&self) -> Option<usize> {
        (!self.no_pin).then_some(self.load_core)
    }

    /// Moves this thread to the core of the load.
    pub fn pin_load(&self) -> Result<()> {
        self.load().map_or(Ok(()), pin_to)
    }
}

/// Binds this thread, and what it spawns from now on, to one core.
pub fn pin_to(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).with_context(|| format!("there is no core {core} to pin to"))
}
