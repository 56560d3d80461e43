//! The folders and files of `src` as CONTRIBUTING's tables have them, and what each file names of the others.
//!
//! It reads source text: what comes as the result of a method, without its name, it does not see.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::read;
use super::use_paths::used_paths;
use crate::harness::project;

/// A file of `src`, or what an import names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    pub folder: String,
    pub file: String,
}

pub fn module(folder: &str, file: &str) -> Module {
    Module { folder: folder.to_owned(), file: file.to_owned() }
}

/// The rows of the table in CONTRIBUTING whose head starts with this cell, each as its cells.
fn table(first_head: &str) -> Vec<Vec<String>> {
    let text = read("CONTRIBUTING.md");
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let rows = text.lines().skip_while(|line| !line.starts_with(&format!("| {first_head} |"))).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "CONTRIBUTING.md has a table of {first_head}");
    rows
}

/// The words of a cell that stand between backticks.
fn ticked(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|word| word.trim_end_matches('/').to_owned()).collect()
}

/// The folders of `src` from the top of the house down, each with those that it may use.
pub fn folders() -> Vec<(String, Vec<String>)> {
    table("folder").iter().map(|row| (ticked(&row[0]).remove(0), ticked(&row[2]))).collect()
}

/// The files of `src` from the top of the house down.
pub fn modules() -> Vec<Module> {
    let rows = table("file").into_iter().map(|row| ticked(&row[0]).remove(0));
    rows.map(|path| {
        let path = path.strip_suffix(".rs").unwrap_or_else(|| panic!("{path} is no file"));
        let (folder, file) = path.split_once('/').unwrap_or(("", path));
        module(folder, file)
    })
    .collect()
}

impl Module {
    pub fn path(&self) -> String {
        let Self { folder, file } = self;
        if folder.is_empty() { format!("src/{file}.rs") } else { format!("src/{folder}/{file}.rs") }
    }

    /// Its code without its tests.
    pub fn code(&self) -> String {
        read(&self.path()).split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
    }

    /// Its code without tests and without comments.
    pub fn statements(&self) -> String {
        let code = self.code();
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }

    /// The files that it names, its tests included.
    pub fn used(&self) -> BTreeSet<Module> {
        // A program sees its library by name.
        let code = read(&self.path()).replace("foghorn::", "crate::");
        let own: Vec<&str> =
            [self.folder.as_str(), self.file.as_str()].into_iter().filter(|name| !name.is_empty()).collect();
        // `mod tests;` is the file's own.
        let own_tests = [&own[..], &["tests"]].concat().join("::");
        let used = used_paths(&own, &code).into_iter().filter(|path| *path != own_tests).map(|path| {
            let mut segments = path.split("::");
            let named = module(segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
            assert!(
                project().join(named.path()).is_file(),
                "{} names {path:?} and hides what it uses of it",
                self.path()
            );
            named
        });
        used.filter(|used| used != self).collect()
    }
}

/// All files of Rust below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    files_named(folder, "rs")
}

/// All files below a folder whose names end so.
pub fn files_named(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files_named(&path, extension) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|of| of == extension)).collect()
}
