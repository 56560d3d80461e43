//! Which modules of its own crate a file's code names, however it writes that.
//!
//! It reads source text, and leans on rustfmt: an inline module begins and ends at the left edge. What must stay true: a path
//! that begins with `crate`, `self` or `super` is found wherever it stands, in groups and in inline modules too; and a file that
//! declares another (`mod`) uses it. The benchmark's crate holds its own files against its map with this, too.

/// The paths from the crate's root on (`a::b::Item`) that the code of the module `own` names. An empty one stands for the root
/// itself, by which everything could be reached.
pub fn used_paths(own: &[&str], text: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (inline, code) in code_by_module(text) {
        let here: Vec<&str> = own.iter().copied().chain(inline).collect();
        used.extend(paths(&code).iter().map(|path| absolute(path, &here)));
        let declared = code.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
        used.extend(declared.map(|child| [&here[..], &[child]].concat().join("::")));
    }
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

/// Adds the paths of the use tree at the start of `code`, `a::b` and `a::c::d` for `a::{b, c::{d}}`, and returns what comes
/// after it.
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

/// A path from the crate's root on, for one who stands in the module `here`.
fn absolute(path: &str, here: &[&str]) -> String {
    let mut absolute: Vec<&str> = Vec::new();
    for (nth, segment) in path.split("::").filter(|segment| !segment.is_empty()).enumerate() {
        match segment {
            "crate" => absolute.clear(),
            "self" if nth == 0 => absolute = here.to_vec(),
            "super" if nth == 0 => absolute = here[..here.len() - 1].to_vec(),
            "super" => drop(absolute.pop()),
            "self" => {}
            name => absolute.push(name),
        }
    }
    absolute.join("::")
}

#[test]
fn a_path_is_seen_however_it_is_written() {
    for (code, expected) in [
        ("use crate::wire;", &["wire"][..]),
        ("use crate::wire::Stamp;", &["wire::Stamp"]),
        ("use crate::loads::paced::run;", &["loads::paced::run"]),
        ("pub use crate::{suite, wire::{self, Stamp}};", &["suite", "wire", "wire::Stamp"]),
        (
            "use crate::{\n    suite,\n    loads::{paced::run, Load},\n};",
            &["suite", "loads::paced::run", "loads::Load"],
        ),
        ("use crate::suite as other;", &["suite"]),
        ("fn f() -> crate::suite::Results {\n    crate::wire::g()\n}", &["suite::Results", "wire::g"]),
        ("macro_rules! m { () => { $crate::wire::g() } }", &["wire::g"]),
        ("use super::paced::run;", &["loads::paced::run"]),
        ("use super::{Load, paced};", &["loads::Load", "loads::paced"]),
        ("use super::super::suite;", &["suite"]),
        ("use self::super::paced;", &["loads::paced"]),
        ("use super::*;", &["loads"]),
        ("use super as loads;", &["loads"]),
        ("use crate::*;", &[""]),
        ("use crate as root;", &[""]),
        ("extern crate self as root;", &["", "loads::idle"]),
        ("mod tests {\n    use super::*;\n    use super::super::paced;\n}", &["loads::idle", "loads::paced"]),
        ("mod tests {\n    use crate::suite;\n}\nuse super::Load;", &["loads::Load", "suite"]),
        ("pub mod deep;", &["loads::idle::deep"]),
        ("// use crate::suite;\n    /// [`crate::suite`]", &[]),
        ("pub(crate) fn f(&self) {\n    self.superb::<u8>(Self::crate_of());\n}", &[]),
    ] {
        assert_eq!(used_paths(&["loads", "idle"], code), expected, "in {code}");
    }
}
