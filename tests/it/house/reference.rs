//! The tables of flags, statuses, close codes and limits in `docs/reference.md` have what the code has, and so do those of
//! `docs/wire.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foghorn::config::{limits, reload_limits, settings};
use foghorn::http::refusal::STATUSES;
use foghorn::hub::close_reason::CloseReason;
use foghorn::ws::handshake::{CODE_NEEDED, CODES_LOCKED};

use super::read;
use crate::harness::Launch;

const PAPER: &str = "docs/reference.md";

/// The rows of its table whose head starts with this cell, each as its cells.
fn rows(first_head: &str) -> Vec<Vec<String>> {
    table(PAPER, first_head)
}

/// The same of any paper.
pub fn table(paper: &str, first_head: &str) -> Vec<Vec<String>> {
    let text = read(paper);
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("| {first_head} |")));
    assert!(lines.next().is_some(), "{paper} has a table of {first_head}");
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
fn the_paper_and_the_help_name_the_same_flags_with_the_same_values_and_defaults() {
    let mut help = help();
    // These have no row of their own: every program has them, or they are short for another.
    for flag in ["--help", "--version"] {
        assert!(help.remove(flag).is_some(), "{flag}");
    }
    for (flag, level) in [("--verbose", "`-v` is debug"), ("--quiet", "`-q` is warn")] {
        assert!(help.remove(flag).is_some(), "{flag}");
        assert!(rows("flag").iter().any(|row| row[2].contains(level)), "{flag}: {level}");
    }
    let mut in_paper = BTreeSet::new();
    for row in rows("flag") {
        let flag_and_value = without_ticks(&row[0]);
        let (flag, value) = flag_and_value.split_once(' ').unwrap_or((&flag_and_value, ""));
        let text = help.get(flag).unwrap_or_else(|| panic!("--help does not have {flag}"));
        let its_value = text.split_once('<').map_or("", |(_, rest)| rest.split_once('>').unwrap().0);
        assert_eq!(value, its_value, "the value of {flag}");
        let default = without_ticks(&row[1]);
        match bracketed(text, "default") {
            Some("[::]:1919 and [::]:1920") => {
                assert_eq!(default, settings::default_listen().map(|address| address.to_string()).join(", "));
            }
            Some(its_default) => assert_eq!(default, its_default, "the default of {flag}"),
            None => assert!(matches!(&*default, "" | "off" | "the built-in page"), "{flag} has no default {default}"),
        }
        assert!(in_paper.insert(flag.to_owned()), "{flag} twice");
    }
    assert_eq!(in_paper, help.into_keys().collect());
}

