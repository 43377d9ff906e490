//! Header lines in a record and back. The input is header lines.

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::rules::Rules;
use cache_core::record::{self, RawRecord, encode_headers, strip_for_storage};

use super::headers;

/// Headers that can be sent come back from a record unchanged, lines of one name together; others don't.
pub fn holds(input: &[u8]) {
    let lines = strip_for_storage(&headers(input), &[]);
    let json = Bytes::from(encode_headers(&lines));
    let read = record::decode_base(&raw(&json), &all_ignored());
    if lines.check().is_err() {
        assert!(read.is_err(), "{json:?}");
        return;
    }
    if lines.contains("Content-Length") {
        return; // may differ from the body's
    }
    let read = &read.expect("readable").expect("a record").headers;
    assert_eq!(grouped(read), grouped(&lines), "{json:?}");
    // now that lines of one name are together, nothing moves any more
    let again = Bytes::from(encode_headers(read));
    assert_eq!(again, json);
}

fn raw(headers: &Bytes) -> RawRecord {
    RawRecord {
        pttl: 1000,
        status: Some("200".into()),
        headers: Some(headers.clone()),
        body: Some(Bytes::new()),
        ..RawRecord::default()
    }
}

/// Rules under which headers alone never make a record a miss.
pub fn all_ignored() -> Rules {
    let names = ["Cache-Control", "Expires", "Set-Cookie", "Vary", "Authorization"];
    let ignore = names
        .iter()
        .filter_map(|name| Ignore::named(name.as_bytes()))
        .fold(Ignore::NONE, |all, one| all | one);
    Rules {
        ignore,
        ..Rules::default()
    }
}

/// Name in lower case and values in order, by first appearance.
fn grouped(headers: &Headers) -> Vec<(Vec<u8>, Vec<Bytes>)> {
    let mut groups: Vec<(Vec<u8>, Vec<Bytes>)> = Vec::new();
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(header.value.clone()),
            None => groups.push((name, vec![header.value.clone()])),
        }
    }
    groups
}
