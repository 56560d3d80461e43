//! The command line.
//!
//! Leaves what is run to `main`. What must stay true: the command that a contradiction prints is one that this reads.

use std::time::Duration;

use crate::scenario::{Scenario, State};
use crate::turn::{FAULTS, Fault};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the command line")]
pub struct Options {
    /// Runs one seed after the other for so long.
    pub seconds: u64,
    /// So many of them at most.
    pub count: Option<u64>,
    /// The first of them; by chance where there is none.
    pub from: Option<u64>,
    /// Replays one seed.
    pub seed: Option<u64>,
    /// What is left out of it.
    pub cut: Cut,
    /// Measures how fast it is.
    pub speed: bool,
    /// Shows the server's log.
    pub verbose: bool,
    /// Goes on after a contradiction, and says all at the end.
    pub keep_going: bool,
    /// Says what is found as it is, without making it smaller.
    pub no_shrink: bool,
}

/// What is left out of a scenario.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cut {
    /// Every seed is a busy one. Of the seed itself nothing is left out.
    pub busy: bool,
    /// Only these actors; all where there is none.
    pub only: Option<Vec<usize>>,
    /// Everybody is to leave after so long.
    pub until: Option<Duration>,
    /// Kinds of faults that do not happen.
    pub without: Vec<String>,
}

/// A fault of its own name, which has no turn: kills within a step of `--state`.
pub const TORN: &str = "torn-steps";

impl Cut {
    /// The scenario without what is left out.
    pub fn of(&self, seed: u64) -> Scenario {
        let mut scenario = if self.busy { Scenario::busy(seed) } else { Scenario::of(seed) };
        if let Some(until) = self.until {
            scenario.lasts = scenario.lasts.min(until);
        }
        for fault in FAULTS.into_iter().filter(|fault| self.without.iter().any(|name| name == fault.name())) {
            *fault.mean(&mut scenario.faults) = None;
        }
        if self.without.iter().any(|name| name == TORN) {
            scenario.faults.torn_steps = None;
        }
        scenario
    }

    /// As it is written on the command line.
    pub fn words(&self) -> String {
        let mut words = if self.busy { " --busy".to_owned() } else { String::new() };
        if let Some(only) = &self.only {
            let ids: Vec<String> = only.iter().map(usize::to_string).collect();
            words += &format!(" --only {}", ids.join(","));
        }
        if let Some(until) = self.until {
            words += &format!(" --until {}s", until.as_secs_f64());
        }
        if !self.without.is_empty() {
            words += &format!(" --without {}", self.without.join(","));
        }
        words
    }
}

/// The names of the faults that a scenario has.
pub fn faults_of(scenario: &Scenario) -> Vec<String> {
    let mut faults = scenario.faults.clone();
    let mut names: Vec<String> = FAULTS
        .into_iter()
        .filter(|fault: &Fault| fault.mean(&mut faults).is_some())
        .map(|fault| fault.name().to_owned())
        .collect();
    if scenario.faults.torn_steps.is_some() && scenario.state != State::Off {
        names.push(TORN.into());
    }
    names
}

/// Reads the command line.
///
/// # Errors
/// A sentence, if it is none.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { seconds: 60, ..Options::default() };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seconds" => options.seconds = number(&value()?)?,
            "--count" => options.count = Some(number(&value()?)?),
            "--from" => options.from = Some(number(&value()?)?),
            "--seed" => options.seed = Some(number(&value()?)?),
            "--only" => {
                let ids: Result<_, _> =
                    value()?.split(',').map(|id| id.parse().map_err(|_| format!("{id} is no id"))).collect();
                options.cut.only = Some(ids?);
            }
            "--until" => options.cut.until = Some(span(&value()?)?),
            "--without" => options.cut.without = names(&value()?)?,
            "--busy" => options.cut.busy = true,
            "--speed" => options.speed = true,
            "--verbose" => options.verbose = true,
            "--keep-going" => options.keep_going = true,
            "--no-shrink" => options.no_shrink = true,
            _ => {
                return Err(format!(
                    "what is {word}? There are --seconds N, --count N, --from SEED, --seed N, --only ID,…, --until SECONDSs, --without KIND,…, --busy, --speed, --verbose, --keep-going, --no-shrink"
                ));
            }
        }
    }
    Ok(options)
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

fn span(word: &str) -> Result<Duration, String> {
    let secs: f64 = word.trim_end_matches('s').parse().map_err(|_| format!("{word} is no time such as 12.5s"))?;
    Duration::try_from_secs_f64(secs).map_err(|_| format!("{word} is no time such as 12.5s"))
}

fn names(word: &str) -> Result<Vec<String>, String> {
    let known: Vec<&str> = FAULTS.into_iter().map(Fault::name).chain([TORN]).collect();
    word.split(',')
        .map(|name| {
            if known.contains(&name) {
                Ok(name.to_owned())
            } else {
                Err(format!("{name} is no kind of fault: there are {}", known.join(", ")))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        let cut = Cut {
            busy: true,
            only: Some(vec![3, 7]),
            until: Some(Duration::from_millis(12_500)),
            without: vec!["kills".into(), TORN.into()],
        };
        let words = cut.words();
        assert_eq!(words, " --busy --only 3,7 --until 12.5s --without kills,torn-steps");
        assert_eq!(read(words.split_whitespace().map(str::to_owned)).unwrap().cut, cut);
        assert!(read(["--without".to_owned(), "kisses".to_owned()].into_iter()).unwrap_err().contains("kills"));
    }
}
