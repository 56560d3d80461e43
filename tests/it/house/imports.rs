//! The house is laid out as CONTRIBUTING says, and its walls stand: imports run downward, between folders and within them.

use std::collections::BTreeSet;
use std::fs;

use super::modules::{Module, files, folders, module, modules};
use super::read;
use crate::harness::project;

#[test]
fn the_tables_of_contributing_have_every_folder_and_every_file_once() {
    let src = project().join("src");
    let in_src: BTreeSet<String> = files(&src)
        .iter()
        .map(|path| path.strip_prefix(project()).unwrap().to_str().unwrap().to_owned())
        .filter(|path| !path.ends_with("/mod.rs") && !path.ends_with("/tests.rs"))
        .collect();
    let in_table: Vec<String> = modules().iter().map(Module::path).collect();
    assert_eq!(in_table.iter().cloned().collect::<BTreeSet<_>>(), in_src);
    assert_eq!(in_table.len(), in_src.len(), "a file has two rows");

    let in_src: BTreeSet<String> = fs::read_dir(&src)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let in_table: Vec<String> = folders().into_iter().map(|(folder, _)| folder).collect();
    assert_eq!(in_table.iter().cloned().collect::<BTreeSet<_>>(), in_src);
    assert_eq!(in_table.len(), in_src.len(), "a folder has two rows");

    let in_files = modules().into_iter().map(|module| module.folder).filter(|folder| !folder.is_empty());
    let mut in_files: Vec<String> = in_files.collect();
    in_files.dedup();
    assert_eq!(in_files, in_table, "both tables have the folders in one order");
}

#[test]
fn the_map_in_lib_has_every_folder_in_the_order_of_the_house() {
    let lib = read("src/lib.rs");
    let on_map: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! - `")?.split_once('`'))
        .map(|(folder, _)| folder)
        .collect();
    assert_eq!(on_map, folders().iter().map(|(folder, _)| folder.as_str()).collect::<Vec<_>>());
    assert!(lib.lines().count() <= 100, "a map is read at a glance");
}

#[test]
fn a_folder_uses_only_what_contributing_lets_it_use_and_never_one_above() {
    let folders = folders();
    for (nth, (folder, may_use)) in folders.iter().enumerate() {
        for allowed in may_use {
            let is_below = folders[nth + 1..].iter().any(|(below, _)| below == allowed);
            assert!(is_below, "{folder} may use {allowed}, which does not stand below it");
        }
        for module in modules().iter().filter(|module| module.folder == *folder) {
            for used in module.used().iter().filter(|used| used.folder != *folder) {
                assert!(may_use.contains(&used.folder), "{} may not use {}", module.path(), used.path());
            }
        }
        let used: BTreeSet<String> = modules()
            .iter()
            .filter(|module| module.folder == *folder)
            .flat_map(Module::used)
            .map(|used| used.folder)
            .collect();
        let unused: Vec<&String> = may_use.iter().filter(|allowed| !used.contains(*allowed)).collect();
        assert!(unused.is_empty(), "{folder} does not need {unused:?} any more: strike it from its row");
    }
}

#[test]
fn within_a_folder_imports_run_down_the_table() {
    let modules = modules();
    for (nth, module) in modules.iter().enumerate().filter(|(_, module)| !module.folder.is_empty()) {
        for used in module.used().iter().filter(|used| used.folder == module.folder) {
            assert!(modules[nth + 1..].contains(used), "{} uses {}, which stands above it", module.path(), used.path());
        }
    }
}

/// What no row of a table can allow.
#[test]
fn walls_stand_where_the_design_has_them() {
    // Which folder, or file, must never know which.
    for (above, never) in [
        ("hub", &["broadcast", "http", "ws", "net", "os", "runtime", "telemetry", "server"][..]),
        ("broadcast", &["page", "http", "ws", "net", "server"]),
        ("http", &["hub", "broadcast", "telemetry", "ws", "server"]),
        ("page", &["hub", "broadcast", "ws", "net", "server"]),
        ("ws", &["server"]),
        ("runtime", &["config", "hub", "telemetry"]),
        ("net", &["hub", "broadcast", "http", "ws"]),
        ("os", &["hub", "broadcast", "http", "ws"]),
        ("storage", &["broadcast", "http", "ws", "net", "os", "runtime", "telemetry", "server"]),
        ("access", &["broadcast", "http", "ws", "net", "runtime", "server"]),
        ("engine", &["broadcast", "http", "ws", "net", "os", "runtime", "server", "storage"]),
    ] {
        for module in modules().iter().filter(|module| module.folder == above) {
            let known = module.used().into_iter().find(|used| never.contains(&used.folder.as_str()));
            assert_eq!(known, None, "{} must never know it", module.path());
        }
    }
}

#[test]
fn only_the_server_knows_that_there_is_a_page() {
    for module in
        modules().iter().filter(|module| !["server", "page"].contains(&module.folder.as_str()) && module.file != "lib")
    {
        let known = module.used().into_iter().find(|used| used.folder == "page");
        assert_eq!(known, None, "{} must not know of the page", module.path());
    }
}

