//! Clients on two boards that share a Redis server: those on the near one, where all is sent, and those on the far one.
//!
//! What is sent, and when, is left to `lockstep` and `pipelined`. What must stay true: only deliveries of the far board are
//! measured, and those of the near one are checked as strictly.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Target;
use crate::fleet::{Fleet, STALL, Waiting};
use crate::wire::{STAMP_BYTES, Stamp};

/// Boards that are not connected are asked again after this long.
const RETRY: Duration = Duration::from_millis(20);

/// A message that has not come through after this long is taken for lost.
const SOON: Duration = Duration::from_millis(500);

/// Connects as many clients to each of the boards; the first ones are on the near board.
pub fn open(near: &Target, far: &Target, clients: usize, waiting: Waiting) -> Result<Fleet> {
    await_connected(near, far)?;
    let mut fleet = Fleet::new(near.clone(), waiting)?;
    fleet.open(clients, false)?;
    fleet.open_at(far.clone(), clients, true)?;
    Ok(fleet)
}

/// Waits until a message that is sent to the near board comes out of the far one: a board listens before it has Redis, and
/// one of socket.io begins to read the stream only after it has let somebody in.
fn await_connected(near: &Target, far: &Target) -> Result<()> {
    let began = Instant::now();
    loop {
        match try_once(near, far) {
            Ok(true) => return Ok(()),
            Ok(false) if began.elapsed() > STALL => bail!("what is sent to one board does not come to the other"),
            Err(e) if began.elapsed() > STALL => return Err(e).context("a board lets nobody in"),
            _ => std::thread::sleep(RETRY),
        }
    }
}

/// Whether a message comes through soon. One that comes later is one too many for whoever tries then, who tries again.
fn try_once(near: &Target, far: &Target) -> Result<bool> {
    let mut fleet = Fleet::new(near.clone(), Waiting::Sleep)?;
    fleet.open(1, false)?;
    fleet.open_at(far.clone(), 1, true)?;
    let sent_ns = fleet.meter().clock_ns();
    let mut template = fleet.template(STAMP_BYTES);
    let publisher = fleet.client(0)?;
    publisher.queue(template.stamped(Stamp { publisher: 0, seq: 0, sent_ns }));
    publisher.flush()?;
    let sent = Instant::now();
    while sent.elapsed() < SOON {
        fleet.turn()?;
        if fleet.meter().delivered() == 1 && fleet.meter().checked() == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}
