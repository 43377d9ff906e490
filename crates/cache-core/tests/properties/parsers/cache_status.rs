//! What Cache-Status says of a key and a name that anybody may have chosen. The input: the name, the key, more.

use cache_core::cache_status_field::{CacheName, Forward, Member};

use super::{cut, lines, shown};

/// One member of a list (RFC 8941 3.1), whatever bytes are in it.
pub fn holds(input: &[u8]) {
    let (name, rest) = cut(input, b'\n');
    let (key, detail) = cut(rest, b'\n');
    let Some(name) = CacheName::new(name) else {
        assert!(name.is_empty() || name.iter().any(|b| !matches!(b, b' '..=b'~')));
        return;
    };
    let detail = String::from_utf8_lossy(detail);
    let member = Member {
        own: false,
        forward: (key.len() % 2 == 0).then_some(Forward::Stale),
        forward_status: Some(key.len() as u16),
        ttl: Some(i64::MIN + key.len() as i64),
        stored: true,
        collapsed: Some(detail.is_empty()),
        key: Some(key),
        detail: Some(&detail),
    };
    let value = member.value(&name);
    assert!(value.iter().all(|b| matches!(b, b' '..=b'~')), "{}", shown(&value));
    let outside = outside_of_strings(&value);
    assert!(!outside.contains(&b','), "one member: {}", shown(&value));
    let parameters = outside.iter().filter(|&&b| b == b';').count();
    let wanted = if member.forward.is_some() { 7 } else { 4 };
    assert_eq!(parameters, wanted, "{}", shown(&value));
    assert_eq!(lines(&value).count(), 1);
}

/// The text without its strings, all of which end.
fn outside_of_strings(value: &[u8]) -> Vec<u8> {
    let mut outside = Vec::new();
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'"' {
            outside.push(byte);
            continue;
        }
        loop {
            match bytes.next().expect("the string ends") {
                b'\\' => assert!(matches!(bytes.next(), Some(b'"' | b'\\'))),
                b'"' => break,
                _ => {}
            }
        }
    }
    outside
}
