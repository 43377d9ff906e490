//! Records that aren't governed by Cache-Control, or of which some fields are withheld.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::freshness::OriginDates;
use cache_core::ignore::Ignore;
use cache_core::outcome::Reason;
use cache_core::policy::{RequestView, ResponseView, storable, withheld};
use cache_core::record::{Broken, New, RawRecord, Record, decode_base, encode, strip_for_storage};
use cache_core::rules::{Rules, SetCookie};

use crate::{headers, lines};

type Lines<'a> = &'a [(&'static str, &'static str)];

/// Stores a response and reads it again, each under its own rules.
fn through(sent: Lines<'_>, store: &Rules, read: &Rules) -> Result<Rc<Record>, Broken> {
    let headers = headers(sent);
    let dates = OriginDates::default();
    let view = ResponseView {
        status: 200,
        headers: &headers,
        dates: &dates,
        content_length: None,
        accel_redirect: false,
        unbuffered: false,
        ignored: cache_core::ignore::Ignore::NONE,
        delay: 0,
    };
    let plan = storable(&RequestView::default(), &view, store, 1_000_000).unwrap();
    let left_out = withheld(&headers, &plan, store);
    let stored = strip_for_storage(&headers, &left_out);
    let fields = encode(200, &stored, 0, &plan, New::named(Bytes::from_static(b"g")));
    let raw = RawRecord {
        pttl: i64::from(plan.expiry) * 1000,
        status: Some(Bytes::copy_from_slice(&fields.status)),
        headers: Some(fields.headers.into()),
        body: Some(Bytes::new()),
        meta: Some(fields.meta.into()),
    };
    decode_base(&raw, read).map(Option::unwrap)
}

#[test]
fn accel_expires_is_remembered_whether_it_is_stored_or_not() {
    let rules = Rules::default();
    let sent = [
        ("X-Accel-Expires", "60"),
        ("Cache-Control", "private, no-store"),
        ("X-A", "b"),
    ];
    let record = through(&sent, &rules, &rules).unwrap();
    let wanted: [(&[u8], &[u8]); 3] = [
        (b"X-Accel-Expires", b"60"),
        (b"Cache-Control", b"private, no-store"),
        (b"X-A", b"b"),
    ];
    assert_eq!(lines(&record.headers), wanted, "proxy_pass_header");
    assert_eq!(record.ttl_ms, 160_000);
}

#[test]
fn a_targeted_field_is_stored_and_governs_the_record_too() {
    let sent = [
        ("CDN-Cache-Control", "max-age=60"),
        ("Cache-Control", "no-store"),
    ];
    let rules = Rules::default();
    let record = through(&sent, &rules, &rules).unwrap();
    assert_eq!(lines(&record.headers).len(), 2, "RFC 9213 2.2: passed on");
    // Once the operator ignores the field its record is none any more.
    let ignoring = Rules {
        ignore: Ignore::named(b"CDN-Cache-Control").unwrap(),
        ..Rules::default()
    };
    let refused = through(&sent, &rules, &ignoring);
    assert_eq!(refused, Err(Broken::Refused(Reason::NoStore)));
}

#[test]
fn withheld_fields_arent_stored() {
    let rules = Rules::default();
    let sent = [
        (
            "Cache-Control",
            "private=\"X-Who, set-cookie\", no-cache=X-When",
        ),
        ("X-Who", "you"),
        ("x-when", "now"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-A", "1"),
        ("X-A", "2"),
    ];
    let record = through(&sent, &rules, &rules).unwrap();
    let wanted: [(&[u8], &[u8]); 3] = [
        (
            b"Cache-Control",
            b"private=\"X-Who, set-cookie\", no-cache=X-When",
        ),
        (b"X-A", b"1"),
        (b"X-A", b"2"),
    ];
    assert_eq!(lines(&record.headers), wanted, "9111 5.2.2.4, 5.2.2.7");
}

#[test]
fn withheld_fields_of_the_lua_script_arent_served() {
    let json = r#"{"Cache-Control":"private=\"X-Who, Set-Cookie\"","X-Who":"you","Set-Cookie":"a=1","X-A":"1"}"#;
    let record = crate::read(json).unwrap();
    let names: Vec<_> = record.headers.iter().map(|h| h.name.as_ref()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(record.headers.contains("X-A") && record.headers.contains("Cache-Control"));
}

#[test]
fn cookies_are_the_operators_choice_each_time() {
    let public = Rules {
        set_cookie: SetCookie::Public,
        ..Rules::default()
    };
    let sent = [("Cache-Control", "public"), ("Set-Cookie", "a=1")];
    let record = through(&sent, &public, &public).unwrap();
    assert_eq!(record.headers.get("Set-Cookie"), Some(&b"a=1"[..]));
    assert_eq!(
        through(&sent, &public, &Rules::default()),
        Err(Broken::Refused(Reason::SetCookie))
    );
}
