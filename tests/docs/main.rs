//! README.md and the pages of `docs/`: how long they are, where their links lead, whether they say what the sources say,
//! and whether their examples are accepted by nginx.

mod directives;
mod examples;
mod links;
mod variables;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use testbed::{fences, page, workspace};

/// Columns of a line.
const WIDTH: usize = 120;

/// Lines of README.
const LINES: usize = 250;

/// The languages of fenced blocks. Those in `nginx` are given to nginx.
const LANGUAGES: [&str; 5] = ["nginx", "sh", "text", "yaml", "json"];

/// The pages that people read, by their paths in the workspace.
fn pages() -> Vec<String> {
    let mut all = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(str::to_owned)
        .to_vec();
    add(&workspace().join("docs"), &mut all);
    all.sort();
    assert!(all.len() > 20, "{all:?}");
    all
}

fn add(folder: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add(&path, all);
        } else if path.extension().is_some_and(|it| it == "md") {
            let path = path.strip_prefix(workspace()).unwrap();
            all.push(path.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn readme_takes_five_minutes() {
    let lines = page("README.md").lines().count();
    assert!(lines <= LINES, "{lines} lines");
}

#[test]
fn no_line_is_too_long() {
    let mut long = Vec::new();
    for path in pages() {
        for (index, line) in page(&path).lines().enumerate() {
            let width = line.chars().count();
            if width > WIDTH {
                long.push(format!("{path}:{}: {width} columns", index + 1));
            }
        }
    }
    assert_eq!(long, [""; 0]);
}

#[test]
fn blocks_are_closed_and_have_a_language() {
    for path in pages() {
        let text = page(&path);
        let marks = text
            .lines()
            .filter(|line| line.trim_start().starts_with("```"));
        let fences = fences(&text);
        assert_eq!(marks.count(), 2 * fences.len(), "{path}");
        for fence in fences {
            let known = LANGUAGES.contains(&fence.language.as_str());
            assert!(known, "{path}:{}: {:?}", fence.line, fence.language);
        }
    }
}

#[test]
fn every_page_is_linked_from_another() {
    let linked: BTreeSet<String> = pages().iter().flat_map(|path| links::files(path)).collect();
    for path in pages() {
        assert!(path == "README.md" || linked.contains(&path), "{path}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<String> = pages()
        .iter()
        .flat_map(|path| links::broken(path))
        .collect();
    assert_eq!(broken, [""; 0]);
}
