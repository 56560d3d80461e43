//! Shell commands that change a machine, or need one that tests do not have: who runs them, or why nobody does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::block::{Block, blocks};
use crate::harness::project;

/// These run whole blocks on a booted Debian, as they are shown: `shown PAPER NUMBER` in one of them is the block of that number.
const SCRIPTS: [&str; 2] = ["packaging/check-installed", "scripts/first-message"];

/// Who runs a command that the test of the shell does not run.
enum Runner {
    /// This file has the same in these words.
    Has(&'static str, &'static str),
    /// Nobody, for this reason.
    Nobody(&'static str),
}
use Runner::{Has, Nobody};

/// Paper, the beginning of the command, and who runs it.
const COMMANDS: [(&str, &str, Runner); 7] = [
    ("README.md", "cargo run --release", Has("Makefile", "cargo build --release")),
    ("docs/boards.md", "sudo apt install redis-server", Has("Makefile", "redis-server:redis-server")),
    ("docs/caddy.md", "sudo apt install caddy", Has("Makefile", "caddy:caddy")),
    ("docs/caddy.md", "sudo systemctl reload caddy", Nobody("needs Caddy as a service of a booted machine")),
    ("docs/caddy.md", "sudo apt install lego", Nobody("it is there for the next one alone")),
    ("docs/caddy.md", "sudo HETZNER_API_KEY=", Nobody("needs a public name, and the key of whoever owns it")),
    ("docs/install.md", "cross build", Nobody("needs a container engine, and gigabytes")),
];

/// Whether one of the scripts runs the whole block.
pub fn runs_block(block: &Block) -> bool {
    shown().contains(&(block.paper.clone(), number(block)))
}

/// Whether this command of the block is not run by the test of the shell.
pub fn runs_command(block: &Block, command: &str) -> bool {
    COMMANDS.iter().any(|(paper, beginning, _)| block.paper == *paper && command.starts_with(beginning))
}

/// Which of the blocks of its language in its paper it is, from 1 on.
fn number(block: &Block) -> usize {
    let before =
        |other: &Block| other.paper == block.paper && other.language == block.language && other.line <= block.line;
    blocks().iter().filter(|other| before(other)).count()
}

/// What the scripts run as it is shown.
fn shown() -> BTreeSet<(String, usize)> {
    let mut shown = BTreeSet::new();
    for script in SCRIPTS {
        let text = fs::read_to_string(project().join(script)).unwrap_or_else(|error| panic!("{script}: {error}"));
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for words in lines.map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            let place = words.iter().position(|word| word.ends_with("shown")).filter(|at| at + 2 < words.len());
            let Some([paper, number]) = place.map(|at| [words[at + 1], words[at + 2]]) else { continue };
            let number = number.trim_matches(|char: char| !char.is_ascii_digit());
            if Path::new(paper).extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            if let Ok(number) = number.parse() {
                assert!(shown.insert((paper.to_owned(), number)), "{script} runs block {number} of {paper} twice");
            }
        }
    }
    shown
}

#[test]
fn what_others_run_is_there_to_be_run() {
    let shells: Vec<Block> = blocks().into_iter().filter(|block| block.language == "sh").collect();
    for (paper, number_of) in shown() {
        let is_it = |block: &&Block| block.paper == paper && number(block) == number_of;
        assert!(shells.iter().any(|block| is_it(&block)), "{paper} has no block {number_of}");
    }
    for (paper, beginning, runner) in COMMANDS {
        let shows = |block: &Block| block.paper == paper && block.text.lines().any(|line| line.starts_with(beginning));
        assert!(shells.iter().any(shows), "{paper} does not show {beginning} any more: strike it here");
        match runner {
            Has(file, words) => {
                let text = fs::read_to_string(project().join(file)).unwrap();
                assert!(text.contains(words), "{file} does not have {words} any more, which is run for {paper}");
            }
            Nobody(reason) => assert!(!reason.is_empty()),
        }
    }
}
