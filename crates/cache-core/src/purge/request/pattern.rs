//! Regular expressions of the shapes that known software sends.

/// Characters that mean something in a regular expression. A dot is taken as itself: senders leave it as it is in tags, hosts
/// and paths.
const SPECIAL: &[u8] = b"^$*+?()[]{}|";

/// The text that a pattern without anything special stands for. A backslash takes its meaning from the character behind it.
pub fn literal(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                // "\d" and the like stand for classes.
                let escaped = bytes.next().filter(|byte| !byte.is_ascii_alphanumeric())?;
                text.push(*escaped);
            }
            byte if SPECIAL.contains(byte) => return None,
            byte => text.push(*byte),
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The alternatives of a pattern outside of its groups. `None` if its brackets don't fit.
fn alternatives(pattern: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    let mut escaped = false;
    for (at, byte) in pattern.iter().enumerate() {
        match byte {
            _ if escaped => {
                escaped = false;
                continue;
            }
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b'|' if depth == 0 => {
                parts.push(pattern.get(begin..at)?);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if depth != 0 || escaped {
        return None;
    }
    parts.push(pattern.get(begin..)?);
    Some(parts)
}

/// What is between the brackets of a pattern that is one group.
fn group(pattern: &[u8]) -> Option<&[u8]> {
    let inner = pattern.strip_prefix(b"(")?.strip_suffix(b")")?;
    // "(a)|(b)" is no group, and "(a\)" has no end.
    (alternatives(inner).is_some() && !ends_escaped(inner)).then_some(inner)
}

fn ends_escaped(text: &[u8]) -> bool {
    let backslashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
    backslashes % 2 == 1
}

/// The words of a pattern that a list of words is searched with: `(^|,)a(,|$)`, alternatives of such in brackets or not, and
/// `(^|,)(a|b)(,|$)`.
pub fn words(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    for alternative in alternatives(pattern)? {
        let bounded = group(alternative)
            .filter(|inner| word_within(inner).is_some())
            .unwrap_or(alternative);
        let inner = word_within(bounded)?;
        words.extend(any_of(inner)?);
    }
    Some(words)
}

/// What is between the bounds of a word, of which the first may be missing.
fn word_within(pattern: &[u8]) -> Option<&[u8]> {
    const BEGIN: [&[u8]; 2] = [b"(^|,)", b"(^|\\,)"];
    const END: [&[u8]; 4] = [b"(,|$)", b"($|,)", b"(\\,|$)", b"($|\\,)"];
    let behind = BEGIN.iter().find_map(|begin| pattern.strip_prefix(*begin));
    let pattern = behind.unwrap_or(pattern);
    END.iter().find_map(|end| pattern.strip_suffix(*end))
}

/// A text, or several of them in brackets.
pub fn any_of(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
    match group(pattern) {
        Some(inner) => alternatives(inner)?.into_iter().map(literal).collect(),
        None => Some(vec![literal(pattern)?]),
    }
}

/// What a pattern of hosts names: `None` within is any.
pub fn hosts(pattern: &[u8]) -> Option<Option<Vec<Vec<u8>>>> {
    if matches!(pattern, b".*" | b"") {
        return Some(None);
    }
    let inner = pattern.strip_prefix(b"^").unwrap_or(pattern);
    let inner = inner.strip_suffix(b"$").unwrap_or(inner);
    any_of(inner).map(Some)
}

/// What a pattern of URIs names.
#[derive(Debug, PartialEq, Eq)]
pub enum Uris {
    /// All.
    Any,
    /// Those that begin so.
    Begin(Vec<u8>),
    /// One.
    Exactly(Vec<u8>),
}

/// Reads a pattern of URIs: `.*`, `^/a`, `^/a.*`, `^/a$`, and the same without `^`, where it begins with a slash.
pub fn uris(pattern: &[u8]) -> Option<Uris> {
    let inner = pattern.strip_prefix(b"^").unwrap_or(pattern);
    if matches!(inner, b".*" | b"/.*" | b"") {
        return Some(Uris::Any);
    }
    if inner.first() != Some(&b'/') {
        return None;
    }
    let whole = inner.strip_suffix(b"$").unwrap_or(inner);
    if let Some(begin) = whole.strip_suffix(b".*") {
        return literal(begin).map(Uris::Begin);
    }
    if whole.len() < inner.len() && !ends_escaped(whole) {
        return literal(whole).map(Uris::Exactly);
    }
    literal(inner).map(Uris::Begin)
}