/// What the heart may import: data, and how a frame's header, base64 and checksums are written.
const HEART_IMPORTS: [&str; 15] = [
    "std::collections::",
    "std::fmt;",
    "std::io::IoSlice;",
    "std::iter;",
    "std::mem;",
    "std::ops::Range;",
    "std::time::Duration;",
    "std::time::Instant;",
    "std::time::{Duration, Instant};",
    "crc32fast::Hasher;",
    "slab::Slab;",
    "data_encoding::BASE64;",
    "async_tungstenite::tungstenite::",
    "crate::config::limits::",
    "crate::hub::",
];

#[test]
fn the_heart_has_no_sockets_no_clock_and_no_async() {
    for module in modules().iter().filter(|module| module.folder == "hub") {
        let statements = module.statements();
        for import in statements.lines().filter_map(|line| line.strip_prefix("use ")) {
            assert!(HEART_IMPORTS.iter().any(|start| import.starts_with(start)), "{} imports {import}", module.path());
        }
        for word in ["std::", "async fn", "async {", ".await", "::now", ".elapsed()", "println!"] {
            let found = statements.lines().find(|line| line.contains(word) && !line.starts_with("use "));
            assert_eq!(found, None, "{} has {word}", module.path());
        }
    }
}

#[test]
fn each_of_these_crates_has_its_home() {
    for (name, homes) in [
        ("tiny_http::", &["page_server", "running_server"][..]),
        (
            "async_tungstenite::",
            &[
                "connection",
                "failure",
                "frame",
                "frame_tracker",
                "handshake",
                "incoming",
                "input",
                "link",
                "opening",
                "reader",
                "session",
                "unconfirmed",
            ],
        ),
        ("data_encoding::", &["address", "incoming", "offered_code", "stream_encoding"]),
        ("constant_time_eq::", &["codes"]),
        ("crc32fast::", &["record"]),
        ("redis::", &["answer_reading", "connection"]),
        (
            "rustix::",
            &[
                "clock",
                "damage",
                "folder",
                "host_name",
                "linkless_path",
                "poller",
                "private_folder",
                "reactor",
                "running_command",
                "systemd",
                "tcp",
                "waiting",
                "watched_folders",
                "watching",
            ],
        ),
        ("signal_hook::", &["running_command", "signals"]),
        ("socket2::", &["listener", "opening", "poller", "private_folder", "socket", "tcp"]),
        ("TcpStream", &["opening", "tcp", "wire"]),
        ("clap::", &["client_flags", "command_line", "flags", "hidden_codes", "redis_flags"]),
    ] {
        for module in modules().iter().filter(|module| !homes.contains(&module.file.as_str())) {
            assert!(!module.statements().contains(name), "{} uses {name}", module.path());
        }
    }
}

/// A simulator sets the server's clocks; the clients for the shell are in no simulation.
#[test]
fn the_clocks_of_the_server_are_read_in_one_place() {
    let of_clients = ["client", "cli"];
    for module in modules().iter().filter(|module| !of_clients.contains(&module.folder.as_str())) {
        for call in ["Instant::now", "SystemTime::now", ".elapsed()", "sysinfo()", "clock_gettime", "smol::Timer"] {
            let may = module.path() == "src/runtime/clock.rs" || module.path() == "src/simulation/clocks.rs";
            assert!(may || !module.statements().contains(call), "{} has {call}", module.path());
        }
    }
}

#[test]
fn nothing_hides_an_import() {
    for path in files(&project().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in ["pub use ", ") use ", "extern crate", "macro_rules!", "#[macro_use]", "#[path", "include!("] {
                assert!(!line.contains(word), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn folders_only_declare_their_files() {
    let files = files(&project().join("src"));
    for path in files.iter().filter(|path| path.ends_with("mod.rs") || path.ends_with("lib.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("//!")) {
            let declares = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ").starts_with("mod ");
            let is_condition = [
                "#[cfg(test)]",
                "#[cfg(not(target_os = \"linux\"))]",
                "#[cfg(feature = \"simulation\")]",
                "#[cfg(feature = \"redis\")]",
                "#[cfg(not(feature = \"redis\"))]",
            ]
            .contains(&line);
            let is_plain = declares || is_condition || line.starts_with("#![") || line.starts_with("compile_error!(");
            assert!(is_plain, "{}: {line}", path.display());
        }
    }
    for path in files.iter().filter(|path| path.ends_with("tests.rs")) {
        let parent = path.with_file_name("mod.rs");
        let parent = if parent.exists() { parent } else { path.parent().unwrap().with_extension("rs") };
        let text = fs::read_to_string(&parent).unwrap();
        assert!(text.contains("#[cfg(test)]\nmod tests;"), "{} is for tests only", path.display());
    }
}

/// A type may have its methods in several files. The lower one must not call what the upper one adds.
#[test]
fn a_file_does_not_call_what_a_file_above_adds_to_its_type() {
    for (above, below) in [
        (module("broadcast", "flush"), module("broadcast", "broadcaster")),
        (module("broadcast", "heartbeat"), module("broadcast", "broadcaster")),
        (module("broadcast", "heartbeat"), module("broadcast", "flush")),
        (module("hub", "delivery"), module("hub", "channel")),
    ] {
        let called = below.statements();
        let statements = above.statements();
        let added = statements.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
        for name in added {
            assert!(!called.contains(&format!("self.{name}(")), "{} calls {name}", below.path());
        }
    }
}
