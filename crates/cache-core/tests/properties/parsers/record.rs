//! A record as anybody may have written it. The input: PTTL, status and meta in a line each, the length
//! of the body in another, then the headers.

use bytes::Bytes;
use cache_core::status_code::FINAL_STATUSES;
use cache_core::rules::Rules;
use cache_core::record::{self, RawRecord, Record, encode_headers};
use cache_core::units::MAX_SECONDS;

use super::cut;
use super::headers_json::all_ignored;

/// A record that is served can be sent as it stands, and is the same when it is stored again.
pub fn holds(input: &[u8]) {
    let (pttl, rest) = cut(input, b'\n');
    let (status, rest) = cut(rest, b'\n');
    let (meta, rest) = cut(rest, b'\n');
    let (length, headers) = cut(rest, b'\n');
    let field = |text: &[u8]| (text != b"-").then(|| Bytes::copy_from_slice(text));
    let body = usize::from(number(length).unsigned_abs() as u16);
    let raw = RawRecord {
        pttl: number(pttl),
        status: field(status),
        headers: field(headers),
        body: (length != b"-").then(|| Bytes::from(vec![b'x'; body])),
        meta: field(meta),
    };
    for rules in [Rules::default(), all_ignored()] {
        if let Ok(Some(record)) = record::decode_base(&raw.clone(), &rules) {
            can_be_sent(&record, &rules);
            comes_back(&record, &rules);
        }
    }
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(-1)
}

fn can_be_sent(record: &Record, rules: &Rules) {
    assert!(FINAL_STATUSES.contains(&record.status) && ![206, 304].contains(&record.status));
    assert_eq!(record.headers.check(), Ok(()));
    assert!(record.ttl_ms >= 0 && record.age <= MAX_SECONDS);
    for name in ["Connection", "Transfer-Encoding", "Trailer", "Upgrade", "Keep-Alive"] {
        assert!(!record.headers.contains(name), "{name}");
    }
    for length in record.headers.get_all("Content-Length") {
        assert_eq!(number(length), record.body.len() as i64);
    }
    assert!(rules.ignore.set_cookie || !record.headers.contains("Set-Cookie"));
}

fn comes_back(record: &Record, rules: &Rules) {
    let raw = |headers: Vec<u8>| RawRecord {
        pttl: record.ttl_ms,
        status: Some(record.status.to_string().into()),
        headers: Some(headers.into()),
        body: Some(record.body.clone()),
        meta: None,
    };
    let written = encode_headers(&record.headers);
    let again = record::decode_base(&raw(written.clone()), rules);
    let again = again.expect("readable").expect("a record");
    assert_eq!((again.status, &again.body), (record.status, &record.body));
    assert_eq!(encode_headers(&again.headers), written);
    assert_eq!(again.headers.len(), record.headers.len());
}
