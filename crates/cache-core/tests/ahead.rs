//! When a fresh record is refilled before it goes stale: `redis_cache_refresh_ahead`, as tables.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::record::{Meta, Record};
use cache_core::request_directives::RequestDirectives;
use cache_core::rules::{Ahead, Rules};
use cache_core::terms::Terms;
use cache_core::usable::{Use, judge, judge_for};
use cache_core::use_stale::UseStale;

const STALE: u32 = 100;

/// A record that came with an age of `initial` seconds and has been here for `passed` milliseconds of `whole`.
fn record(initial: u32, passed: i64, whole: i64) -> Record {
    let terms = Terms::default();
    Record {
        status: 200,
        headers: Headers::new().into(),
        body: Bytes::new(),
        ttl_ms: whole - passed + i64::from(STALE) * 1000,
        age: initial + u32::try_from(passed / 1000).unwrap_or(0),
        terms,
        meta: Some(Rc::new(Meta {
            age: initial,
            expiry: u32::try_from(whole / 1000).unwrap_or(0) + STALE,
            ..Meta::default()
        })),
        stored_headers: Bytes::new(),
    }
}

fn rules(ahead: Option<Ahead>) -> Rules {
    Rules {
        stale: STALE,
        ahead,
        ..Rules::default()
    }
}

#[test]
#[rustfmt::skip]
fn a_record_is_due_at_the_end_of_its_time() {
    let share = |percent| Some(Ahead::Share(percent));
    let time = |millis| Some(Ahead::Time(millis));
    // (directive, initial age in s, milliseconds that have passed, of so many, due)
    let cases = [
        (None, 0, 9_999, 10_000, false),
        (share(20), 0, 0, 10_000, false),
        (share(20), 0, 8_000, 10_000, false),
        (share(20), 0, 8_001, 10_000, true),
        (share(20), 0, 9_999, 10_000, true),
        // Less than a second counts, too.
        (share(50), 0, 500, 1_000, false),
        (share(50), 0, 501, 1_000, true),
        (share(1), 0, 989, 1_000, false),
        (share(1), 0, 991, 1_000, true),
        (share(99), 0, 50, 10_000, false),
        (share(99), 0, 150, 10_000, true),
        // The time that it has spent elsewhere doesn't count.
        (share(20), 3_000, 7_999, 10_000, false),
        (share(20), 3_000, 8_001, 10_000, true),
        (time(3_000), 0, 7_000, 10_000, false),
        (time(3_000), 0, 7_001, 10_000, true),
        // Not before half of the time.
        (time(30_000), 0, 5_000, 10_000, false),
        (time(30_000), 0, 5_001, 10_000, true),
    ];
    for (ahead, initial, passed, whole, due) in cases {
        let found = judge(&record(initial, passed, whole), &rules(ahead));
        assert_eq!(
            matches!(found, Use::Ahead(_)), due,
            "{ahead:?}, {initial} s, {passed} of {whole} ms: {found:?}"
        );
        assert!(found.is_fresh());
    }
}

#[test]
fn a_record_that_is_not_fresh_is_not_due() {
    let rules = rules(Some(Ahead::Share(50)));
    let found = judge(&record(0, 10_000, 10_000), &rules);
    assert!(matches!(found, Use::Stale(_)), "{found:?}");
    let mut validated = record(0, 9_000, 10_000);
    validated.terms.always_validate = true;
    assert_eq!(judge(&validated, &rules), Use::Validate(UseStale::NONE));
}

#[test]
fn what_the_client_does_not_want_is_not_served() {
    let rules = rules(Some(Ahead::Share(50)));
    let asks = RequestDirectives {
        max_age: Some(0),
        ..RequestDirectives::default()
    };
    let found = judge_for(&record(0, 9_000, 10_000), &rules, &asks);
    assert_eq!(found, Use::Validate(UseStale::NONE));
}

#[test]
fn shares_are_read() {
    let cases = [
        ("1%", Some(1)),
        ("20%", Some(20)),
        ("99%", Some(99)),
        ("0%", None),
        ("100%", None),
        ("256%", None),
        ("+5%", None),
        ("5.5%", None),
        ("%", None),
        ("20", None),
        ("20s", None),
        ("", None),
    ];
    for (text, percent) in cases {
        let share = Ahead::share(text.as_bytes());
        assert_eq!(share, percent.map(Ahead::Share), "{text}");
    }
}
