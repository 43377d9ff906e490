//! Storing a response. The input: status and Date in a line each, a line of the backend's Expires where
//! nginx hides it, then header lines.

use bytes::Bytes;
use cache_core::freshness::OriginDates;
use cache_core::policy::{RequestView, ResponseView, storable, withheld};
use cache_core::rules::{Rules, StatusList};
use cache_core::record::{self, New, RawRecord, ReadFrom, Tie, strip_for_storage};
use cache_core::units::MAX_SECONDS;
use cache_core::vary::{self, VariantId};

use super::{cut, headers};

const NOW: u64 = 1_800_000_000;

/// Whatever is stored is within bounds, and is read as a record under the same rules.
pub fn holds(input: &[u8]) {
    let (status, rest) = cut(input, b'\n');
    let (date, rest) = cut(rest, b'\n');
    let (expires, rest) = cut(rest, b'\n');
    let field = |text: &[u8]| (!text.is_empty()).then(|| Bytes::copy_from_slice(text));
    let headers = headers(rest);
    let dates = OriginDates {
        date: field(date),
        expires: field(expires),
        accel_expires: None,
    };
    let response = ResponseView {
        status: status.iter().fold(0, |value: u16, &digit| {
            value.wrapping_mul(10).wrapping_add(u16::from(digit & 15))
        }),
        headers: &headers,
        dates: &dates,
        content_length: None,
        delay: 0,
        accel_redirect: false,
        unbuffered: false,
        ignored: cache_core::ignore::Ignore::NONE,
    };
    let rules = Rules {
        statuses: StatusList::parse(b"any").expect("a list"),
        ..Rules::default()
    };
    let Ok(plan) = storable(&RequestView::default(), &response, &rules, NOW) else {
        return;
    };
    assert!((1..=MAX_SECONDS).contains(&plan.expiry));
    assert!(plan.fresh_for <= plan.expiry && plan.age <= MAX_SECONDS);
    assert!(plan.expiry - plan.fresh_for <= rules.stale);

    let left_out: Vec<Bytes> = headers
        .get_all("Connection")
        .map(Bytes::copy_from_slice)
        .chain(withheld(&headers, &plan, &rules))
        .collect();
    let kept = strip_for_storage(&headers, &left_out);
    if kept.contains("Content-Length") {
        return; // of which the body says whether it is true
    }
    // A response that varies is stored as a variant of its key.
    let id = VariantId([0; 16]);
    let on = vary::parse(kept.get_all("Vary")).expect("names that can be matched");
    let tie = (!on.is_empty()).then(|| Tie {
        family: "f".into(),
        id,
        slot: 0,
    });
    let new = New { tie, ..New::named("1-a".into()) };
    let fields = record::encode(response.status, &kept, 4, &plan, new);
    let raw = RawRecord {
        pttl: i64::from(plan.expiry) * 1000,
        status: Some(Bytes::copy_from_slice(&fields.status)),
        headers: Some(fields.headers.into()),
        body: Some("body".into()),
        meta: Some(fields.meta.into()),
    };
    let read = record::decode(&raw, &rules);
    let read = read.expect("readable").expect("a record");
    let read = read.for_request(ReadFrom::Base, &|_| Some(id));
    let read = read.expect("a record for who asks for this variant");
    assert_eq!((read.status, read.headers.len()), (response.status, kept.len()));
    assert_eq!(read.age, plan.age);
    assert_eq!(read.is_fresh(rules.stale), plan.fresh_for > 0);
}
