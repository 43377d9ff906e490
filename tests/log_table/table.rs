//! The tables of `docs/log.md`.

use std::fs;

use testbed::workspace;

use crate::HOLE;

/// A row of a table.
pub struct Row {
    /// The heading that it stands under.
    pub section: String,
    /// What its cells hold, with `|` where the file has `\|`.
    pub cells: Vec<String>,
}

impl Row {
    /// The texts between backticks in a cell, with [`HOLE`] where something is put in.
    pub fn codes(&self, cell: usize) -> Vec<String> {
        let parts = self.cells[cell].split('`').skip(1).step_by(2);
        parts.map(with_holes).collect()
    }

    /// All texts between backticks.
    pub fn all_codes(&self) -> Vec<String> {
        (0..self.cells.len())
            .flat_map(|it| self.codes(it))
            .collect()
    }
}

/// The rows of all tables, without their headings.
pub fn rows() -> Vec<Row> {
    let text = fs::read_to_string(workspace().join("docs/log.md")).unwrap();
    let (mut rows, mut section, mut is_head) = (Vec::new(), String::new(), true);
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_owned();
        }
        let Some(inside) = line.strip_prefix("| ").and_then(|it| it.strip_suffix(" |")) else {
            is_head = true;
            continue;
        };
        if inside.starts_with("---") {
            is_head = false;
        } else if !is_head {
            let inside = inside.replace("\\|", "\u{2}");
            let cells = inside.split(" | ").map(|cell| cell.replace('\u{2}', "|"));
            rows.push(Row {
                section: section.clone(),
                cells: cells.collect(),
            });
        }
    }
    rows
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
