//! The form in which URIs are compared: two that name the same resource have the same (RFC 3986 6.2.2).
//!
//! What nginx takes for the same by default is the same here: slashes are merged. A URI has its path and what follows "?".

use crate::hex;
use crate::uri::remove_dot_segments;

/// Longest URI that is told apart from others, in bytes of its normal form. What is behind counts for nothing.
pub const MAX_TARGET: usize = 2048;

/// The normal form of a URI in origin form. `None` if it has another form, as `*` has.
pub(super) fn target(text: &[u8]) -> Option<Vec<u8>> {
    let (path, query) = parts(text)?;
    let mut normal = normal_path(path);
    append_query(&mut normal, query);
    normal.truncate(MAX_TARGET);
    Some(normal)
}

/// A URI in origin form that has this decoded path and these arguments, as nginx's `$uri` and `$args`.
#[must_use]
pub fn target_of(path: &[u8], arguments: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(path.len() + arguments.len() + 1);
    for byte in path {
        // What would mean something else.
        if matches!(byte, b'%' | b'?' | b'#') {
            escape(&mut text, *byte);
        } else {
            text.push(*byte);
        }
    }
    if !arguments.is_empty() {
        text.push(b'?');
        text.extend_from_slice(arguments);
    }
    text
}

/// The normal form of what URIs begin with: a URI in normal form that begins with the text begins with this one, too.
/// `None` if no URI begins so.
pub(super) fn prefix(text: &[u8]) -> Option<Vec<u8>> {
    let (path, query) = parts(without_open_escape(text))?;
    let mut normal = if query.is_some() {
        normal_path(path)
    } else {
        open_path(path)
    };
    append_query(&mut normal, query);
    normal.truncate(MAX_TARGET);
    Some(normal)
}

/// What is before the arguments.
pub(super) fn path(text: &[u8]) -> &[u8] {
    text.split(|&b| b == b'?' || b == b'#')
        .next()
        .unwrap_or_default()
}

/// Path and query, without the fragment.
fn parts(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let text = text.split(|&b| b == b'#').next()?;
    let mut parts = text.splitn(2, |&b| b == b'?');
    let path = parts.next()?;
    path.starts_with(b"/").then(|| (path, parts.next()))
}

fn append_query(normal: &mut Vec<u8>, query: Option<&[u8]>) {
    if let Some(query) = query {
        normal.push(b'?');
        normal.extend_from_slice(&recode(query));
    }
}

fn normal_path(path: &[u8]) -> Vec<u8> {
    merge_slashes(&remove_dot_segments(&merge_slashes(&recode(path))))
}

/// A path that may go on: its last segment isn't known to be one of dots.
fn open_path(path: &[u8]) -> Vec<u8> {
    let path = recode(path);
    let behind = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    let (folder, name) = path.split_at(behind);
    let mut normal = normal_path(folder);
    normal.extend_from_slice(name);
    normal
}

/// Without an escape at the end that isn't whole: it could become any.
fn without_open_escape(text: &[u8]) -> &[u8] {
    match text {
        [head @ .., b'%'] | [head @ .., b'%', _] => head,
        _ => text,
    }
}

/// Escapes only what has to be, in one way.
fn recode(text: &[u8]) -> Vec<u8> {
    let mut recoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, behind @ ..]) if hex::decode([*high, *low]).is_some() => {
                rest = behind;
                let meant = hex::decode([*high, *low]).unwrap_or_default();
                if is_unreserved(meant) {
                    recoded.push(meant);
                } else {
                    escape(&mut recoded, meant);
                }
            }
            (b'%', _) => escape(&mut recoded, b'%'),
            _ if may_stand(byte) => recoded.push(byte),
            _ => escape(&mut recoded, byte),
        }
    }
    recoded
}

fn escape(text: &mut Vec<u8>, byte: u8) {
    text.push(b'%');
    text.extend_from_slice(&hex::upper(byte));
}

/// RFC 3986 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a path or query may have it as it is (RFC 3986 3.3, 3.4).
fn may_stand(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/?[]".contains(&byte)
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|a, b| *a == b'/' && *b == b'/');
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: Option<Vec<u8>>) -> Option<String> {
        text.map(|text| text.escape_ascii().to_string())
    }

    #[test]
    fn uris_that_are_the_same() {
        let cases: [(&str, &str); 16] = [
            ("/", "/"),
            ("/foo/bar", "/foo/bar"),
            ("/fo%6f/bar", "/foo/bar"),
            ("/fo%6F/bar", "/foo/bar"),
            ("/../foo/bar", "/foo/bar"),
            ("/x/%2e%2E/foo/./bar", "/foo/bar"),
            ("/a//b", "/a/b"),
            ("/a/..//b", "/b"),
            ("/a%2fb", "/a%2Fb"),
            ("/\u{e9} {", "/%C3%A9%20%7B"),
            ("/a?", "/a?"),
            ("/a?b=//../%2e&c", "/a?b=//../.&c"),
            ("/a#b?c", "/a"),
            ("/100%", "/100%25"),
            ("/%%34%31", "/%2541"),
            ("/%2541", "/%2541"),
        ];
        for (text, normal) in cases {
            assert_eq!(
                shown(target(text.as_bytes())).as_deref(),
                Some(normal),
                "{text}"
            );
            assert_eq!(
                target(normal.as_bytes()).as_deref(),
                Some(normal.as_bytes())
            );
        }
        for text in ["", "*", "a/b", "?a", "#", "http://a/"] {
            assert_eq!(target(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_uris_begin_with() {
        let cases: [(&str, &str); 15] = [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("//a//", "/a/"),
            // these may go on: "/a/..b"
            ("/a/.", "/a/."),
            ("/a/..", "/a/.."),
            ("/a/%2e", "/a/."),
            ("/a/../", "/"),
            ("/a/../.b", "/.b"),
            // these may not
            ("/a/..?b", "/?b"),
            // "%4" may become "%41", which is "A"
            ("/a%4", "/a"),
            ("/a%", "/a"),
            ("/a?b%e", "/a?b"),
            ("/a%41", "/aA"),
            ("/a%zz", "/a%25zz"),
        ];
        for (text, normal) in cases {
            assert_eq!(
                shown(prefix(text.as_bytes())).as_deref(),
                Some(normal),
                "{text}"
            );
        }
        for text in ["", "*", "a"] {
            assert_eq!(prefix(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = [b"/", "x".repeat(MAX_TARGET).as_bytes()].concat();
        assert_eq!(target(&long).map(|text| text.len()), Some(MAX_TARGET));
        assert_eq!(prefix(&long), target(&long));
    }
}