#[test]
fn every_flag_has_its_environment_variable() {
    for (flag, text) in help() {
        if ["--help", "--version", "--verbose", "--quiet"].contains(&flag.as_str()) {
            continue;
        }
        let expected = match flag.as_str() {
            // FOGHORN_CODE is the code that a client program brings, and a variable may have several, so theirs are plural; for the
            // file, that name is taken then.
            "--code" => "FOGHORN_CODES".to_owned(),
            "--send-code" => "FOGHORN_SEND_CODES".to_owned(),
            "--codes" => "FOGHORN_CODES_FILE".to_owned(),
            _ => format!("FOGHORN_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase()),
        };
        assert_eq!(bracketed(&text, "env"), Some(expected.as_str()), "{text}");
    }
}

/// Why there is a status or a close code stands in the one, what a client does about it in the other.
const PAPERS_WITH_CODES: [&str; 2] = [PAPER, "docs/wire.md"];

#[test]
fn papers_and_code_have_the_same_statuses() {
    for paper in PAPERS_WITH_CODES {
        let statuses: Vec<u16> = table(paper, "status")
            .iter()
            .flat_map(|row| row[0].split(", ").map(|status| status.parse().expect("a status")).collect::<Vec<_>>())
            .collect();
        assert_eq!(statuses, STATUSES, "{paper}");
    }
}

#[test]
fn papers_and_code_have_the_same_close_codes() {
    // A client's goodbye is answered with its own code, mostly this one.
    let others = [1000, CODE_NEEDED, CODES_LOCKED];
    let in_code: BTreeSet<u16> = CloseReason::ALL.into_iter().filter_map(CloseReason::code).chain(others).collect();
    for paper in PAPERS_WITH_CODES {
        let rows = table(paper, "close code");
        let codes: Vec<u16> = rows.iter().map(|row| row[0].parse().expect("a close code")).collect();
        assert!(codes.iter().eq(&in_code), "{paper} has {codes:?}, the code {in_code:?}");
    }
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

fn mib(bytes: usize) -> String {
    format!("{} MiB", bytes >> 20)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[test]
fn systemd_waits_for_longer_than_the_server_does() {
    let secs = |unit: &str| -> u64 {
        let unit = read(unit);
        let said = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
        said.and_then(|secs| secs.parse().ok()).expect("a number of seconds")
    };
    assert!(limits::DRAIN_TIMEOUT.as_secs() < secs("systemd/foghorn.service"));
    let with_a_disk = limits::DRAIN_TIMEOUT + limits::STORE_END_TIMEOUT;
    assert!(with_a_disk.as_secs() < secs("systemd/examples/state-on-disk.conf"));
}

#[test]
fn the_paper_and_the_code_have_the_same_limits() {
    let head = [kib(limits::HEAD_BYTES_MAX), format!("{} lines", limits::HEADERS_MAX), seconds(limits::HEAD_TIMEOUT)];
    let turn = [kib(limits::TURN_BYTES_MAX) + " read", kib(limits::FLUSH_BYTES_MAX) + " written"];
    let stream_turn = [kib(limits::STREAM_TURN_BYTES_MAX) + " written", kib(limits::STREAM_PIECE_BYTES)];
    let log = [format!("{} a second", limits::LOG_LINES_PER_SEC), format!("{} at once", limits::LOG_LINES_BURST)];
    let slow = [limits::SLOW_READERS_MAX.to_string(), seconds(limits::RESPONSE_STALL_TIMEOUT)];
    let progress = kib(usize::try_from(limits::PROGRESS_BYTES_MIN).unwrap());
    let rate = kib(usize::try_from(limits::BODY_BYTES_PER_SEC).unwrap());
    let posts = [
        format!("{} MiB together", limits::BODIES_BYTES_MAX >> 20),
        format!("{} and 1 s for each {rate}", seconds(limits::BODY_TIMEOUT)),
    ];
    let posts_waiting = [limits::POSTS_WAITING_MAX.to_string(), format!("for {}", seconds(limits::POST_ROOM_TIMEOUT))];
    let guesses = [
        format!("{} in {}", limits::GUESSES_PER_IP_MAX, seconds(limits::GUESS_WINDOW)),
        format!("`::1` {}", limits::GUESSES_PER_PROXY_MAX),
        format!("/64 of IPv6 {}", limits::GUESSES_PER_NETWORK_MAX),
        format!("{} addresses", limits::GUESSERS_MAX),
    ];
    let known = vec![
        limits::ENDED_CONNECTIONS_MAX.to_string(),
        format!("{} minutes", limits::ENDED_CONNECTION_CODE_KEPT_FOR.as_secs() / 60),
    ];
    let days = |duration: Duration| format!("{} day", duration.as_secs() / 86_400);
    let shared = [
        limits::CHANNELS_SHARED_MAX.to_string(),
        format!("{} minutes", limits::CHANNEL_SHARED_KEPT_FOR.as_secs() / 60),
    ];
    let kept_shared = [
        days(limits::REDIS_CHANNEL_EXPIRY),
        days(limits::REDIS_CONNECTION_EXPIRY),
        limits::CONNECTIONS_SHARED_MAX.to_string(),
    ];
    let [_, later] = reload_limits::RELOAD_COME_BACK;
    let reloading = [reload_limits::RELOAD_STREAMS_MAX.to_string(), format!("every {}", seconds(later))];
    let waited = format!("at most {}", seconds(reload_limits::CHANGES_HELD_MAX));
    assert_eq!(reload_limits::CHANGES_APART_MIN, Duration::from_secs(1));
    let changes = ["one a second".to_owned(), waited];
    let expected = BTreeMap::from([
        ("request head", head.to_vec()),
        ("request heads of more than 4 KiB", vec![limits::LARGE_HEADS_MAX.to_string()]),
        ("wait for the next request of a connection", vec![seconds(limits::KEEP_ALIVE_ANNOUNCED)]),
        ("HTTP requests in work", vec![limits::HTTP_IN_FLIGHT_MAX.to_string(), seconds(limits::HTTP_TIMEOUT)]),
        ("posted messages under way", posts.to_vec()),
        ("posted messages that wait for room", posts_waiting.to_vec()),
        ("what comes beside the data of a body in chunks", vec![kib(limits::BODY_EXTRA_BYTES_MAX)]),
        ("connections that are neither WebSockets nor streams", vec![limits::PENDING_MAX.to_string()]),
        ("visitors who are slow to take an answer", slow.to_vec()),
        ("last messages and `/metrics` that are read slowly", vec![mib(limits::SHARED_COPIES_BYTES_MIN)]),
        ("entries of a folder that `--list` shows", vec![limits::LISTED_ENTRIES_MAX.to_string()]),
        ("path in the page's QR code", vec![format!("{} bytes", limits::PAGE_PATH_BYTES_MAX)]),
        ("one client's turn", turn.to_vec()),
        ("one stream's turn", stream_turn.to_vec()),
        ("deletions of its channel's messages that a stream is behind", vec![limits::PAST_EPOCHS_MAX.to_string()]),
        ("pages that wait for `--reload`", reloading.to_vec()),
        ("changes that `--reload` tells", changes.to_vec()),
        ("folders that `--reload` watches", vec![reload_limits::FOLDERS_WATCHED_MAX.to_string()]),
        ("pongs that a client does not read", vec![kib(limits::CONTROL_BYTES_MAX)]),
        ("a client that others wait for", vec![progress]),
        ("closing handshake", vec![seconds(limits::CLOSING_TIMEOUT)]),
        ("drain at shutdown", vec![seconds(limits::DRAIN_TIMEOUT)]),
        ("files of `--state`", vec![format!("after {}", seconds(limits::KEEP_AGAIN_AFTER))]),
        ("a disk that has to take what `--state` keeps, at shutdown", vec![seconds(limits::STORE_END_TIMEOUT)]),
        ("an answer of Redis (`--redis`)", vec![seconds(limits::REDIS_REQUEST_TIMEOUT)]),
        ("channels in Redis, of all boards", shared.to_vec()),
        ("what Redis keeps of a channel that nobody uses", kept_shared.to_vec()),
        ("wrong codes from one address", guesses.to_vec()),
        ("connections of `foghorn.v1` that are known after their end", known),
        ("log lines", log.to_vec()),
    ]);
    let table: BTreeMap<String, String> =
        rows("limit").into_iter().map(|row| (row[0].clone(), row[1..].join(" | "))).collect();
    assert_eq!(table.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (limit, values) in expected {
        for value in values {
            assert!(table[limit].contains(&value), "{limit} is {value} in the code: {}", table[limit]);
        }
    }
}

#[test]
fn readme_and_code_have_the_same_oldest_rust_and_the_same_system() {
    let manifest = read("Cargo.toml");
    let oldest = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let oldest = oldest.expect("Cargo.toml has a rust-version");
    assert!(read("README.md").contains(&format!("Foghorn is for Linux, and builds with Rust from {oldest} on.")));
    assert!(read("src/lib.rs").contains("#[cfg(not(target_os = \"linux\"))]\ncompile_error!("));
}
