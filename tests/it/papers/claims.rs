//! Every block of code in the papers is run by some test: one that nobody has claimed fails here, and a claim without a block too.

use std::collections::BTreeMap;
use std::fs;

use super::block::{blocks, is_run, papers};
use crate::harness::project;

/// All of these are run, in whichever paper they stand: `sh` by the test of the shell, pages and their scripts by a real browser, which sees
/// for itself that none is left out. What is only shown is not run.
const ANYWHERE: [&str; 4] = ["sh", "js", "html", "text"];

/// Language, paper, how many there are, and the test that has them, as a file and a word in it.
const CLAIMS: [(&str, &str, usize, &str, &str); 12] = [
    ("python", "README.md", 1, "papers/python.rs", "README.md"),
    ("python", "docs/send-from-a-script.md", 2, "papers/python.rs", "docs/send-from-a-script.md"),
    ("caddyfile", "docs/caddy.md", 2, "papers/settings.rs", "caddyfile"),
    ("ini", "docs/caddy.md", 1, "papers/settings.rs", "drop_ins"),
    ("ini", "docs/neighbours.md", 1, "papers/settings.rs", "drop_ins"),
    ("ini", "docs/codes.md", 1, "papers/settings.rs", "docs/codes.md"),
    ("ini", "docs/state.md", 1, "papers/settings.rs", "docs/state.md"),
    ("codes", "docs/codes.md", 1, "papers/settings.rs", "docs/codes.md"),
    ("redis", "docs/boards.md", 1, "papers/settings.rs", "docs/boards.md"),
    ("json", "docs/boards.md", 1, "papers/settings.rs", "docs/boards.md"),
    ("json", "docs/state.md", 1, "papers/settings.rs", "docs/state.md"),
    ("wire", "docs/wire.md", 5, "house/wire.rs", "docs/wire.md"),
];

/// What stands in the paper on the wire is of one kind, whichever language its colours are of.
fn kind<'a>(language: &'a str, paper: &str) -> &'a str {
    if paper == "docs/wire.md" && ["json", "http", "event-stream"].contains(&language) { "wire" } else { language }
}

#[test]
fn every_block_is_run_by_a_test() {
    let mut found = BTreeMap::new();
    for block in blocks().into_iter().filter(|block| is_run(&block.paper)) {
        assert!(!block.language.is_empty(), "{} says no language, so nobody runs it", block.place());
        let kind = kind(&block.language, &block.paper).to_owned();
        if !ANYWHERE.contains(&&*kind) {
            let places: &mut Vec<String> = found.entry((kind, block.paper.clone())).or_default();
            places.push(block.place());
        }
    }
    for (language, paper, count, file, word) in CLAIMS {
        let places = found.remove(&(language.to_owned(), paper.to_owned())).unwrap_or_default();
        assert_eq!(places.len(), count, "{language} in {paper}: {places:?}: is each of them run by tests/it/{file}?");
        let test = fs::read_to_string(project().join("tests/it").join(file)).unwrap();
        assert!(test.contains(word), "tests/it/{file} does not name {word}");
    }
    assert!(found.is_empty(), "nobody runs these: {found:?}");
}

/// A recipe's page is tried in a real browser; what clients show is tried beside a real server.
#[test]
fn recipes_and_clients_have_tests_of_their_own() {
    for paper in papers() {
        let names: Vec<&str> = paper.split('/').collect();
        if let ["recipes", recipe, "README.md"] = names[..] {
            let test = format!("tests/browser/recipe-{recipe}.test.js");
            assert!(project().join(&test).exists(), "{paper} has no {test}");
        }
    }
}
