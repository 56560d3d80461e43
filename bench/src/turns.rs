//! One load for several servers that take turns, in one run: what `suite` does in rounds, for one load and at once.
//!
//! Any load will do; `duel` is closer where a load can be cut into slices. What must stay true: a ratio is taken within
//! a turn only, since the machine is another one in the next.

use std::io::Write;

use anyhow::{Result, bail};

use crate::cores::Cores;
use crate::fleet::Waiting;
use crate::load::Load;
use crate::loads;
use crate::outcome::Figures;
use crate::peers;
use crate::statistics::{Ratio, median};

/// Turns of each server: enough for quartiles.
const TURNS: usize = 10;

/// Lets them take turns, which share the time of the load, and prints what came out: a column for each, and what the
/// first one is to each of the others.
pub fn run(load: &Load, names: &[String], waiting: Waiting, cores: &Cores) -> Result<()> {
    let mut servers = Vec::new();
    for name in names {
        let peer = peers::find(name)?;
        if !load.kind.suits(peer.serves) {
            bail!("{name} is no server for {}", load.kind.name());
        }
        servers.push(peer.start(cores)?);
    }
    let turn_load = Load { seconds: load.seconds / TURNS as f64, ..load.clone() };
    let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); servers.len()];
    for turn in 0..TURNS {
        eprint!("\rturn {} of {TURNS}", turn + 1);
        let _ = std::io::stderr().flush();
        for i in 0..servers.len() {
            // Another one begins in each turn, so that nobody always follows the same neighbour.
            let i = (i + turn) % servers.len();
            let mut figures = loads::run(&turn_load, &servers[i], waiting)?;
            // The split of CPU time is sampled far too seldom for a turn.
            figures.retain(|name, _| !name.starts_with("user_us"));
            runs[i].push(figures);
        }
    }
    eprintln!();
    println!("{}: medians of {TURNS} turns of {:.3} s for each", load.label(), turn_load.seconds);
    println!("{}", table(names, &runs));
    Ok(())
}

/// A column for each server, and what the first one is to each of the others.
pub(crate) fn table(names: &[String], runs: &[Vec<Figures>]) -> String {
    let (first, others) = (&names[0], &names[1..]);
    let mut lines = vec![format!("{:27}", "")];
    lines[0].extend(names.iter().map(|name| format!(" {name:>12}")));
    lines[0].extend(others.iter().map(|other| format!("   {:24}", format!("{first} ÷ {other}"))));
    for figure in runs[0][0].keys() {
        let values = |i: usize| runs[i].iter().map(|figures| figures.get(figure).copied().unwrap_or(f64::NAN));
        let mut line = format!("{figure:27}");
        line.extend((0..runs.len()).map(|i| format!(" {:12.3}", median(values(i)).unwrap_or(f64::NAN))));
        line.extend((1..runs.len()).map(|i| format!("   {:24}", Ratio::of(values(0), values(i)).to_string())));
        lines.push(line);
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_server_and_ratios_within_turns() {
        let names = ["foghorn".to_owned(), "nginx".to_owned()];
        // The machine was twice as slow in the second turn, and the ratio stays what it was.
        let runs = [vec![1.0, 2.0], vec![4.0, 8.0]].map(|cost| {
            let figures = |us| Figures::from([("total_us_per_request".into(), us)]);
            cost.into_iter().map(figures).collect()
        });
        let table = table(&names, &runs);
        let mut lines = table.lines();
        assert!(lines.next().unwrap().ends_with("foghorn ÷ nginx"));
        let cells: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(cells, ["total_us_per_request", "1.500", "6.000", "0.250", "(0.250", "to", "0.250)"]);
    }
}
