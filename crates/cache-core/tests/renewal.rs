//! Validation: what the backend is asked by, and what its 304 makes of a record (RFC 9111 4.3), as tables, each row with
//! its section.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::rc::Rc;

use bytes::Bytes;
use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::outcome::Reason;
use cache_core::policy::{RequestView, ResponseView, storable};
use cache_core::record::{New, RawRecord, Record, decode_base, encode, strip_for_storage};
use cache_core::renewal::{self, Confirmation, Renewed, Validators, renew};
use cache_core::rules::Rules;
use cache_core::slices::Sliced;
use cache_core::token::Token;

type Lines<'a> = &'a [(&'static str, &'static str)];

const NOW: u64 = 1_800_000_000;
const BODY: &str = "the body\n";

fn headers(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

fn raw(headers: Vec<u8>, meta: Option<Vec<u8>>, expiry: u32) -> RawRecord {
    RawRecord {
        pttl: i64::from(expiry) * 1000,
        status: Some("200".into()),
        headers: Some(headers.into()),
        body: Some(BODY.into()),
        meta: meta.map(Bytes::from),
    }
}

/// A record of this module.
fn stored(lines: Lines<'_>, rules: &Rules) -> Rc<Record> {
    let sent = headers(lines);
    let view = ResponseView {
        status: 200,
        headers: &sent,
        dates: &OriginDates::default(),
        content_length: None,
        accel_redirect: false,
        unbuffered: false,
        ignored: cache_core::ignore::Ignore::NONE,
        delay: 0,
    };
    let plan = storable(&RequestView::default(), &view, rules, NOW).unwrap();
    let kept = strip_for_storage(&sent, &[]);
    let fields = encode(
        200,
        &kept,
        BODY.len() as u64,
        &plan,
        New::named("g1".into()),
    );
    let raw = raw(fields.headers, Some(fields.meta), plan.expiry);
    decode_base(&raw, rules).unwrap().unwrap()
}

fn confirm(record: &Record, lines: Lines<'_>, connection: &[Bytes]) -> Option<Renewed> {
    let sent = headers(lines);
    let confirmation = Confirmation {
        headers: &sent,
        unsent: &cache_core::record::Unsent::default(),
        dates: &OriginDates::default(),
        connection,
        delay: 0,
    };
    renew(
        record,
        &confirmation,
        &RequestView::default(),
        &Rules::default(),
        NOW,
    )
}

#[test]
#[rustfmt::skip]
fn what_the_backend_is_asked_by() {
    // (section, the record, If-None-Match, If-Modified-Since)
    const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    let cases: &[(&str, Lines<'_>, Option<&str>, Option<&str>)] = &[
        ("9111 4.3.1 a strong tag", &[("ETag", "\"one\"")], Some("\"one\""), None),
        ("9111 4.3.1 a weak tag", &[("ETag", "W/\"one\"")], Some("W/\"one\""), None),
        ("9111 4.3.1 a date", &[("Last-Modified", DATE)], None, Some(DATE)),
        ("9111 4.3.1 both", &[("ETag", "\"one\""), ("Last-Modified", DATE)], Some("\"one\""), Some(DATE)),
        ("9111 4.3.1 neither", &[("X-A", "b")], None, None),
        ("9110 8.8.3 an empty tag is none", &[("ETag", "")], None, None),
        ("9110 8.8.2 an empty date is none", &[("Last-Modified", "")], None, None),
        ("9110 5.3 two tags: nobody knows which", &[("ETag", "\"one\""), ("ETag", "\"two\"")], None, None),
        ("9110 5.3 two tags, but one date", &[("ETag", "\"one\""), ("ETag", "\"two\""), ("Last-Modified", DATE)], None, Some(DATE)),
        ("9110 8.8.3 as the backend wrote it, quoted or not", &[("ETag", "one")], Some("one"), None),
        ("9110 8.8.2 as the backend wrote it", &[("Last-Modified", "yesterday")], None, Some("yesterday")),
    ];
    for (section, lines, tag, date) in cases {
        let asked = Validators::of(&stored(lines, &Rules::default())).unwrap_or_default();
        assert_eq!(asked.etag.as_deref(), tag.map(str::as_bytes), "{section}");
        assert_eq!(asked.last_modified.as_deref(), date.map(str::as_bytes), "{section}");
    }
}

/// RFC 9110 15.4.5: a 304 says that the answer would have been a 200.
#[test]
fn what_a_304_cannot_speak_of_is_asked_for_without_conditions() {
    let rules = Rules::default();
    let ok = stored(&[("ETag", "\"one\"")], &rules);
    for (status, asked) in [
        (200, true),
        (203, true),
        (204, false),
        (301, false),
        (404, false),
    ] {
        let record = Record {
            status,
            ..(*ok).clone()
        };
        assert_eq!(Validators::of(&record).is_some(), asked, "{status}");
    }
}

#[test]
fn a_record_of_the_lua_script_cant_be_renewed_safely() {
    let raw = raw(br#"{"ETag":"\"one\""}"#.to_vec(), None, 100);
    let record = decode_base(&raw, &Rules::default()).unwrap().unwrap();
    assert_eq!(Validators::of(&record), None);
}

#[test]
#[rustfmt::skip]
fn which_record_a_304_speaks_of() {
    const OLD: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    const NEW: &str = "Fri, 02 Jan 2026 00:00:00 GMT";
    // (section, the record, the 304, whether it confirms the record)
    let cases: &[(&str, Lines<'_>, Lines<'_>, bool)] = &[
        ("9111 4.3.4 the same strong tag", &[("ETag", "\"one\"")], &[("ETag", "\"one\"")], true),
        ("9111 4.3.4 another strong tag", &[("ETag", "\"one\"")], &[("ETag", "\"two\"")], false),
        ("9111 4.3.4 the same weak tag", &[("ETag", "W/\"one\"")], &[("ETag", "W/\"one\"")], true),
        ("9111 4.3.4 another weak tag", &[("ETag", "W/\"one\"")], &[("ETag", "W/\"two\"")], false),
        ("9110 8.8.3.2 weakened on the way", &[("ETag", "\"one\"")], &[("ETag", "W/\"one\"")], true),
        ("9110 8.8.3.2 weakened on the way the first time", &[("ETag", "W/\"one\"")], &[("ETag", "\"one\"")], true),
        ("9110 8.8.3.2 case counts", &[("ETag", "\"one\"")], &[("ETag", "\"One\"")], false),
        ("9111 4.3.4 the tag decides, whatever the dates", &[("ETag", "\"one\""), ("Last-Modified", OLD)], &[("ETag", "\"one\""), ("Last-Modified", NEW)], true),
        ("9111 4.3.4 nor do equal dates help", &[("ETag", "\"one\""), ("Last-Modified", OLD)], &[("ETag", "\"two\""), ("Last-Modified", OLD)], false),
        ("9111 4.3.4 the same date", &[("Last-Modified", OLD)], &[("Last-Modified", OLD)], true),
        ("9111 4.3.4 another date", &[("Last-Modified", OLD)], &[("Last-Modified", NEW)], false),
        ("9111 4.3.4 no tag in the 304: by date", &[("ETag", "\"one\""), ("Last-Modified", OLD)], &[("Last-Modified", NEW)], false),
        ("9111 4.3.4 no validator in the 304: of what it was asked about", &[("ETag", "\"one\"")], &[], true),
        ("9111 4.3.4 no validator in the 304, by date", &[("Last-Modified", OLD)], &[("X-A", "b")], true),
        ("9111 4.3.4 a date only in the 304", &[("ETag", "\"one\"")], &[("Last-Modified", NEW)], true),
    ];
    for (section, record, confirming, confirms) in cases {
        let record = stored(record, &Rules::default());
        assert_eq!(confirm(&record, confirming, &[]).is_some(), *confirms, "{section}");
    }
}

#[test]
#[rustfmt::skip]
fn what_a_304_makes_of_the_header() {
    // (section, the record beside its ETag, the 304, what the record has then)
    let cases: &[(&str, Lines<'_>, Lines<'_>, Lines<'_>)] = &[
        ("9111 3.2 what it doesn't carry stays", &[("X-A", "1"), ("X-B", "2")], &[], &[("X-A", "1"), ("X-B", "2")]),
        ("9111 3.2 what it carries is replaced", &[("X-A", "1"), ("X-B", "2")], &[("X-A", "3")], &[("X-B", "2"), ("X-A", "3")]),
        ("9111 3.2 what is new is added", &[("X-A", "1")], &[("X-B", "2")], &[("X-A", "1"), ("X-B", "2")]),
        ("9110 5.1 names have no case", &[("X-A", "1")], &[("x-a", "2")], &[("x-a", "2")]),
        ("9110 5.3 all lines of a name go, all come, in order", &[("X-A", "1"), ("X-A", "2")], &[("X-A", "3"), ("X-B", "x"), ("X-A", "4")], &[("X-A", "3"), ("X-B", "x"), ("X-A", "4")]),
        ("9111 3.2 an empty value is one", &[("X-A", "1")], &[("X-A", "")], &[("X-A", "")]),
        ("9111 3.2 Content-Length stays", &[("Content-Length", "9")], &[("Content-Length", "0")], &[("Content-Length", "9")]),
        ("9111 3.2 Content-Length isn't added", &[], &[("Content-Length", "5")], &[]),
        ("9111 3.2 Content-Encoding stays", &[("Content-Encoding", "gzip")], &[("Content-Encoding", "br")], &[("Content-Encoding", "gzip")]),
        ("9111 3.2 Content-Encoding isn't added", &[], &[("Content-Encoding", "gzip")], &[]),
        ("9111 3.2 Content-Range isn't added", &[], &[("Content-Range", "bytes 0-1/9")], &[]),
        ("9111 3.2 Content-Type is replaced", &[("Content-Type", "text/plain")], &[("Content-Type", "text/css")], &[("Content-Type", "text/css")]),
        ("9111 3.1 what is of one connection isn't stored", &[("X-A", "1")], &[("Connection", "close"), ("Keep-Alive", "timeout=5"), ("Transfer-Encoding", "chunked"), ("Proxy-Connection", "close")], &[("X-A", "1")]),
        ("9111 3.1 nor what is for this proxy", &[], &[("Proxy-Authenticate", "Basic"), ("Proxy-Authentication-Info", "x")], &[]),
        ("9111 5.1 Age counts, but isn't kept", &[], &[("Age", "5")], &[]),
        ("9111 5.2 Cache-Control", &[("Cache-Control", "max-age=5")], &[("Cache-Control", "max-age=7")], &[("Cache-Control", "max-age=7")]),
        ("9111 5.3 Expires", &[("Expires", "0")], &[("Expires", "Tue, 19 Jan 2038 03:14:07 GMT")], &[("Expires", "Tue, 19 Jan 2038 03:14:07 GMT")]),
        ("9213 2.2 CDN-Cache-Control", &[("CDN-Cache-Control", "max-age=5")], &[("CDN-Cache-Control", "max-age=7")], &[("CDN-Cache-Control", "max-age=7")]),
        ("9211 2 what caches behind this one say", &[("Cache-Status", "a; hit")], &[("Cache-Status", "a; fwd=stale")], &[("Cache-Status", "a; fwd=stale")]),
        ("9111 5.2.2.7 a field for one client isn't added", &[], &[("Cache-Control", "private=\"X-You\""), ("X-You", "1")], &[("Cache-Control", "private=\"X-You\"")]),
        ("9111 5.2.2.4 nor one to be validated", &[], &[("Cache-Control", "no-cache=\"X-You\""), ("X-You", "1")], &[("Cache-Control", "no-cache=\"X-You\"")]),
        ("9111 5.2.2.7 one that becomes so goes", &[("X-You", "1")], &[("Cache-Control", "private=\"X-You\"")], &[("Cache-Control", "private=\"X-You\"")]),
        ("9111 5.2.2.7 nor does a cookie that is said to be private come", &[], &[("Cache-Control", "private=\"Set-Cookie\""), ("Set-Cookie", "a=1")], &[("Cache-Control", "private=\"Set-Cookie\"")]),
    ];
    let tag: [(&str, &str); 1] = [("ETag", "\"one\"")];
    for (section, record, confirming, wanted) in cases {
        let record = stored(&[&tag, *record].concat(), &Rules::default());
        let renewed = confirm(&record, confirming, &[]).unwrap();
        assert_eq!(*renewed.record.headers, headers(&[&tag, *wanted].concat()), "{section}");
        assert_eq!((renewed.record.status, renewed.record.body.as_ref()), (200, BODY.as_bytes()), "{section}");
    }
}

#[test]
fn a_field_that_the_connection_of_a_304_names_isnt_stored() {
    let record = stored(&[("ETag", "\"one\""), ("X-A", "1")], &Rules::default());
    let confirming: Lines<'_> = &[("X-A", "2"), ("X-B", "3")];
    let renewed = confirm(&record, confirming, &["x-b".into(), "X-A".into()]).unwrap();
    let wanted = headers(&[("ETag", "\"one\""), ("X-A", "1")]);
    assert_eq!(*renewed.record.headers, wanted, "9111 3.1");
}

/// RFC 9110 8.8.3.3: a strong tag names bytes. Those of a record whose tag is weak aren't known to be the ones
/// that a 304's strong tag names: a server that compresses weakens the tag of what it compresses, not that of a 304.
#[test]
#[rustfmt::skip]
fn a_tag_never_grows_stronger_than_the_body_that_it_came_with() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("9110 8.8.1 strong, confirmed strongly", "\"one\"", "\"one\"", "\"one\""),
        ("9110 8.8.1 weak, confirmed weakly", "W/\"one\"", "W/\"one\"", "W/\"one\""),
        ("9110 8.8.1 weak, confirmed strongly", "W/\"one\"", "\"one\"", "W/\"one\""),
        ("9110 8.8.1 strong, confirmed weakly", "\"one\"", "W/\"one\"", "W/\"one\""),
    ];
    for (section, tag, confirmed, wanted) in cases {
        let record = stored(&[("ETag", tag)], &Rules::default());
        let renewed = confirm(&record, &[("ETag", confirmed)], &[]).unwrap();
        let tags: Vec<_> = renewed.record.headers.get_all("ETag").collect();
        assert_eq!(tags, [wanted.as_bytes()], "{section}");
    }
}

/// RFC 9111 3.4: by its strong tag the slices of an object are told from those of others. A weak one in a 304 leaves it.
#[test]
fn the_tag_of_a_head_stays() {
    for (tag, confirmed, wanted) in [
        ("\"one\"", "W/\"one\"", "\"one\""),
        ("\"one\"", "\"one\"", "\"one\""),
    ] {
        let mut record = Record::clone(&stored(&[("ETag", tag)], &Rules::default()));
        let meta = record.meta.as_mut().map(Rc::make_mut).unwrap();
        meta.slices = Sliced::new(65_536, 200_000, Token::new(7));
        let renewed = confirm(&record, &[("ETag", confirmed)], &[]).unwrap();
        let tags: Vec<_> = renewed.record.headers.get_all("ETag").collect();
        assert_eq!(tags, [wanted.as_bytes()], "{confirmed}");
    }
}

#[test]
#[rustfmt::skip]
fn how_long_it_is_kept_from_now_on() {
    // (section, the record, the 304, age, fresh for, expiry), or why it must go
    type Wanted = Result<(u32, u32, u32), Reason>;
    let cases: &[(&str, Lines<'_>, Lines<'_>, Wanted)] = &[
        ("9111 4.3.4 the lifetime begins anew", &[("Cache-Control", "max-age=50")], &[], Ok((0, 50, 150))),
        ("9111 4.3.4 another lifetime", &[("Cache-Control", "max-age=50")], &[("Cache-Control", "max-age=70")], Ok((0, 70, 170))),
        ("9111 4.3.4 the default", &[], &[], Ok((0, 120, 220))),
        ("9111 4.2.3 its age counts", &[("Cache-Control", "max-age=50")], &[("Age", "20")], Ok((20, 30, 130))),
        ("9111 4.2 older than it may be: stale at once", &[("Cache-Control", "max-age=50")], &[("Age", "70")], Ok((70, 0, 100))),
        ("9111 5.3 Expires that stays the same runs out", &[("Expires", "Fri, 15 Jan 2027 08:00:10 GMT")], &[("Date", "Fri, 15 Jan 2027 08:00:00 GMT")], Ok((0, 10, 110))),
        ("9111 5.2.2.4 no-cache from now on", &[("Cache-Control", "max-age=50")], &[("Cache-Control", "no-cache")], Ok((0, 0, 100))),
        ("9111 5.2.2.4 no-cache no more", &[("Cache-Control", "no-cache")], &[("Cache-Control", "max-age=50")], Ok((0, 50, 150))),
        ("9111 5.2.2.5 no-store from now on", &[("Cache-Control", "max-age=50")], &[("Cache-Control", "no-store")], Err(Reason::NoStore)),
        ("9111 5.2.2.7 private from now on", &[("Cache-Control", "max-age=50")], &[("Cache-Control", "private")], Err(Reason::Private)),
        ("9111 7.3 a cookie", &[("Cache-Control", "max-age=50")], &[("Set-Cookie", "a=1")], Err(Reason::SetCookie)),
        ("9111 4.1 Vary: *", &[("Cache-Control", "max-age=50")], &[("Vary", "*")], Err(Reason::Vary)),
        ("9213 2.2 the targeted field", &[("Cache-Control", "max-age=50")], &[("CDN-Cache-Control", "max-age=70")], Ok((0, 70, 170))),
    ];
    let tag: [(&str, &str); 1] = [("ETag", "\"one\"")];
    for (section, record, confirming, wanted) in cases {
        let record = stored(&[&tag, *record].concat(), &Rules::default());
        let renewed = confirm(&record, confirming, &[]).unwrap();
        let plan = renewed.plan.as_ref().map(|plan| (plan.age, plan.fresh_for, plan.expiry));
        assert_eq!(plan.map_err(|reason| *reason), *wanted, "{section}");
        if let Ok((age, _, expiry)) = *wanted {
            assert_eq!((renewed.record.age, renewed.record.ttl_ms), (age, i64::from(expiry) * 1000), "{section}");
        }
    }
}

#[test]
fn what_is_written_is_read_as_another_write_of_the_same_body() {
    let rules = Rules::default();
    let record = stored(
        &[("ETag", "\"one\""), ("Cache-Control", "max-age=50")],
        &rules,
    );
    let confirming: Lines<'_> = &[
        ("Cache-Control", "max-age=70, must-revalidate"),
        ("Age", "9"),
    ];
    let renewed = confirm(&record, confirming, &[]).unwrap();
    let (meta, plan) = (
        record.meta.as_ref().unwrap(),
        renewed.plan.as_ref().unwrap(),
    );
    let fields = renewal::encode(&renewed, meta, plan, "g2".into());
    let raw = raw(fields.headers, Some(fields.meta), plan.expiry);
    let again = decode_base(&raw, &rules).unwrap().unwrap();
    assert_eq!((again.age, again.ttl_ms), (9, 161_000));
    assert_eq!(again.headers, renewed.record.headers);
    assert_eq!(again.terms, renewed.record.terms);
    assert_eq!(again.meta.as_ref().unwrap().generation, "g2");
}

/// RFC 9111 4.2.3: a 304 that took its time is as old as that, and as its Date says.
#[test]
fn the_age_of_a_304_counts() {
    let record = stored(
        &[("ETag", "\"one\""), ("Cache-Control", "max-age=50")],
        &Rules::default(),
    );
    // NOW is Fri, 15 Jan 2027 08:00:00 GMT.
    for (date, age, delay, wanted) in [
        ("Fri, 15 Jan 2027 08:00:00 GMT", "0", 0, (0, 50)),
        ("Fri, 15 Jan 2027 08:00:00 GMT", "0", 3, (3, 47)),
        ("Fri, 15 Jan 2027 07:59:40 GMT", "0", 3, (20, 30)),
        ("Fri, 15 Jan 2027 07:59:40 GMT", "30", 3, (33, 17)),
        ("Fri, 15 Jan 2027 08:01:00 GMT", "x", 0, (0, 50)),
        ("Fri, 15 Jan 2027 07:00:00 GMT", "0", 0, (3600, 0)),
    ] {
        let confirmation = Confirmation {
            headers: &headers(&[("Age", age)]),
            unsent: &cache_core::record::Unsent::default(),
            dates: &OriginDates {
                date: Some(date.into()),
                ..OriginDates::default()
            },
            connection: &[],
            delay,
        };
        let request = RequestView::default();
        let renewed = renew(&record, &confirmation, &request, &Rules::default(), NOW).unwrap();
        let plan = renewed.plan.unwrap();
        assert_eq!(
            (plan.age, plan.fresh_for),
            wanted,
            "{date}, Age {age}, {delay} s"
        );
        assert_eq!(renewed.record.age, wanted.0);
    }
}
