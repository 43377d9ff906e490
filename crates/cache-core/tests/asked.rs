//! What a record may be used for where the request has a say: RFC 9111 5.2.1 and 4.2.4, each row with its section.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::headers::Headers;
use cache_core::record::{Meta, Record};
use cache_core::request_directives::RequestDirectives;
use cache_core::rules::Rules;
use cache_core::terms::Terms;
use cache_core::usable::{Use, judge, judge_for};
use cache_core::use_stale::UseStale;

/// 100 s of staleness are the default.
fn record(says: &str, age: u32, fresh_s: i64) -> Record {
    Record {
        status: 200,
        headers: Headers::new().into(),
        body: Bytes::new(),
        ttl_ms: (100 + fresh_s) * 1000,
        age,
        terms: Terms::of(&cache_control::parse([says.as_bytes()].into_iter())),
        meta: None,
        stored_headers: Bytes::new(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// From the record at once.
    Fresh,
    Stale,
    /// Ask first; a failure leaves it in use, or doesn't.
    Else,
    Never,
}

fn found(decided: Use) -> Found {
    match decided {
        Use::Fresh | Use::Ahead(_) => Found::Fresh,
        Use::Stale(_) => Found::Stale,
        Use::Validate(UseStale::NONE) => Found::Never,
        Use::Validate(_) => Found::Else,
    }
}

#[test]
#[rustfmt::skip]
fn what_a_request_makes_of_a_record() {
    use Found::{Else, Fresh, Never, Stale};
    // (section, the request, the response, age, fresh for s, permitted by the operator, otherwise)
    let cases: &[(&str, &str, &str, u32, i64, Found, Found)] = &[
        ("5.2.1 nothing asked, fresh", "", "", 50, 10, Fresh, Fresh),
        ("5.2.1 nothing asked, stale", "", "", 50, -10, Stale, Never),
        ("5.2.1.1 young enough", "max-age=50", "", 50, 10, Fresh, Fresh),
        ("5.2.1.1 too old", "max-age=49", "", 50, 10, Never, Never),
        ("5.2.1.1 stale", "max-age=999", "", 50, -10, Else, Never),
        ("5.2.1.1 stale, with max-stale", "max-age=999, max-stale=10", "", 50, -10, Stale, Stale),
        ("5.2.1.2 fresh", "max-stale=10", "", 50, 10, Fresh, Fresh),
        ("5.2.1.2 stale enough", "max-stale=10", "", 50, -10, Stale, Stale),
        ("5.2.1.2 too stale", "max-stale=10", "", 50, -11, Else, Never),
        ("5.2.1.2 any staleness", "max-stale", "", 50, -90, Stale, Stale),
        ("5.2.1.3 fresh enough", "min-fresh=10", "", 50, 10, Fresh, Fresh),
        ("5.2.1.3 not for long", "min-fresh=11", "", 50, 10, Never, Never),
        ("5.2.1.3 stale", "min-fresh=1", "", 50, -10, Else, Never),
        ("5.2.1.4 fresh", "no-cache", "", 0, 10, Never, Never),
        ("5.2.1.4 stale", "no-cache", "", 50, -10, Else, Never),
        ("5.2.1.5 a record is used", "no-store", "", 50, 10, Fresh, Fresh),
        ("5.2.1.7 a record is used", "only-if-cached", "", 50, 10, Fresh, Fresh),
        // What the response forbids nobody permits.
        ("5.2.2.2 over max-stale", "max-stale", "must-revalidate", 50, -10, Never, Never),
        ("5.2.2.8 over max-stale", "max-stale", "proxy-revalidate", 50, -10, Never, Never),
        ("5.2.2.10 over max-stale", "max-stale", "s-maxage=9", 50, -10, Never, Never),
        ("5.2.2.4 over max-stale", "max-stale", "no-cache", 50, -10, Never, Never),
        ("5861 3 shortens what the operator permits", "", "stale-while-revalidate=5", 50, -10, Else, Never),
        ("5.2.1.2 beyond stale-while-revalidate", "max-stale=10", "stale-while-revalidate=5", 50, -10, Stale, Stale),
    ];
    let off = Rules { use_stale: UseStale::NONE, ..Rules::default() };
    for (section, asks, says, age, fresh_s, permitted, otherwise) in cases {
        let asks = RequestDirectives::parse([asks.as_bytes()].into_iter(), [].into_iter());
        let record = record(says, *age, *fresh_s);
        let decided = judge_for(&record, &Rules::default(), &asks);
        assert_eq!(found(decided), *permitted, "{section}, permitted by the operator");
        assert_eq!(found(judge_for(&record, &off, &asks)), *otherwise, "{section}, use_stale off");
    }
}

/// The client's permission ends with the operator's time: a longer one is for failures of the backend.
#[test]
fn a_client_gets_nothing_from_the_time_for_failures() {
    let rules = Rules {
        stale: 20,
        stale_on_error: Some(100),
        ..Rules::default()
    };
    let meta = Meta {
        expiry: 1000,
        kept: Some(100),
        ..Meta::default()
    };
    for (asks, fresh_s, wanted) in [
        ("", 1, Found::Fresh),
        ("", -20, Found::Stale),
        ("", -21, Found::Else),
        ("max-stale", -20, Found::Stale),
        ("max-stale", -21, Found::Else),
        ("max-stale=50", -21, Found::Else),
        ("max-stale=10", -20, Found::Else),
        ("min-fresh=2", 1, Found::Never),
    ] {
        let directives = RequestDirectives::parse([asks.as_bytes()].into_iter(), [].into_iter());
        let record = Record {
            meta: Some(Rc::new(meta.clone())),
            ..record("", 50, fresh_s)
        };
        let decided = judge_for(&record, &rules, &directives);
        assert_eq!(found(decided), wanted, "{asks:?}, fresh for {fresh_s} s");
    }
}

#[test]
fn who_asks_nothing_gets_what_the_rules_say() {
    let rules = Rules::default();
    for fresh_s in [-100, -1, 0, 1, 100] {
        for says in ["", "no-cache", "must-revalidate", "stale-if-error=5"] {
            let record = record(says, 7, fresh_s);
            let asks = RequestDirectives::default();
            assert_eq!(judge_for(&record, &rules, &asks), judge(&record, &rules));
        }
    }
}
