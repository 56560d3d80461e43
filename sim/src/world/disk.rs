//! The moods of the disk under `--state`.
//!
//! Leaves files to the server, which writes real ones. What must stay true: after a kill nothing changes any more; a kill within an append
//! leaves any part of it, and none of what would come after.

use std::io;

use fastrand::Rng;
use foghorn::simulation::disk::{Course, DiskStep};

/// The disk.
#[derive(Debug)]
pub struct Disk {
    random: Rng,
    torn_one_in: Option<u32>,
    is_failing: bool,
    is_dead: bool,
}

/// What a step leads to.
#[derive(Debug)]
pub enum Mood {
    /// It goes like this.
    Goes(io::Result<Course>),
    /// It goes like this, and the server is killed in it.
    Killed(io::Result<Course>),
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl Disk {
    /// A disk on which one of so many steps is where a kill happens.
    pub fn new(random: Rng, torn_one_in: Option<u32>) -> Self {
        Self { random, torn_one_in, is_failing: false, is_dead: false }
    }

    /// Whether it fails now.
    pub fn set_failing(&mut self, is_failing: bool) {
        self.is_failing = is_failing;
    }

    /// No kill happens in a step from now on.
    pub fn tear_no_more(&mut self) {
        self.torn_one_in = None;
    }

    /// The server is gone, or begins.
    pub fn set_dead(&mut self, is_dead: bool) {
        self.is_dead = is_dead;
    }

    /// How a step goes.
    pub fn step(&mut self, step: DiskStep) -> Mood {
        if self.is_dead {
            return Mood::Goes(Err(io::Error::from_raw_os_error(EIO)));
        }
        if self.torn_one_in.is_some_and(|one_in| self.random.u32(..one_in) == 0) {
            self.is_dead = true;
            return Mood::Killed(match step {
                DiskStep::Append { bytes } => Ok(Course::Partly(self.random.usize(..=bytes))),
                _ if self.random.bool() => Ok(Course::Done),
                _ => Err(io::Error::from_raw_os_error(EIO)),
            });
        }
        if !self.is_failing || self.random.u32(..4) == 0 {
            return Mood::Goes(Ok(Course::Done));
        }
        Mood::Goes(match step {
            DiskStep::Append { bytes } if bytes > 0 && self.random.bool() => {
                Ok(Course::Partly(self.random.usize(..bytes)))
            }
            // A full disk takes nothing new, and lets go of what is there.
            DiskStep::Append { .. } | DiskStep::Create => Err(io::Error::from_raw_os_error(ENOSPC)),
            _ if self.random.u32(..4) == 0 => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(Course::Done),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_kill_within_a_step_nothing_changes_any_more() {
        let mut disk = Disk::new(Rng::with_seed(1), Some(1));
        let torn = disk.step(DiskStep::Append { bytes: 10 });
        assert!(matches!(torn, Mood::Killed(Ok(Course::Partly(0..=10)))), "{torn:?}");
        for step in [DiskStep::Cut, DiskStep::Remove, DiskStep::Append { bytes: 3 }] {
            assert!(matches!(disk.step(step), Mood::Goes(Err(_))));
        }
        disk.set_dead(false);
        disk.tear_no_more();
        assert!(matches!(disk.step(DiskStep::Sync), Mood::Goes(Ok(Course::Done))));
    }
}
