//! What every file keeps to, and what the papers say of files.

use std::fs;
use std::process::Command;

use super::modules::{files, files_named, modules};
use super::read;
use crate::harness::project;
use crate::papers::papers;

#[test]
fn every_file_says_what_it_is_for() {
    for path in files(&project().join("src")).into_iter().chain(files(&project().join("tests/it"))) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

/// What Redis runs lies beside the code that sends it: each script says what it is for too, and is used.
#[test]
fn every_script_says_what_it_is_for_and_is_sent() {
    let scripts = files_named(&project().join("src"), "lua");
    assert!(!scripts.is_empty());
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!"));
        assert!(first.is_some_and(|line| line.starts_with("-- ")), "{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        let user = fs::read_to_string(path.with_file_name("script.rs")).unwrap();
        assert!(user.contains(&format!("include_str!(\"{name}\")")), "{}", path.display());
    }
}

#[test]
fn no_file_is_longer_than_one_subject_needs() {
    for module in modules() {
        let lines = module.code().lines().count();
        assert!(lines <= 300, "{} has {lines} lines without its tests: has it two subjects?", module.path());
    }
}

#[test]
fn main_is_at_most_80_lines_and_alone_decides_exit_codes() {
    assert!(read("src/main.rs").lines().count() <= 80);
    for module in modules().iter().filter(|module| module.file != "main") {
        for word in ["process::exit", "ExitCode"] {
            assert!(!module.code().contains(word), "{} has {word}", module.path());
        }
    }
}

/// Where the files lie that the papers name.
const NAMED_FOLDERS: [&str; 12] = [
    "src/",
    "tests/",
    "fuzz/",
    "docs/",
    "scripts/",
    "systemd/",
    "www/",
    "packaging/",
    "soak/",
    "sim/",
    "bench/",
    ".ci/",
];

#[test]
fn every_file_that_the_papers_name_is_there() {
    let mut named = 0;
    for paper in papers() {
        let text = read(&paper);
        let words = text.split(|char: char| char.is_whitespace() || "`()".contains(char));
        let paths = words.filter(|word| NAMED_FOLDERS.iter().any(|folder| word.starts_with(folder)));
        // What a run leaves behind is not in a fresh clone.
        for path in paths.filter(|path| *path != "fuzz/artifacts/") {
            let path = path.split('#').next().expect("the first of several");
            let within = project().join(&paper).with_file_name(path);
            assert!(within.exists() || project().join(path).exists(), "{paper} names {path}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} are named: is this test blind?");
    for target in read("SECURITY.md").split("fuzz target `").skip(1).filter_map(|rest| rest.split_once('`')) {
        assert!(project().join("fuzz/corpus").join(target.0).is_dir(), "there is no fuzz target {}", target.0);
    }
}

#[test]
fn the_changelog_has_this_version_with_its_day_below_what_is_not_released() {
    let changelog = read("CHANGELOG.md");
    let versions: Vec<&str> = changelog.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(versions[0], "[Unreleased]");
    let current = versions[1].strip_prefix(concat!("[", env!("CARGO_PKG_VERSION"), "] - "));
    let day = current.unwrap_or_else(|| panic!("{} is not this version", versions[1]));
    assert!(day.len() == 10 && day.split('-').all(|part| part.parse::<u16>().is_ok()), "{day}");
}

#[test]
fn there_is_no_unsafe_code_and_no_second_runtime() {
    assert!(read("Cargo.toml").lines().any(|line| line.trim() == "unsafe_code = \"forbid\""));
    let lock = read("Cargo.lock");
    for name in ["tokio", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{name}\"")), "{name} is in Cargo.lock");
    }
}

#[test]
fn without_redis_nothing_of_its_crate_is_in_the_binary() {
    let crates = |flags: &[&str]| -> Vec<String> {
        let mut command = Command::new(env!("CARGO"));
        command.args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none"]).args(flags);
        let tree = command.current_dir(project()).output().expect("cargo is there");
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let names = String::from_utf8(tree.stdout).expect("names of crates");
        names.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let (with, without) = (crates(&[]), crates(&["--no-default-features"]));
    for name in ["redis", "arcstr", "combine", "url"] {
        let has = |crates: &[String]| crates.iter().any(|other| other == name);
        assert!(has(&with), "{name} is not there any more: strike it here");
        assert!(!has(&without), "{name} is there without the feature redis");
    }
}
