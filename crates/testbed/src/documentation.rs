//! The documentation as tests read it: README.md and the pages of `docs/`, with their fenced blocks.

use std::fs;

use crate::places::workspace;

/// A fenced block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The word behind the opening fence: `nginx`, `sh`, `text` ...
    pub language: String,
    /// The heading that it stands under, without `#`.
    pub section: String,
    /// The number of the line of the opening fence.
    pub line: usize,
    /// What stands in it, each line with its end.
    pub text: String,
}

/// The text of a file of the workspace, such as `docs/redis.md`.
///
/// # Panics
///
/// If there is no such file.
#[must_use]
#[track_caller]
pub fn page(path: &str) -> String {
    match fs::read_to_string(workspace().join(path)) {
        Ok(text) => text,
        Err(error) => panic!("{path}: {error}"),
    }
}

/// The fenced blocks of a page, in their order.
#[must_use]
pub fn fences(page: &str) -> Vec<Fence> {
    let (mut found, mut open): (Vec<Fence>, Option<Fence>) = (Vec::new(), None);
    let mut section = String::new();
    for (index, line) in page.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            match open.take() {
                Some(fence) => found.push(fence),
                None => {
                    open = Some(Fence {
                        language: language.to_owned(),
                        section: section.clone(),
                        line: index + 1,
                        text: String::new(),
                    });
                }
            }
        } else if let Some(fence) = &mut open {
            fence.text.push_str(line);
            fence.text.push('\n');
        } else if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_owned();
        }
    }
    found
}

/// README's first example: what stands in the http block.
///
/// # Panics
///
/// If README has none.
#[must_use]
#[track_caller]
pub fn readme_example() -> String {
    let fences = fences(&page("README.md"));
    let mut of_section = fences.into_iter().filter(|it| it.section == "Example");
    let example = of_section.find(|it| it.text.starts_with("redis_cache_zone"));
    example.expect("an example in README.md").text
}

/// The users of Redis in `docs/redis.md`: for each, the words behind `ACL SETUSER cache`, of all its lines.
#[must_use]
pub fn redis_users() -> Vec<Vec<String>> {
    let mut users: Vec<Vec<String>> = Vec::new();
    for line in page("docs/redis.md").lines() {
        let Some(rest) = line.strip_prefix("ACL SETUSER cache ") else {
            continue;
        };
        let words = rest.split(' ').map(str::to_owned);
        match users.last_mut() {
            Some(user) if !rest.starts_with("on ") => user.extend(words),
            _ => users.push(words.collect()),
        }
    }
    users
}
