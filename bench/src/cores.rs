//! Which core runs what: one is the server's, one is the load's.
//!
//! When a thread moves is left to those who start servers. What must stay true: with `--no-pin` nothing is moved, and
//! the kernel chooses.

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
    /// Moves this thread to the core of the server, for what it spawns there.
    pub fn pin_server(&self) -> Result<()> {
        self.pin_to(self.server_core)
    }

    /// Moves this thread to the core of the load.
    pub fn pin_load(&self) -> Result<()> {
        self.pin_to(self.load_core)
    }

    fn pin_to(&self, core: usize) -> Result<()> {
        if self.no_pin {
            return Ok(());
        }
        let mut set = CpuSet::new();
        set.set(core);
        rustix::thread::sched_setaffinity(None, &set).with_context(|| format!("there is no core {core} to pin to"))
    }
}
