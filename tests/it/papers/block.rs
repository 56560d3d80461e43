//! The papers, and the blocks of code in them.

use std::fs;
use std::path::Path;

use crate::harness::project;

/// A block of code between two fences.
#[derive(Clone, Debug)]
pub struct Block {
    pub paper: String,
    /// The line of its fence, from 1 on.
    pub line: usize,
    pub language: String,
    pub text: String,
}

impl Block {
    /// Where it is, as editors and terminals take it.
    pub fn place(&self) -> String {
        format!("{}:{}", self.paper, self.line)
    }
}

/// The papers of the project, as paths in it, in their order.
pub fn papers() -> Vec<String> {
    let mut papers = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "bench/README.md"].map(str::to_owned).to_vec();
    let mut of_folder = |folder: &str, name: fn(&str) -> Option<String>| {
        let Ok(entries) = fs::read_dir(project().join(folder)) else { return };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().expect("a name in UTF-8"));
        let mut found: Vec<String> = names.filter_map(|file| Some(format!("{folder}/{}", name(&file)?))).collect();
        found.sort();
        papers.extend(found);
    };
    of_folder("docs", |file| (Path::new(file).extension()? == "md").then(|| file.to_owned()));
    of_folder("clients", |file| (file == "README.md").then(|| file.to_owned()));
    of_folder("recipes", |file| (file == "README.md").then(|| file.to_owned()));
    of_folder("recipes", |recipe| Some(format!("{recipe}/README.md")));
    papers.retain(|paper| project().join(paper).is_file());
    papers
}

/// Whether the blocks of this paper are run by the tests here. Recipes and clients have tests of their own, and what the others show
/// builds and measures the project itself.
pub fn is_run(paper: &str) -> bool {
    paper == "README.md" || paper.starts_with("docs/")
}

/// All blocks of all papers.
pub fn blocks() -> Vec<Block> {
    papers().iter().flat_map(|paper| blocks_of(paper)).collect()
}

fn blocks_of(paper: &str) -> Vec<Block> {
    let text = fs::read_to_string(project().join(paper)).unwrap_or_else(|error| panic!("{paper}: {error}"));
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                let (paper, language) = (paper.to_owned(), language.trim().to_owned());
                open = Some(Block { paper, line: index + 1, language, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text += line;
                block.text += "\n";
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{paper} ends within a block");
    blocks
}
