//! The benchmark's files against the map at the head of `src/lib.rs`: each uses only files that stand before it there.
//!
//! The compiler takes circles of imports, so this test does not. It reads source text, and leans on rustfmt: an inline
//! module begins and ends at the left edge. What must stay true: a path that begins with `crate`, `self` or `super` is
//! found wherever it stands, in groups and in test modules too; and a file that declares another (`mod`) uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The library's files by module path (`loads::idle`), with their text; without `lib.rs` and the programs, which nothing
/// in it can use.
fn files() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let inside = path.strip_prefix(&src).unwrap().to_str().unwrap();
            if path.is_dir() && inside != "bin" {
                folders.push(path);
            } else if let Some(name) = inside.strip_suffix(".rs").filter(|name| !["lib", "main"].contains(name)) {
                let module = name.strip_suffix("/mod").unwrap_or(name).replace('/', "::");
                files.insert(module, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// The modules in the order of the map: what each of its bullets names first.
fn map() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let bullets = lib.lines().filter_map(|line| line.strip_prefix("//! - "));
    bullets.map(|bullet| bullet.split('`').nth(1).expect("a bullet of the map names a file").to_owned()).collect()
}

/// The modules of the crate that this one uses; the empty name stands for the crate's root.
fn used_by(module: &str, text: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let own: Vec<&str> = module.split("::").collect();
    for (inline, code) in code_by_module(text) {
        let here: Vec<&str> = own.iter().copied().chain(inline).collect();
        for path in paths(&code) {
            used.insert(file_of(&path, &here, known));
        }
        let declared = code.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
        used.extend(declared.map(|child| format!("{module}::{child}")));
    }
    used.remove(module);
    used
}

/// The text without comments: what stands in the file itself, then what stands in each of its inline modules.
fn code_by_module(text: &str) -> Vec<(Option<&str>, String)> {
    let mut parts = vec![(None, String::new())];
    let mut inside = 0;
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let opened = line.strip_suffix(" {").and_then(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
        if let Some(name) = opened {
            inside = parts.len();
            parts.push((Some(name), String::new()));
        } else if line == "}" && inside > 0 {
            inside = 0;
        } else {
            parts[inside].1.push_str(line);
            parts[inside].1.push('\n');
        }
    }
    parts
}

/// All paths in this code that begin with `crate`, `self` or `super`.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for head in ["crate", "self", "super"] {
        for (at, _) in code.match_indices(head) {
            let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let after = &code[at + head.len()..];
            // Under another name (`crate as x`, `extern crate self as x`) what is used of it could not be seen.
            if is_word && ["::", " as ", " self "].iter().any(|next| after.starts_with(next)) {
                expand("", &code[at..], &mut paths);
            }
        }
    }
    paths
}

/// Adds the paths of the use tree at the start of `code`, `a::b` and `a::c::d` for `a::{b, c::{d}}`, and returns what
/// comes after it.
fn expand<'a>(prefix: &str, code: &'a str, paths: &mut Vec<String>) -> &'a str {
    let code = code.trim_start();
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(code.len());
    let (path, mut rest) = code.split_at(end);
    let path = format!("{prefix}{path}");
    if !(path.ends_with("::") && rest.starts_with('{')) {
        // A comma before a closing brace is followed by nothing.
        if !rest.starts_with('}') || end > 0 {
            paths.push(path);
        }
        return rest;
    }
    while !rest.starts_with('}') {
        rest = expand(&path, &rest[1..], paths);
        rest = &rest[rest.find([',', '}']).expect("a group has an end")..];
    }
    &rest[1..]
}

/// The file that a path leads into, for one who stands in the module `here`.
fn file_of(path: &str, here: &[&str], known: &BTreeSet<String>) -> String {
    let mut absolute: Vec<&str> = Vec::new();
    for (nth, segment) in path.split("::").enumerate() {
        match segment {
            "crate" => absolute.clear(),
            "self" if nth == 0 => absolute = here.to_vec(),
            "super" if nth == 0 => absolute = here[..here.len() - 1].to_vec(),
            "super" => drop(absolute.pop()),
            name => absolute.push(name),
        }
    }
    let prefixes = (0..=absolute.len()).rev().map(|length| absolute[..length].join("::"));
    prefixes.into_iter().find(|prefix| known.contains(prefix)).unwrap_or_default()
}

#[test]
fn the_map_has_every_file_once() {
    let mut on_map = map();
    on_map.sort_unstable();
    assert_eq!(on_map, files().into_keys().collect::<Vec<_>>());
}

#[test]
fn imports_run_downward_in_the_order_of_the_map() {
    let (map, files) = (map(), files());
    let known: BTreeSet<String> = files.keys().cloned().collect();
    let mut upward = Vec::new();
    for (nth, module) in map.iter().enumerate() {
        for used in used_by(module, &files[module], &known) {
            if !map[..nth].contains(&used) {
                upward.push(if used.is_empty() {
                    format!("{module} uses the crate's root, where everything can be reached")
                } else {
                    format!("{module} uses {used}, which comes later on the map of src/lib.rs")
                });
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn an_import_is_seen_however_it_is_written() {
    let known = ["wire", "suite", "loads", "loads::idle", "loads::paced"].map(str::to_owned).into();
    for (code, expected) in [
        ("use crate::wire;", &["wire"][..]),
        ("use crate::wire::Stamp;", &["wire"]),
        ("use crate::loads::paced::run;", &["loads::paced"]),
        ("use crate::loads::run;", &["loads"]),
        ("pub use crate::{suite, wire::{self, Stamp}};", &["suite", "wire"]),
        ("use crate::{\n    suite,\n    loads::{paced::run, Load},\n};", &["loads", "loads::paced", "suite"]),
        ("fn f() -> crate::suite::Results {\n    crate::wire::g()\n}", &["suite", "wire"]),
        ("use super::paced::run;", &["loads::paced"]),
        ("use super::{Load, paced};", &["loads", "loads::paced"]),
        ("use super::super::suite;", &["suite"]),
        ("use self::super::paced;", &["loads::paced"]),
        ("use super::*;", &["loads"]),
        ("use super as loads;", &["loads"]),
        ("use crate::*;", &[""]),
        ("use crate as root;", &[""]),
        ("extern crate self as root;", &[""]),
        ("mod tests {\n    use super::*;\n    use super::super::paced;\n}", &["loads::paced"]),
        ("mod tests {\n    use crate::suite;\n}\nuse super::Load;", &["loads", "suite"]),
        ("pub mod deep;", &["loads::idle::deep"]),
        ("// use crate::suite;\n    /// [`crate::suite`]", &[]),
        ("pub(crate) fn f(&self) {\n    self.superb::<u8>(Self::crate_of());\n}", &[]),
    ] {
        let used = used_by("loads::idle", code, &known);
        assert_eq!(used.iter().collect::<Vec<_>>(), expected, "in {code}");
    }
}
