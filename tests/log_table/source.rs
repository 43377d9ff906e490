//! What the sources write to the error log: the calls, and the texts of which their lines are made.

use std::fs;
use std::path::{Path, PathBuf};

use testbed::workspace;

use crate::HOLE;

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// A file of the sources, without comments and attributes.
struct Source {
    path: String,
    tokens: Vec<Token>,
}

/// A call that writes a line.
pub struct Call {
    /// The file that it is in.
    pub path: String,
    /// `warn`, if it is always the same.
    pub level: Option<String>,
    /// The line, with [`HOLE`] where something is put in.
    pub line: String,
}

/// All sources that write to the log, or make the texts for it.
pub struct Sources(Vec<Source>);

/// What writes a line.
const WRITERS: [&str; 3] = ["ngx_log_error", "ngx_conf_log_error", "ngx_ssl_error"];

impl Sources {
    pub fn read() -> Sources {
        let mut paths = Vec::new();
        for folder in ["src", "crates/cache-core/src"] {
            files(&workspace().join(folder), &mut paths);
        }
        paths.sort();
        let sources = paths.into_iter().map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(workspace()).unwrap().to_str().unwrap();
            Source {
                path: path.to_owned(),
                tokens: without_attributes(tokens(&text, path.ends_with(".c"))),
            }
        });
        Sources(sources.collect())
    }

    /// The calls that write a line.
    pub fn calls(&self) -> Vec<Call> {
        let mut found = Vec::new();
        for source in &self.0 {
            for writer in WRITERS {
                for inside in source.calls_of(writer) {
                    let text = inside.iter().find_map(text_of);
                    let text = text.unwrap_or_else(|| panic!("{}: no text", source.path));
                    let level = inside.split(|it| *it == Token::Mark(',')).next().unwrap();
                    let level = match level {
                        [Token::Word(word)] => word.strip_prefix("NGX_LOG_"),
                        _ => None,
                    };
                    found.push(Call {
                        path: source.path.clone(),
                        level: level.map(str::to_lowercase),
                        line: text.to_owned(),
                    });
                }
            }
        }
        found
    }

    /// All texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let tokens = self.0.iter().flat_map(|source| &source.tokens);
        tokens.filter_map(text_of)
    }

    /// The texts in the files whose paths begin so.
    pub fn texts_of(&self, path: &str) -> impl Iterator<Item = &str> {
        let files = self.0.iter().filter(move |it| it.path.starts_with(path));
        files.flat_map(|it| &it.tokens).filter_map(text_of)
    }

    /// The texts that calls of these functions are given directly, with the files.
    pub fn texts_for<'a>(&'a self, functions: &'a [&str]) -> Vec<(&'a str, &'a str)> {
        let of_source = |source: &'a Source| {
            let calls = functions.iter().flat_map(|name| source.calls_of(name));
            let texts = calls.flat_map(|inside| inside.iter().filter_map(text_of));
            texts
                .map(|text| (source.path.as_str(), text))
                .collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_source).collect()
    }
}

impl Source {
    /// What stands between the parentheses of the calls of a function or macro.
    fn calls_of(&self, name: &str) -> Vec<&[Token]> {
        let mut found = Vec::new();
        for (place, token) in self.tokens.iter().enumerate() {
            if *token != Token::Word(name.to_owned()) {
                continue;
            }
            let rest = &self.tokens[place + 1..];
            let rest = match rest {
                [Token::Mark('!'), rest @ ..] => rest,
                rest => rest,
            };
            if let [Token::Mark('('), rest @ ..] = rest {
                found.push(&rest[..closing(rest)]);
            }
        }
        found
    }
}

fn text_of(token: &Token) -> Option<&str> {
    match token {
        Token::Text(text) => Some(text),
        _ => None,
    }
}

/// Where the bracket closes that was opened before.
fn closing(tokens: &[Token]) -> usize {
    let mut depth = 1;
    let end = tokens.iter().position(|token| {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    end.unwrap_or(tokens.len())
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs" || it == "c") {
            found.push(path);
        }
    }
}

