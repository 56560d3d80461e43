//! How a client reads: at once, slowly, with pauses, or no more.
//!
//! Leaves what it reads to others. What must stay true: who reads at once leaves nothing lying.

use std::time::Duration;

use crate::clients::line::{Line, Trickle};

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All, at once.
    Prompt,
    /// So many bytes, each time after so long.
    Slow(Trickle),
    /// Nothing, for a while; then all for a while.
    Pauses {
        /// For how long it reads.
        reads: Duration,
        /// And for how long it does not.
        stops: Duration,
    },
    /// Nothing any more, after so long.
    Stops(Duration),
}

/// The reading of one connection.
#[derive(Debug)]
pub struct Pacing {
    began: Duration,
    /// When it reads next, or stops, or begins again.
    turns_at: Duration,
    is_reading: bool,
}

impl Pacing {
    /// Of a connection that begins.
    pub fn new(now: Duration) -> Self {
        Self { began: now, turns_at: now, is_reading: false }
    }

    /// Reads what is to be read now. `wakes` gets when more is.
    pub fn read(&mut self, pace: Pace, line: &mut Line, now: Duration, wakes: &mut Vec<Duration>) {
        let bytes_max = match pace {
            Pace::Prompt => usize::MAX,
            Pace::Slow(trickle) if now >= self.turns_at => {
                self.turns_at = now + trickle.every.max(Duration::from_millis(1));
                trickle.bytes
            }
            Pace::Pauses { reads, stops } => {
                if now >= self.turns_at {
                    self.is_reading = !self.is_reading;
                    let lasts = if self.is_reading { reads } else { stops };
                    self.turns_at = now + lasts.max(Duration::from_millis(1));
                }
                if self.is_reading { usize::MAX } else { 0 }
            }
            Pace::Stops(after) if now < self.began + after => usize::MAX,
            Pace::Slow(_) | Pace::Stops(_) => 0,
        };
        if matches!(pace, Pace::Slow(_) | Pace::Pauses { .. }) {
            wakes.push(self.turns_at);
        }
        if bytes_max > 0 {
            line.receive(bytes_max);
        }
    }
}
