//! The lists of `docs/log.md`.
//!
//! A line of the log is ``- **LEVEL, LEVEL** `LINE`: cause``, anything else ``- `TEXT`: meaning``. Behind either may
//! stand ` *Remedy:* text`. What is wrapped counts as one line.

use testbed::page;

use crate::HOLE;

/// An item of a list.
pub struct Row {
    /// The heading that it stands under.
    pub section: String,
    /// Its levels, if it is a line of the log.
    pub levels: Vec<String>,
    /// What the log, or a part of a line, says: up to the first colon outside of backticks.
    pub said: String,
    /// What stands behind the colon: cause, meaning and remedy.
    pub rest: String,
}

impl Row {
    /// The texts between backticks in what is said, with [`HOLE`] where something is put in.
    pub fn codes(&self) -> Vec<String> {
        codes(&self.said)
    }

    /// All texts between backticks.
    pub fn all_codes(&self) -> Vec<String> {
        let mut all = codes(&self.said);
        all.extend(codes(&self.rest));
        all
    }
}

fn codes(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(with_holes).collect()
}

/// The items of all lists behind the first heading of second level.
pub fn rows() -> Vec<Row> {
    let text = page("docs/log.md");
    let (_, lists) = text.split_once("\n## ").unwrap();
    let (mut items, mut section, mut is_open): (Vec<(String, String)>, _, _) =
        (Vec::new(), String::new(), false);
    for line in lists.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_owned();
        } else if items.is_empty() && section.is_empty() {
            section = line.to_owned();
        }
        if let Some(item) = line.strip_prefix("- ") {
            items.push((section.clone(), item.to_owned()));
            is_open = true;
        } else if let (true, Some(more)) = (is_open, line.strip_prefix("  ")) {
            let (_, item) = items.last_mut().unwrap();
            item.push(' ');
            item.push_str(more);
        } else {
            is_open = false;
        }
    }
    items
        .into_iter()
        .map(|(section, item)| row(section, &item))
        .collect()
}

fn row(section: String, item: &str) -> Row {
    let (levels, item) = match item.strip_prefix("**").and_then(|it| it.split_once("** ")) {
        Some((levels, item)) => (levels.split(", ").map(str::to_owned).collect(), item),
        None => (Vec::new(), item),
    };
    let mut is_code = false;
    let colon = item.char_indices().find(|(place, c)| {
        is_code ^= *c == '`';
        !is_code && item[*place..].starts_with(": ")
    });
    let (said, rest) = match colon {
        Some((place, _)) => (&item[..place], &item[place + 2..]),
        None => (item, ""),
    };
    Row {
        section,
        levels,
        said: said.to_owned(),
        rest: rest.to_owned(),
    }
}

/// `{name}` is a hole, `{ ... }` is none.
fn with_holes(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
        match behind.split_once('}') {
            Some((name, behind)) if name.chars().all(is_of_name) => {
                out.push(HOLE);
                rest = behind;
            }
            _ => {
                out.push('{');
                rest = behind;
            }
        }
    }
    out + rest
}