/// Attributes have texts of their own: reasons, which nobody logs.
fn without_attributes(tokens: Vec<Token>) -> Vec<Token> {
    let (mut left, mut place) = (Vec::new(), 0);
    while let Some(token) = tokens.get(place) {
        let is_inner = tokens.get(place + 1) == Some(&Token::Mark('!'));
        let bracket = place + 1 + usize::from(is_inner);
        if *token == Token::Mark('#') && tokens.get(bracket) == Some(&Token::Mark('[')) {
            place = bracket + 2 + closing(&tokens[bracket + 1..]);
        } else {
            left.push(token.clone());
            place += 1;
        }
    }
    left
}

/// The tokens of Rust or C.
fn tokens(text: &str, is_c: bool) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or_default();
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut place) = (Vec::new(), 0);
    while place < chars.len() {
        match at(place) {
            '/' if at(place + 1) == '/' => {
                while place < chars.len() && at(place) != '\n' {
                    place += 1;
                }
            }
            '/' if at(place + 1) == '*' => {
                while place < chars.len() && (at(place), at(place + 1)) != ('*', '/') {
                    place += 1;
                }
                place += 2;
            }
            '"' => {
                let (text, end) = quoted(&chars, place + 1);
                place = end;
                let text = if is_c { of_c(&text) } else { of_rust(&text) };
                tokens.push(Token::Text(text));
            }
            'r' if at(place + 1) == '"'
                || (at(place + 1) == '#' && matches!(at(place + 2), '"' | '#')) =>
            {
                let hashes = chars[place + 1..].iter().take_while(|c| **c == '#').count();
                let start = place + 2 + hashes;
                let is_end = |at: &usize| {
                    chars[*at] == '"' && chars[at + 1..].iter().take(hashes).all(|c| *c == '#')
                };
                let end = (start..chars.len()).find(is_end).unwrap();
                let text: String = chars[start..end].iter().collect();
                tokens.push(Token::Text(of_rust(&text)));
                place = end + 1 + hashes;
            }
            // A character, not a lifetime.
            '\'' if at(place + 1) == '\\' => {
                place += 3;
                while at(place) != '\'' {
                    place += 1;
                }
                place += 1;
            }
            '\'' if at(place + 2) == '\'' => place += 3,
            c if is_of_word(c) => {
                let start = place;
                while is_of_word(at(place)) {
                    place += 1;
                }
                let word: String = chars[start..place].iter().collect();
                // b"..." and c"..."
                if !(word.len() == 1 && at(place) == '"') {
                    tokens.push(Token::Word(word));
                }
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Mark(c));
                }
                place += 1;
            }
        }
    }
    tokens
}

/// A text up to its closing quote, with what its escapes stand for; and where it ends.
fn quoted(chars: &[char], start: usize) -> (String, usize) {
    let (mut text, mut place) = (String::new(), start);
    while chars[place] != '"' {
        if chars[place] != '\\' {
            text.push(chars[place]);
            place += 1;
            continue;
        }
        place += 2;
        match chars[place - 1] {
            '\n' => {
                while chars[place].is_whitespace() {
                    place += 1;
                }
            }
            'n' => text.push('\n'),
            c @ ('"' | '\\' | '\'') => text.push(c),
            // Nothing that a line of the log has.
            _ => text.push(' '),
        }
    }
    (text, place + 1)
}

/// A format string with [`HOLE`] for each of its places.
fn of_rust(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(place) = rest.find(['{', '}']) {
        out.push_str(&rest[..place]);
        let tail = &rest[place..];
        if let Some(behind) = tail.strip_prefix("{{") {
            out.push('{');
            rest = behind;
        } else if let Some(behind) = tail.strip_prefix("}}") {
            out.push('}');
            rest = behind;
        } else if let Some(end) = tail.find('}').filter(|end| is_place(&tail[..*end])) {
            out.push(HOLE);
            rest = &tail[end + 1..];
        } else {
            out.push_str(&tail[..1]);
            rest = &tail[1..];
        }
    }
    out + rest
}

/// `{name}`, not `{ ... }` of a text that is no format.
fn is_place(text: &str) -> bool {
    text.starts_with('{') && !text.contains(' ')
}

/// The same for C's.
fn of_c(text: &str) -> String {
    text.replace("%s", &HOLE.to_string())
}
