//! Links of a page: to files of the workspace, and to headings.

use std::path::{Component, Path, PathBuf};

use testbed::{page, workspace};

/// A link that isn't one of the web.
struct Link {
    /// The file that it leads to.
    file: PathBuf,
    /// The heading, as links name it.
    heading: Option<String>,
}

/// The text of a page outside of its blocks and of code, as one line.
fn prose(page: &str) -> String {
    let mut is_block = false;
    let lines = page.lines().filter(|line| {
        let is_mark = line.trim_start().starts_with("```");
        is_block ^= is_mark;
        !is_block && !is_mark
    });
    let text = lines.collect::<Vec<_>>().join(" ");
    // Code may hold what looks like a link, but the text of a link may hold code.
    text.replace("`[[", "`")
}

fn links(path: &str) -> Vec<Link> {
    let text = prose(&page(path));
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target);
    let inside = targets.filter(|it| !it.contains("://"));
    let folder = Path::new(path).parent().unwrap();
    let link = |target: &str| {
        let (file, heading) = match target.split_once('#') {
            Some((file, heading)) => (file, Some(heading.to_owned())),
            None => (target, None),
        };
        let file = match file {
            "" => PathBuf::from(path),
            file => plain(&folder.join(file)),
        };
        Link { file, heading }
    };
    inside.map(link).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{}", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

/// The headings of a page, as links name them.
fn headings(path: &str) -> Vec<String> {
    let mut is_block = false;
    let text = page(path);
    let lines = text.lines().filter(|line| {
        is_block ^= line.trim_start().starts_with("```");
        !is_block && line.starts_with('#')
    });
    let names = lines.map(|line| name(line.trim_start_matches('#').trim()));
    names.collect()
}

/// How links name a heading.
fn name(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

/// The files that a page links to.
pub fn files(path: &str) -> Vec<String> {
    let files = links(path).into_iter().map(|link| link.file);
    files
        .map(|file| file.to_str().unwrap().to_owned())
        .filter(|file| file != path)
        .collect()
}

/// The links of a page that lead nowhere.
pub fn broken(path: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for Link { file, heading } in links(path) {
        let name = file.to_str().unwrap();
        let is_there = workspace().join(&file).exists();
        let has = |heading: &String| headings(name).contains(heading);
        if !is_there || !heading.as_ref().is_none_or(has) {
            broken.push(format!("{path}: {name}#{}", heading.unwrap_or_default()));
        }
    }
    broken
}

#[test]
fn headings_have_one_name_each() {
    for path in super::pages() {
        if path == "CHANGELOG.md" {
            continue;
        }
        let mut all = headings(&path);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{path}");
    }
}

#[test]
fn names_of_headings() {
    for (heading, wanted) in [
        (
            "When nginx refuses the module",
            "when-nginx-refuses-the-module",
        ),
        ("Permissions aren't pages", "permissions-arent-pages"),
        ("$redis_cache_status", "redis_cache_status"),
        ("Always STORE, never HIT", "always-store-never-hit"),
    ] {
        assert_eq!(name(heading), wanted);
    }
}
