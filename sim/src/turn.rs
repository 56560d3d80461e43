//! What the world does by itself, not because somebody has asked for it.
//!
//! Leaves how it is done to `world`. What must stay true: each kind of fault has a name, by which it can be switched off, and a chance of its
//! own, so that switching one off changes no plan of another.

use std::time::Duration;

use crate::scenario::Faults;

/// What the world does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something goes wrong.
    Fault(Fault),
    /// The disk does as it should again.
    DiskRecovers,
    /// The worker of `--state` does its next job.
    Works,
    /// Everybody is to leave.
    Leave,
    /// Whoever is still there is broken off.
    BreakAll,
    /// It is looked whether the server rests, from here on.
    RestBegins,
    /// To here.
    RestEnds,
    /// The server is told to stop for the last time.
    StopForGood,
    /// A server that was told to stop, and has not in all its time, is wrong.
    StopIsLate(u64),
    /// The server of this life is told a second time to stop.
    StopAtOnce(u64),
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server is killed.
    Kill,
    /// It is stopped in order.
    Stop,
    /// The machine is started anew.
    Reboot,
    /// The disk fails for a while.
    Disk,
    /// A connection is reset by the network.
    Reset,
    /// A connection's network is gone.
    Vanish,
    /// Nothing passes a connection for a while.
    Stall,
    /// The clock of the day jumps.
    ClockJump,
    /// The machine sleeps.
    Suspend,
    /// `accept(2)` fails for a while.
    Accept,
}

/// All of them.
pub const FAULTS: [Fault; 10] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Reboot,
    Fault::Disk,
    Fault::Reset,
    Fault::Vanish,
    Fault::Stall,
    Fault::ClockJump,
    Fault::Suspend,
    Fault::Accept,
];

impl Fault {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kills",
            Self::Stop => "stops",
            Self::Reboot => "reboots",
            Self::Disk => "disk-errors",
            Self::Reset => "resets",
            Self::Vanish => "vanishings",
            Self::Stall => "stalls",
            Self::ClockJump => "clock-jumps",
            Self::Suspend => "suspends",
            Self::Accept => "accept-errors",
        }
    }

    /// How often it happens.
    pub fn mean(self, faults: &mut Faults) -> &mut Option<Duration> {
        match self {
            Self::Kill => &mut faults.kills,
            Self::Stop => &mut faults.stops,
            Self::Reboot => &mut faults.reboots,
            Self::Disk => &mut faults.disk_errors,
            Self::Reset => &mut faults.resets,
            Self::Vanish => &mut faults.vanishings,
            Self::Stall => &mut faults.stalls,
            Self::ClockJump => &mut faults.clock_jumps,
            Self::Suspend => &mut faults.suspends,
            Self::Accept => &mut faults.accept_errors,
        }
    }
}
