//! From what was recorded to all cases, in an order that a seed decides.
//!
//! What must stay true: the first of them have each call of the server and of the clients once, so that a run that is cut short has met all calls as
//! far as its time goes.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::calls::{PASSING, Way, way_of};
use crate::case::{Case, From, Lasts, Target};
use crate::recording::Seen;

/// What was recorded of one program, from one moment on.
pub struct Recorded {
    pub target: Target,
    pub from: From,
    pub seen: BTreeMap<String, Seen>,
}

/// All cases. Of each call up to `occurrences` in a row fail in turn.
///
/// # Errors
/// If a call is made that is not known.
pub fn all(recorded: &[Recorded], occurrences: usize) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for Recorded { target, from, seen } in recorded {
        for (call, its) in seen {
            let way = way_of(call);
            let way = way.ok_or_else(|| format!("nobody knows how {call} can fail: it needs a row in calls.rs"))?;
            let Way::Fails(errnos) = way else { continue };
            // What the loader does is not ours.
            let times: Vec<usize> = its.times.iter().copied().filter(|nth| *nth > its.by_loader).collect();
            let Some(&first) = times.first() else { continue };
            let at_stop = its.first_at_stop.and_then(|stop| times.iter().copied().find(|nth| *nth >= stop));
            for errno in errnos {
                let case = |nth, lasts| Case { target: *target, from: *from, call: call.clone(), errno, nth, lasts };
                cases.extend(times.iter().take(occurrences).map(|nth| case(*nth, Lasts::Once)));
                cases.push(case(first, Lasts::AWhile));
                if PASSING.contains(errno) {
                    continue;
                }
                cases.push(case(first, Lasts::UntilHealed));
                let ends: BTreeSet<usize> = [Some(first), at_stop].into_iter().flatten().collect();
                cases.extend(ends.into_iter().map(|nth| case(nth, Lasts::ForEver)));
            }
        }
    }
    Ok(cases)
}

/// Mixes them, and puts in front one of each call of the server, and of the clients.
pub fn mix(cases: &mut Vec<Case>, rng: &mut Rng) {
    rng.shuffle(cases);
    let mut met = BTreeSet::new();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        std::mem::take(cases).into_iter().partition(|case| met.insert((case.target.is_server(), case.call.clone())));
    first.extend(rest);
    *cases = first;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(call: &str, its: Seen) -> Vec<Recorded> {
        vec![Recorded { target: Target::Disk, from: From::Start, seen: BTreeMap::from([(call.to_owned(), its)]) }]
    }

    #[test]
    fn each_error_of_a_call_comes_at_each_of_its_times_but_the_loaders() {
        let seen = Seen { by_loader: 2, times: (1..=4).collect(), first_at_stop: Some(4) };
        let names: Vec<String> = all(&recorded("listen", seen.clone()), 9)
            .unwrap()
            .iter()
            .map(|case| case.to_string().replace("disk:start:", ""))
            .collect();
        let expected = ["3:once", "4:once", "3:a-while", "3:until-healed", "3:for-ever", "4:for-ever"];
        assert_eq!(names, expected.map(|rest| format!("listen:EADDRINUSE:{rest}")));
        assert_eq!(all(&recorded("futex", seen), 9).unwrap(), []);
    }

    #[test]
    fn a_call_that_nobody_knows_ends_the_run() {
        let error = all(&recorded("io_uring_setup", Seen::default()), 9).unwrap_err();
        assert!(error.contains("io_uring_setup"), "{error}");
    }

    #[test]
    fn one_of_each_call_comes_first_and_the_seed_decides_the_rest() {
        let seen = Seen { by_loader: 0, times: (1..=9).collect(), first_at_stop: None };
        let mut one = recorded("read", seen.clone());
        one[0].seen.insert("fsync".to_owned(), seen);
        let mut cases = all(&one, 9).unwrap();
        let mut again = cases.clone();
        mix(&mut cases, &mut Rng::with_seed(7));
        mix(&mut again, &mut Rng::with_seed(7));
        assert_eq!(cases, again);
        assert_ne!(cases[0].call, cases[1].call);
    }
}
