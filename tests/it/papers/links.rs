//! Where the papers lead there is something: a file, and in it the heading.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::papers;
use crate::harness::project;

/// Where a paper leads, by its links and its pictures; without what is code.
fn links(text: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            prose.extend(line.split('`').step_by(2));
            prose += "\n";
        }
    }
    let targets = |before: &str, end: char| -> Vec<String> {
        let rests = prose.split(before).skip(1);
        rests.filter_map(|rest| Some(rest.split_once(end)?.0.to_owned())).collect()
    };
    [targets("](", ')'), targets("src=\"", '"'), targets("href=\"", '"')].concat()
}

/// The name of a heading in an address, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().to_lowercase();
    let kept = letters.chars().filter(|char| char.is_alphanumeric() || "-_ ".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let texts: BTreeMap<PathBuf, String> = papers()
        .into_iter()
        .chain(["CHANGELOG.md".to_owned()])
        .map(|paper| (PathBuf::from(&paper), fs::read_to_string(project().join(&paper)).unwrap()))
        .collect();
    let mut followed = 0;
    for (paper, text) in &texts {
        for link in links(text).iter().filter(|link| !link.starts_with("http")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { paper.clone() } else { plain(&paper.with_file_name(path)) };
            assert!(project().join(&target).exists(), "{} leads to {link}", paper.display());
            if !heading.is_empty() {
                let there = texts.get(&target).unwrap_or_else(|| panic!("{}: {link}: no paper", paper.display()));
                assert!(anchors(there).contains(heading), "{} leads to {link}", paper.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 60, "only {followed} are followed: is this test blind?");
}

#[test]
fn every_page_of_the_docs_is_reached_from_the_readme() {
    let readme = links(&fs::read_to_string(project().join("README.md")).unwrap());
    for paper in papers().iter().filter(|paper| paper.starts_with("docs/")) {
        assert!(readme.contains(paper), "the README does not lead to {paper}");
    }
}
