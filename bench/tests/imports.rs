//! The benchmark's files against the map at the head of `src/lib.rs`: each uses only files that stand before it there.
//!
//! The compiler takes circles of imports, so this test does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use use_paths::used_paths;

#[path = "../../tests/it/house/use_paths.rs"]
mod use_paths;

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
    let own: Vec<&str> = module.split("::").collect();
    let mut used: BTreeSet<String> = used_paths(&own, text).iter().map(|path| file_of(path, known)).collect();
    used.remove(module);
    used
}

/// The file that a path leads into.
fn file_of(path: &str, known: &BTreeSet<String>) -> String {
    let segments: Vec<&str> = path.split("::").collect();
    let mut prefixes = (0..=segments.len()).rev().map(|length| segments[..length].join("::"));
    prefixes.find(|prefix| known.contains(prefix)).unwrap_or_default()
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
