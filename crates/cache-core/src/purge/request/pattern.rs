//! The regular expressions that senders write. No other is known: what they mean is a few exact tags, a host, or the
//! beginning of a URI.

use crate::headers::trim_ows;

/// Which tags a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagPattern {
    /// `.*`
    Any,
    /// These.
    Tags(Vec<Vec<u8>>),
}

/// Which hosts a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// `.*`
    Any,
    /// These, maybe with a port.
    Hosts(Vec<Vec<u8>>),
}

/// Which URIs a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UrlPattern {
    /// `.*`
    Any,
    /// Those that begin so.
    Begins(Vec<u8>),
    /// This one.
    Is(Vec<u8>),
}

const ANY: &[u8] = b".*";

/// What may stand before a tag.
const STARTS: [&[u8]; 2] = [b"(^|,)", b"(^|\\,)"];

/// What may stand behind it. The last one is that of FOSHttpCache before version 2.
const ENDS: [&[u8]; 5] = [b"(,|$)", b"(\\,|$)", b"($|,)", b"($|\\,)", b"(,.+)?$"];

/// How deep tags stand in parentheses that say nothing.
const MAX_DEPTH: usize = 2;

/// Reads the pattern of tags:
///
/// - Magento: `((^|,)a(,|$))|((^|,)b(,|$))`
/// - FOSHttpCache: `(^|,)(a|b)(,|$)`, `(a|b)(,.+)?$`
/// - API Platform: `(a|b)($|\,)`, `((^|\,)a($|\,))|((^|\,)b($|\,))`
pub(super) fn tags(pattern: &[u8]) -> Option<TagPattern> {
    let pattern = trim_ows(pattern);
    if pattern == ANY {
        return Some(TagPattern::Any);
    }
    let mut found = Vec::new();
    anchored(pattern, MAX_DEPTH, &mut found)?;
    Some(TagPattern::Tags(found))
}

fn anchored(pattern: &[u8], depth: usize, found: &mut Vec<Vec<u8>>) -> Option<()> {
    for part in alternatives(pattern)? {
        if let Some(inner) = group(part) {
            anchored(inner, depth.checked_sub(1)?, found)?;
            continue;
        }
        let end = ENDS.iter().find(|end| part.ends_with(end))?;
        let rest = part.strip_suffix(*end)?;
        let start = STARTS.iter().find_map(|start| rest.strip_prefix(*start));
        match (start, group(start.unwrap_or(rest))) {
            (_, Some(tags)) => {
                for tag in alternatives(tags)? {
                    found.push(literal(tag)?);
                }
            }
            (Some(tag), None) => found.push(literal(tag)?),
            (None, None) => return None,
        }
    }
    Some(())
}

/// Reads the pattern of hosts: `.*`, `^(a|b)$`, `a`. It needs no anchors: the host as a whole is meant.
pub(super) fn hosts(pattern: &[u8]) -> Option<HostPattern> {
    let pattern = without_anchors(trim_ows(pattern)).0;
    if pattern.is_empty() || pattern == ANY {
        return Some(HostPattern::Any);
    }
    let hosts = alternatives(group(pattern).unwrap_or(pattern))?
        .map(literal)
        .collect::<Option<_>>()?;
    Some(HostPattern::Hosts(hosts))
}

/// Reads the pattern of a URI: `.*`, `/path`, `/path.*`, `/path$`. It needs no `^`: the beginning is meant.
pub(super) fn url(pattern: &[u8]) -> Option<UrlPattern> {
    let (pattern, is_whole) = without_anchors(trim_ows(pattern));
    let open = [b"(.*)", ANY]
        .into_iter()
        .find_map(|end| pattern.strip_suffix(end));
    if open.unwrap_or(pattern).is_empty() {
        return Some(UrlPattern::Any);
    }
    let text = literal(open.unwrap_or(pattern))?;
    if !text.starts_with(b"/") {
        return None;
    }
    Some(if is_whole && open.is_none() {
        UrlPattern::Is(text)
    } else {
        UrlPattern::Begins(text)
    })
}

/// Reads the pattern of proxy-cache-purge that means a URI with any arguments and with or without a slash at its end:
/// `^/path($|/$|\?.*|/\?.*)`. Gives the path, in which it escapes nothing.
pub(super) fn any_arguments(pattern: &[u8]) -> Option<&[u8]> {
    let path = pattern.strip_prefix(b"^")?;
    let path = path.strip_suffix(br"($|/$|\?.*|/\?.*)")?;
    let is_plain = !path.iter().any(|b| br"\^$*+?()[]{}|".contains(b));
    let is_path = path.is_empty() || path.starts_with(b"/");
    (is_plain && is_path).then_some(path)
}

/// Without `^` and `$`, and whether there was a `$`.
fn without_anchors(pattern: &[u8]) -> (&[u8], bool) {
    let pattern = pattern.strip_prefix(b"^").unwrap_or(pattern);
    match pattern.strip_suffix(b"$") {
        Some(rest) if !rest.ends_with(b"\\") => (rest, true),
        _ => (pattern, false),
    }
}

/// What a text without anything but escapes and dots means. A dot that isn't escaped is one: senders forget it. `None` for
/// anything else, and for nothing.
fn literal(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut rest = pattern.iter();
    while let Some(&byte) = rest.next() {
        text.push(match byte {
            b'\\' => *rest.next().filter(|b| !b.is_ascii_alphanumeric())?,
            _ if b"^$*+?()[]{}|".contains(&byte) => return None,
            _ => byte,
        });
    }
    (!text.is_empty()).then_some(text)
}

/// The parts between the `|` that aren't in parentheses. `None` if those don't match.
fn alternatives(pattern: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut bars = Vec::new();
    let depth = walk(pattern, |at, byte, depth| {
        if byte == b'|' && depth == 0 {
            bars.push(at);
        }
    })?;
    if depth != 0 {
        return None;
    }
    bars.push(pattern.len());
    let mut from = 0;
    Some(bars.into_iter().map(move |bar| {
        let part = pattern.get(from..bar).unwrap_or_default();
        from = bar + 1;
        part
    }))
}

/// What is in the parentheses, if the pattern is one pair of them.
fn group(pattern: &[u8]) -> Option<&[u8]> {
    let inner = pattern.strip_prefix(b"(")?.strip_suffix(b")")?;
    // "(a)(b)" closes before its end
    let depth = walk(inner, |_, _, _| {})?;
    (depth == 0 && !ends_in_escape(inner)).then_some(inner)
}

fn ends_in_escape(pattern: &[u8]) -> bool {
    let backslashes = pattern.iter().rev().take_while(|&&b| b == b'\\').count();
    backslashes % 2 == 1
}

/// Calls `see` with the place and the depth of each byte that isn't escaped. Gives the depth at the end; `None` if more
/// parentheses were closed than opened.
fn walk(pattern: &[u8], mut see: impl FnMut(usize, u8, usize)) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = pattern.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
                continue;
            }
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        see(at, byte, depth);
    }
    Some(depth)
}
