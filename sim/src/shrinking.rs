//! From a seed that fails to the least that fails in the same way.
//!
//! Leaves running to `course`. What must stay true: what comes out shows the same kind of contradiction as what went in.

use std::time::{Duration, Instant};

use crate::options::{Cut, faults_of};
use crate::scenario::Scenario;
use crate::world::course::{Outcome, run_scenario};

/// Leaves out actors, faults and time as long as the same kind of contradiction remains, for at most so long.
pub fn shrink(seed: u64, cut: &Cut, outcome: Outcome, at_most: Duration) -> (Cut, Outcome) {
    let mut shrinking = Shrinking { seed, cut: cut.clone(), outcome, ends: Instant::now() + at_most };
    shrinking.leave_out_faults();
    shrinking.leave_out_actors();
    shrinking.shorten();
    shrinking.leave_out_actors();
    shrinking.leave_out_faults();
    (shrinking.cut, shrinking.outcome)
}

struct Shrinking {
    seed: u64,
    cut: Cut,
    outcome: Outcome,
    ends: Instant,
}

impl Shrinking {
    /// Takes this if it fails in the same way.
    fn try_cut(&mut self, cut: Cut) -> bool {
        if Instant::now() > self.ends {
            return false;
        }
        let outcome = run_scenario(&cut.of(self.seed), cut.only.as_deref());
        let is_same = outcome.kind().is_some() && outcome.kind() == self.outcome.kind();
        if is_same {
            (self.cut, self.outcome) = (cut, outcome);
        }
        is_same
    }

    fn leave_out_faults(&mut self) {
        for name in faults_of(&self.cut.of(self.seed)) {
            let mut cut = self.cut.clone();
            cut.without.push(name);
            self.try_cut(cut);
        }
    }

    /// First halves of them, then quarters, down to one.
    fn leave_out_actors(&mut self) {
        let all = || (0..Scenario::of(self.seed).crowd.len()).collect();
        let mut size = self.cut.only.clone().unwrap_or_else(all).len().div_ceil(2);
        loop {
            let mut first = 0;
            loop {
                let there = self.cut.only.clone().unwrap_or_else(|| (0..Scenario::of(self.seed).crowd.len()).collect());
                if first >= there.len() {
                    break;
                }
                let last = (first + size).min(there.len());
                let left = [&there[..first], &there[last..]].concat();
                if !self.try_cut(Cut { only: Some(left), ..self.cut.clone() }) {
                    first += size;
                }
            }
            if size <= 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn shorten(&mut self) {
        let mut step = self.cut.of(self.seed).lasts / 2;
        while step > Duration::from_millis(10) {
            let lasts = self.cut.of(self.seed).lasts;
            if lasts <= step || !self.try_cut(Cut { until: Some(lasts - step), ..self.cut.clone() }) {
                step /= 2;
            }
        }
    }
}
