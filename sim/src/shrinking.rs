//! From a seed that fails to the least that fails in the same way.
//!
//! Leaves running to `course`. What must stay true: what comes out shows the same kind of contradiction as what went in.

use std::time::{Duration, Instant};

use crate::options::{Cut, faults_of};

use crate::world::course::{Outcome, run_scenario};

/// Leaves out actors, faults and time as long as the same kind of contradiction remains, for at most so long.
pub fn shrink(seed: u64, cut: &Cut, outcome: Outcome, at_most: Duration) -> (Cut, Outcome) {
    shrink_by(seed, cut, outcome, at_most, |cut| run_scenario(&cut.of(seed), cut.only.as_deref()))
}

fn shrink_by(
    seed: u64,
    cut: &Cut,
    outcome: Outcome,
    at_most: Duration,
    run: impl Fn(&Cut) -> Outcome,
) -> (Cut, Outcome) {
    let mut shrinking = Shrinking { seed, cut: cut.clone(), outcome, ends: Instant::now() + at_most, run };
    shrinking.leave_out_faults();
    shrinking.leave_out_actors();
    shrinking.shorten();
    shrinking.leave_out_actors();
    shrinking.leave_out_faults();
    (shrinking.cut, shrinking.outcome)
}

struct Shrinking<R> {
    seed: u64,
    cut: Cut,
    outcome: Outcome,
    ends: Instant,
    run: R,
}

impl<R: Fn(&Cut) -> Outcome> Shrinking<R> {
    /// Takes this if it fails in the same way.
    fn try_cut(&mut self, cut: Cut) -> bool {
        if Instant::now() > self.ends {
            return false;
        }
        let outcome = (self.run)(&cut);
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
        let crowd = self.cut.of(self.seed).crowd.len();
        let mut size = self.cut.only.as_ref().map_or(crowd, Vec::len).div_ceil(2);
        loop {
            let mut first = 0;
            loop {
                let there = self.cut.only.clone().unwrap_or_else(|| (0..crowd).collect());
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
            if lasts <= step || !self.try_cut(Cut { until: Some(lasts.saturating_sub(step)), ..self.cut.clone() }) {
                step /= 2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::statistics::Figures;

    #[test]
    fn what_has_no_part_in_it_is_left_out_and_what_has_stays() {
        // One with enough of all.
        let is_rich = |seed: &u64| {
            let scenario = Scenario::of(*seed);
            let faults = faults_of(&scenario);
            scenario.crowd.len() > 8 && scenario.lasts > Duration::from_secs(20) && faults.len() > 3
        };
        let seed = (0..10_000).find(is_rich).unwrap();
        let culprit = faults_of(&Scenario::of(seed))[1].clone();
        let run = |cut: &Cut| {
            let scenario = cut.of(seed);
            let is_there = |id| cut.only.as_ref().is_none_or(|only| only.contains(&id));
            let fails = is_there(3)
                && is_there(7)
                && scenario.lasts > Duration::from_secs(5)
                && faults_of(&scenario).contains(&culprit);
            let contradiction = fails.then(|| format!("order: at {:?}", scenario.lasts));
            Outcome { contradiction, trace: 0, figures: Figures::default(), who: Vec::new() }
        };
        let whole = Cut::default();
        let (cut, outcome) = shrink_by(seed, &whole, run(&whole), Duration::from_secs(60), run);
        assert_eq!((outcome.kind(), cut.only.as_deref()), (Some("order"), Some(&[3, 7][..])));
        assert_eq!(faults_of(&cut.of(seed)).join(" "), culprit);
        let lasts = cut.of(seed).lasts;
        assert!(lasts > Duration::from_secs(5) && lasts < Duration::from_millis(5_100), "{lasts:?}");
    }
}
