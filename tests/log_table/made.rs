//! Whether a line can be what a call writes: where the call puts something in, the line may have a text of the sources.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::HOLE;

/// How deep texts may be put into texts.
const DEPTH: usize = 3;

/// Texts that say nothing fit everywhere: so many letters are asked for.
const LEAST: usize = 4;

/// Those that may be put in nonetheless: two others.
const TWO: [&str; 2] = ["\u{1}: \u{1}", "\u{1} in \u{1}"];

/// The texts that may be put in.
pub struct Texts<'a> {
    /// Those into which nothing is put.
    whole: HashSet<&'a str>,
    with_holes: Vec<&'a str>,
    /// What is known of parts of lines.
    known: RefCell<HashMap<(String, usize), bool>>,
}

impl<'a> Texts<'a> {
    pub fn new(all: impl Iterator<Item = &'a str>) -> Texts<'a> {
        let says_something = |text: &&str| letters(text) >= LEAST || TWO.contains(text);
        let all: HashSet<&str> = all.filter(says_something).collect();
        let (with_holes, whole): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|text| text.contains(HOLE));
        Texts {
            whole: whole.into_iter().collect(),
            with_holes,
            known: RefCell::default(),
        }
    }

    /// Whether the line is made of the call's text.
    pub fn make(&self, call: &str, line: &str) -> bool {
        self.fill(call, line, DEPTH)
    }

    /// Whether the line is one of the texts, whatever is put into it.
    pub fn have(&self, line: &str) -> bool {
        self.is_put(line, DEPTH)
    }

    fn fill(&self, pattern: &str, line: &str, depth: usize) -> bool {
        let Some((before, behind)) = pattern.split_once(HOLE) else {
            return pattern == line;
        };
        let last = behind.rsplit(HOLE).next().unwrap_or_default();
        let Some(rest) = line.strip_prefix(before).filter(|it| it.ends_with(last)) else {
            return false;
        };
        let next = behind.split(HOLE).next().unwrap_or_default();
        let ends = (1..=rest.len()).filter(|end| rest.is_char_boundary(*end));
        ends.filter(|end| rest[*end..].starts_with(next))
            .any(|end| self.is_put(&rest[..end], depth) && self.fill(behind, &rest[end..], depth))
    }

    fn is_put(&self, part: &str, depth: usize) -> bool {
        if part.chars().eq([HOLE]) || self.whole.contains(part) {
            return true;
        }
        if depth == 0 {
            return false;
        }
        let place = (part.to_owned(), depth);
        if let Some(known) = self.known.borrow().get(&place) {
            return *known;
        }
        let mut texts = self.with_holes.iter();
        let is_put = texts.any(|text| self.fill(text, part, depth - 1));
        self.known.borrow_mut().insert(place, is_put);
        is_put
    }
}

/// How many letters a text has besides what is put in.
pub fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

#[test]
fn what_a_line_can_be_made_of() {
    let holes = |text: &str| text.replace("{}", &HOLE.to_string());
    let known = ["the store is down", "refused: {}", "{}", "was {} by {}"].map(holes);
    let texts = Texts::new(known.iter().map(String::as_str));
    for (call, line, wanted) in [
        ("key {}: {}", "key {}: {}", true),
        ("key {}: {}", "key {}: the store is down", true),
        ("key {}: {}", "key {}: refused: {}", true),
        ("key {}: {}", "key {}: refused: the store is down", true),
        ("key {}: {}", "key {}: was {} by the store is down", true),
        ("key {}: {}", "key {}: the store is up", false),
        ("key {}: {}", "keys {}: {}", false),
        ("key {}: {}", "key {}: {} again", false),
        ("key {}", "key ", false),
        ("no hole", "no hole", true),
        ("no hole", "no holes", false),
    ] {
        let made = texts.make(&holes(call), &holes(line));
        assert_eq!(made, wanted, "{call} / {line}");
    }
}
