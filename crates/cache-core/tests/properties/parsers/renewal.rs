//! A 304 and the record that it confirms. The input: header lines of the record, an empty line, those of
//! the 304.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::freshness::OriginDates;
use cache_core::policy::{RequestView, ResponseView, storable};
use cache_core::rules::Rules;
use cache_core::record::{self, New, RawRecord, Record, strip_for_storage};
use cache_core::renewal::{self, Confirmation, renew};

use super::headers;

const NOW: u64 = 1_800_000_000;
const BODY: &[u8] = b"body";

/// What a 304 makes of a record is a record again, with the content it had; or it is dropped.
pub fn holds(input: &[u8]) {
    let at = input.windows(2).position(|pair| pair == b"\n\n");
    let (old, new) = match at {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let rules = Rules::default();
    let Some(record) = stored(&headers(old), &rules) else {
        return;
    };
    let (new, dates) = (headers(new), OriginDates::default());
    let confirmation = Confirmation {
        headers: &new,
        unsent: &cache_core::record::Unsent::default(),
        dates: &dates,
        connection: &[],
        delay: 0,
    };
    let request = RequestView::default();
    let Some(renewed) = renew(&record, &confirmation, &request, &rules, NOW) else {
        return;
    };
    let now = &renewed.record;
    assert_eq!((now.status, &now.body), (record.status, &record.body));
    for name in ["Content-Length", "Content-Encoding", "Content-Range"] {
        let values = |record: &Record| -> Vec<Vec<u8>> {
            record.headers.get_all(name).map(<[u8]>::to_vec).collect()
        };
        assert_eq!(values(now), values(&record), "{name}");
    }
    let Ok(plan) = &renewed.plan else {
        return;
    };
    if now.headers.contains("Vary") {
        return; // which variant it is says the request
    }
    assert!(!now.headers.contains("Set-Cookie") && !now.headers.contains("Transfer-Encoding"));
    let meta = record.meta.as_ref().expect("written with one");
    let fields = renewal::encode(&renewed, meta, plan, "2-b".into());
    let raw = raw(b"200", fields.headers, fields.meta, plan.expiry);
    let again = record::decode_base(&raw, &rules).expect("readable");
    let again = again.expect("a record");
    assert_eq!((again.age, again.ttl_ms), (now.age, now.ttl_ms));
    assert_eq!(again.headers.len(), now.headers.len());
    assert_eq!(again.terms, now.terms);
    assert!(again.meta.as_ref().is_some_and(|meta| meta.generation == "2-b"));
}

/// The record of a response with these headers, if it is stored.
fn stored(headers: &Headers, rules: &Rules) -> Option<Rc<Record>> {
    let dates = OriginDates::default();
    let response = ResponseView {
        status: 200,
        headers,
        dates: &dates,
        content_length: None,
        accel_redirect: false,
        unbuffered: false,
        ignored: cache_core::ignore::Ignore::NONE,
        delay: 0,
    };
    let plan = storable(&RequestView::default(), &response, rules, NOW).ok()?;
    let kept = strip_for_storage(headers, &[]);
    let fields = record::encode(200, &kept, BODY.len() as u64, &plan, New::named("1-a".into()));
    let raw = raw(&fields.status, fields.headers, fields.meta, plan.expiry);
    record::decode_base(&raw, rules).ok()?
}

fn raw(status: &[u8], headers: Vec<u8>, meta: Vec<u8>, expiry: u32) -> RawRecord {
    RawRecord {
        pttl: i64::from(expiry) * 1000,
        status: Some(Bytes::copy_from_slice(status)),
        headers: Some(headers.into()),
        body: Some(Bytes::from_static(BODY)),
        meta: Some(meta.into()),
    }
}
