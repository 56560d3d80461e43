//! What stands in two places says the same in both: README and code, the map of the house and its walls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foghorn::config;
use foghorn::stats::REFUSALS;
use foghorn::wire::CloseReason;

use crate::harness::{Launch, project};

fn read(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of the README's table whose head starts with this cell, each as its cells.
fn readme_table(first_head: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut lines = readme.lines().skip_while(|line| !line.starts_with(&format!("| {first_head} |")));
    assert!(lines.next().is_some(), "README.md has a table of {first_head}");
    assert!(lines.next().is_some_and(|line| line.starts_with("|-")));
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

fn without_ticks(cell: &str) -> String {
    cell.replace('`', "")
}

/// What `--help` says of each long flag: its text, in one line.
fn help() -> BTreeMap<String, String> {
    let help = Launch::bare(&["--help"]).run().stdout;
    let mut flags = BTreeMap::new();
    let mut last = None;
    for line in help.lines().skip_while(|line| !line.starts_with("Options:")).skip(1).map(str::trim) {
        if line.starts_with('-') {
            let flag = line.split(' ').find(|word| word.starts_with("--")).expect("every flag has a long name");
            let flag = flag.trim_end_matches(',').to_owned();
            flags.insert(flag.clone(), line.to_owned());
            last = Some(flag);
        } else if let Some(text) = last.as_ref().and_then(|flag| flags.get_mut(flag)) {
            *text += " ";
            *text += line;
        }
    }
    flags
}

/// The value behind a word in brackets, such as `[default: 2s]`.
fn bracketed<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.split_once(&format!("[{word}: "))?.1;
    let end = if rest.starts_with("[::]") { rest.rfind("] [")? } else { rest.find(']')? };
    Some(rest[..end].trim_matches('"'))
}

#[test]
fn readme_and_help_name_the_same_flags_with_the_same_values_and_defaults() {
    let mut help = help();
    // These have no row of their own: every program has them, or they are short for another.
    for flag in ["--help", "--version"] {
        assert!(help.remove(flag).is_some(), "{flag}");
    }
    for (flag, level) in [("--verbose", "`-v` is debug"), ("--quiet", "`-q` is warn")] {
        assert!(help.remove(flag).is_some(), "{flag}");
        assert!(readme_table("flag").iter().any(|row| row[2].contains(level)), "{flag}: {level}");
    }
    let mut in_readme = BTreeSet::new();
    for row in readme_table("flag") {
        let flag_and_value = without_ticks(&row[0]);
        let (flag, value) = flag_and_value.split_once(' ').unwrap_or((&flag_and_value, ""));
        let text = help.get(flag).unwrap_or_else(|| panic!("--help does not have {flag}"));
        let its_value = text.split_once('<').map_or("", |(_, rest)| rest.split_once('>').unwrap().0);
        assert_eq!(value, its_value, "the value of {flag}");
        let default = without_ticks(&row[1]);
        match bracketed(text, "default") {
            Some("[::]:1919 and [::]:1920") => {
                assert_eq!(default, config::default_listen().map(|address| address.to_string()).join(", "));
            }
            Some(its_default) => assert_eq!(default, its_default, "the default of {flag}"),
            None => assert!(matches!(&*default, "" | "off" | "the built-in page"), "{flag} has no default {default}"),
        }
        assert!(in_readme.insert(flag.to_owned()), "{flag} twice");
    }
    assert_eq!(in_readme, help.into_keys().collect());
}

#[test]
fn every_flag_has_its_environment_variable() {
    for (flag, text) in help() {
        if ["--help", "--version", "--verbose", "--quiet"].contains(&flag.as_str()) {
            continue;
        }
        let expected = format!("FOGHORN_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        assert_eq!(bracketed(&text, "env"), Some(expected.as_str()), "{text}");
    }
}

#[test]
fn readme_and_code_have_the_same_statuses() {
    let in_readme: Vec<u16> = readme_table("status")
        .iter()
        .flat_map(|row| row[0].split(", ").map(|status| status.parse().expect("a status")).collect::<Vec<_>>())
        .collect();
    assert_eq!(in_readme, REFUSALS);
}

#[test]
fn readme_and_code_have_the_same_close_codes() {
    let in_readme: BTreeSet<u16> =
        readme_table("close code").iter().map(|row| row[0].parse().expect("a close code")).collect();
    // A client's goodbye is answered with its own code, mostly this one.
    let in_code = CloseReason::ALL.into_iter().filter_map(CloseReason::code).chain([1000]).collect();
    assert_eq!(in_readme, in_code);
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[test]
fn readme_and_code_have_the_same_limits() {
    let head = [kib(config::HEAD_BYTES_MAX), format!("{} lines", config::HEADERS_MAX), seconds(config::HEAD_TIMEOUT)];
    let turn = [kib(config::TURN_BYTES_MAX) + " read", kib(config::FLUSH_BYTES_MAX) + " written"];
    let log = [format!("{} a second", config::LOG_LINES_PER_SEC), format!("{} at once", config::LOG_LINES_BURST)];
    let slow = [config::SLOW_READERS_MAX.to_string(), seconds(config::RESPONSE_STALL_TIMEOUT)];
    let progress = kib(usize::try_from(config::PROGRESS_BYTES_MIN).unwrap());
    let expected = BTreeMap::from([
        ("request head", head.to_vec()),
        ("HTTP requests in work", vec![config::HTTP_IN_WORK_MAX.to_string(), seconds(config::HTTP_TIMEOUT)]),
        ("connections that are not WebSockets", vec![config::STRANGERS_MAX.to_string()]),
        ("visitors who are slow to take an answer", slow.to_vec()),
        ("one client's turn", turn.to_vec()),
        ("pongs that a client does not read", vec![kib(config::CONTROL_BYTES_MAX)]),
        ("a client that others wait for", vec![progress]),
        ("closing handshake", vec![seconds(config::CLOSING_TIMEOUT)]),
        ("drain at shutdown", vec![seconds(config::DRAIN_TIMEOUT)]),
        ("log lines", log.to_vec()),
    ]);
    let table: BTreeMap<String, String> =
        readme_table("limit").into_iter().map(|row| (row[0].clone(), row[1..].join(" | "))).collect();
    assert_eq!(table.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (limit, values) in expected {
        for value in values {
            assert!(table[limit].contains(&value), "{limit} is {value} in the code: {}", table[limit]);
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A module's code without its tests.
fn code(module: &str) -> String {
    let text = read(&format!("src/{module}.rs"));
    text.split("#[cfg(test)]").next().unwrap().to_owned()
}

/// The modules in the order of the map at the head of `src/lib.rs`.
fn map() -> Vec<String> {
    let lib = read("src/lib.rs");
    let bullets = lib.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let bullets = bullets.skip_while(|line| !line.starts_with('-')).take_while(|line| !line.is_empty());
    let text = bullets.collect::<Vec<_>>().join(" ");
    let names = text.split("[`").skip(1).filter_map(|rest| rest.split_once('`'));
    names.map(|(name, _)| name.trim_start_matches("mod@").to_owned()).collect()
}

/// The modules that a module's code names, by `crate::…`.
fn used_by(module: &str) -> BTreeSet<String> {
    let code = code(module);
    let names =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| line.split("crate::").skip(1));
    names
        .map(|rest| {
            assert!(!rest.starts_with('{'), "{module}: one module for each `use crate::`, so that it can be read here");
            rest.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').next().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn the_map_of_the_house_has_every_room_once() {
    let mut on_map = map();
    on_map.sort_unstable();
    let lib = read("src/lib.rs");
    let mut modules: Vec<String> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    modules.sort_unstable();
    assert_eq!(on_map, modules);
    let mut in_folder: Vec<String> = fs::read_dir(project().join("src"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "lib" && name != "main")
        .collect();
    in_folder.sort_unstable();
    assert_eq!(in_folder, modules);
}

#[test]
fn imports_run_downward_in_the_order_of_the_map() {
    let map = map();
    for (nth, module) in map.iter().enumerate() {
        for used in used_by(module) {
            assert!(
                map[..nth].contains(&used),
                "{module} uses {used}, which comes {} on the map of src/lib.rs",
                if used == *module { "as itself" } else { "later" }
            );
        }
    }
}

#[test]
fn walls_stand_where_the_design_has_them() {
    // Which module may use which others, where the order alone would allow more.
    for (module, allowed) in [
        ("config", &[][..]),
        ("wire", &[]),
        ("stats", &["wire"]),
        ("backlog", &["wire"]),
        ("room", &["backlog", "config", "wire"]),
        ("access", &[]),
        ("reactor", &[]),
        ("request", &["access", "config", "reactor"]),
        ("listen", &["config", "reactor", "stats"]),
        ("site", &["config", "request", "stats", "wire"]),
        ("lifecycle", &["reactor", "stats"]),
        ("journal", &["config"]),
        ("announce", &["config"]),
    ] {
        let used = used_by(module);
        let not_allowed: Vec<_> = used.iter().filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(not_allowed.is_empty(), "{module} may not know {not_allowed:?}");
    }
    for (module, unknown) in [
        ("client", &["site", "relay", "door", "listen"][..]),
        ("hall", &["site", "relay", "door", "request", "client"]),
        ("link", &["room", "hall", "client", "site"]),
        ("relay", &["room", "hall", "client", "door"]),
    ] {
        let used = used_by(module);
        assert!(unknown.iter().all(|unknown| !used.contains(*unknown)), "{module} knows {used:?}");
    }
}

#[test]
fn the_heart_has_no_sockets_no_clock_and_no_async() {
    for module in ["wire", "backlog", "room"] {
        let code = code(module);
        for word in
            ["smol", "std::net", "std::fs", "async ", ".await", "Instant::now", "SystemTime", "thread::", "Mutex"]
        {
            let found = code.lines().find(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert_eq!(found, None, "{module} has {word}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in files(&project().join("src")).into_iter().chain(files(&project().join("tests/it"))) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

#[test]
fn main_is_at_most_80_lines_and_alone_decides_exit_codes() {
    assert!(read("src/main.rs").lines().count() <= 80);
    for module in map() {
        let code = code(&module);
        for word in ["process::exit", "ExitCode"] {
            assert!(!code.contains(word), "{module} has {word}");
        }
    }
}

#[test]
fn there_is_no_unsafe_code_and_no_second_runtime() {
    assert!(read("Cargo.toml").lines().any(|line| line.trim() == "unsafe_code = \"forbid\""));
    let lock = read("Cargo.lock");
    for name in ["tokio", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{name}\"")), "{name} is in Cargo.lock");
    }
}
