//! What a record is good for past its freshness: RFC 9111 4.2.4 and 5.2.2, RFC 5861 3 and 4, and what the operator
//! says, as tables, each row with its section.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::headers::Headers;
use cache_core::record::{Meta, Record};
use cache_core::rules::Rules;
use cache_core::terms::Terms;
use cache_core::usable::{Use, judge};
use cache_core::use_stale::{Failure, UseStale};

/// A record that is fresh for so many more seconds.
fn record(says: &str, fresh_s: i64) -> Record {
    Record {
        status: 200,
        headers: Headers::new().into(),
        body: Bytes::new(),
        ttl_ms: (100 + fresh_s) * 1000,
        age: 50,
        terms: Terms::of(&cache_control::parse([says.as_bytes()].into_iter())),
        meta: None,
        stored_headers: Bytes::new(),
    }
}

fn set(names: &str) -> UseStale {
    names
        .split_ascii_whitespace()
        .filter_map(|name| UseStale::named(name.as_bytes()))
        .fold(UseStale::NONE, |all, one| all | one)
}

/// Whether the record is served at once, and for which failures of the backend it is served after all.
fn uses(says: &str, fresh_s: i64, use_stale: UseStale) -> (bool, UseStale) {
    let rules = Rules {
        stale: 100,
        use_stale,
        ..Rules::default()
    };
    match judge(&record(says, fresh_s), &rules) {
        Use::Fresh | Use::Ahead(_) => (true, UseStale::NONE),
        Use::Stale(on_failure) => (true, on_failure),
        Use::Validate(on_failure) => (false, on_failure),
    }
}

#[test]
#[rustfmt::skip]
fn past_its_freshness() {
    const OPERATOR: &str = "error timeout invalid_header http_5xx updating";
    const ERRORS: &str = "error timeout invalid_header http_500 http_502 http_503 http_504";
    let both = &[OPERATOR, ERRORS].join(" ");
    // (section, the response, fresh for s, the operator, served at once, served for these failures)
    let cases: &[(&str, &str, i64, &str, bool, &str)] = &[
        ("9111 4.2.4 the operator permits", "max-age=60", -1, OPERATOR, true, OPERATOR),
        ("9111 4.2.4 to the end of redis_cache_stale", "max-age=60", -99, OPERATOR, true, OPERATOR),
        ("9111 4.2.4 the operator permits nothing", "max-age=60", -1, "", false, ""),
        ("9111 4.2.4 failures only", "max-age=60", -1, "error http_503", false, "error http_503"),
        ("9111 4.2.4 while it is refilled only", "max-age=60", -1, "updating", true, "updating"),
        // What the response permits by itself, where the operator permits nothing.
        ("5861 3 within", "max-age=60, stale-while-revalidate=10", -10, "", true, ""),
        ("5861 3 past", "max-age=60, stale-while-revalidate=10", -11, "", false, ""),
        ("5861 3 none at all", "max-age=60, stale-while-revalidate=0", -1, "", false, ""),
        ("5861 4 within", "max-age=60, stale-if-error=10", -10, "", false, ERRORS),
        ("5861 4 past", "max-age=60, stale-if-error=10", -11, "", false, ""),
        ("5861 4 none at all", "max-age=60, stale-if-error=0", -1, "", false, ""),
        ("5861 both, within both", "stale-while-revalidate=5, stale-if-error=10", -5, "", true, ERRORS),
        ("5861 both, within the longer", "stale-while-revalidate=5, stale-if-error=10", -6, "", false, ERRORS),
        ("5861 both, past both", "stale-while-revalidate=5, stale-if-error=10", -11, "", false, ""),
        // It shortens what the operator permits.
        ("5861 3 shortens", "stale-while-revalidate=10", -10, OPERATOR, true, OPERATOR),
        ("5861 3 shortens, past", "stale-while-revalidate=10", -11, OPERATOR, false, OPERATOR),
        ("5861 4 shortens", "stale-if-error=10", -10, OPERATOR, true, both),
        ("5861 4 shortens, past", "stale-if-error=10", -11, OPERATOR, true, ""),
        ("5861 4 adds failures to the operator's", "stale-if-error=10", -10, "updating http_404", true, &format!("updating http_404 {ERRORS}")),
        // It can't be read: the stricter reading.
        ("9111 4.2.1 no number", "stale-while-revalidate=x", -1, OPERATOR, false, OPERATOR),
        ("9111 4.2.1 twice", "stale-if-error=50, stale-if-error=5", -6, OPERATOR, true, ""),
        // What forbids it, whoever permits.
        ("9111 5.2.2.2 must-revalidate", "max-age=60, must-revalidate", -1, OPERATOR, false, ""),
        ("9111 5.2.2.2 over RFC 5861", "must-revalidate, stale-while-revalidate=50, stale-if-error=50", -1, OPERATOR, false, ""),
        ("9111 5.2.2.8 proxy-revalidate", "max-age=60, proxy-revalidate", -1, OPERATOR, false, ""),
        ("9111 5.2.2.8 over RFC 5861", "proxy-revalidate, stale-while-revalidate=50, stale-if-error=50", -1, OPERATOR, false, ""),
        ("9111 5.2.2.10 s-maxage", "s-maxage=60", -1, OPERATOR, false, ""),
        ("9111 5.2.2.10 over RFC 5861", "s-maxage=60, stale-while-revalidate=50, stale-if-error=50", -1, OPERATOR, false, ""),
        ("9111 5.2.2.4 no-cache", "no-cache", -1, OPERATOR, false, ""),
        ("9111 5.2.2.4 over RFC 5861", "no-cache, stale-while-revalidate=50, stale-if-error=50", -1, OPERATOR, false, ""),
        ("9111 5.2.2.4 a list of fields forbids nothing", "no-cache=\"x-a\"", -1, OPERATOR, true, OPERATOR),
        ("9111 5.2.2.4 even a fresh one", "max-age=60, no-cache", 10, OPERATOR, false, ""),
        // While it is fresh none of this matters.
        ("9111 4.2 fresh", "max-age=60, must-revalidate", 1, "", true, ""),
        ("9111 4.2 stale from the very moment", "max-age=60, must-revalidate", 0, OPERATOR, false, ""),
    ];
    for (section, says, fresh_s, operator, at_once, failures) in cases {
        assert_eq!(uses(says, *fresh_s, set(operator)), (*at_once, set(failures)), "{section}");
    }
}

/// A record that another configuration has kept for so many seconds past its freshness, if it says so.
fn kept_for(says: &str, fresh_s: i64, kept: Option<u32>) -> Record {
    Record {
        ttl_ms: (i64::from(kept.unwrap_or(100)) + fresh_s) * 1000,
        meta: Some(Rc::new(Meta {
            expiry: 100_000,
            kept,
            ..Meta::default()
        })),
        ..record(says, 0)
    }
}

/// `redis_cache_stale 100s error=1000s`, and records of other configurations under it.
#[test]
#[rustfmt::skip]
fn a_longer_time_for_failures() {
    const OPERATOR: &str = "error timeout http_5xx updating";
    const ERRORS: &str = "error timeout invalid_header http_500 http_502 http_503 http_504";
    let both = &[OPERATOR, ERRORS].join(" ");
    const LONGER: Option<u32> = Some(1000);
    // (the case, the response, error=, kept as the record says, fresh for s, the operator, served at once, served for these failures)
    type Case<'a> = (&'a str, &'a str, Option<u32>, Option<u32>, i64, &'a str, bool, &'a str);
    let cases: &[Case<'_>] = &[
        ("fresh", "", LONGER, LONGER, 1, OPERATOR, true, ""),
        ("within the time", "", LONGER, LONGER, -1, OPERATOR, true, OPERATOR),
        ("at its end", "", LONGER, LONGER, -100, OPERATOR, true, OPERATOR),
        ("past it, for failures alone", "", LONGER, LONGER, -101, OPERATOR, false, OPERATOR),
        ("at the end of that", "", LONGER, LONGER, -1000, OPERATOR, false, OPERATOR),
        ("the operator permits nothing", "", LONGER, LONGER, -101, "", false, ""),
        ("no time but for failures", "", LONGER, LONGER, -1, "error", false, "error"),
        // RFC 5861
        ("5861 3 ends with the shorter time", "stale-while-revalidate=500", LONGER, LONGER, -100, "", true, ""),
        ("5861 3 past it", "stale-while-revalidate=500", LONGER, LONGER, -101, "", false, ""),
        ("5861 4 within the longer", "stale-if-error=500", LONGER, LONGER, -500, "", false, ERRORS),
        ("5861 4 shortens it", "stale-if-error=500", LONGER, LONGER, -501, OPERATOR, false, ""),
        ("5861 4 adds failures", "stale-if-error=500", LONGER, LONGER, -500, OPERATOR, false, both),
        ("5861 4 can't exceed it", "stale-if-error=5000", LONGER, Some(5000), -1001, OPERATOR, false, ""),
        // RFC 9111 4.2.4
        ("9111 5.2.2.2 must-revalidate", "must-revalidate", LONGER, LONGER, -101, OPERATOR, false, ""),
        ("9111 5.2.2.10 s-maxage", "s-maxage=60", LONGER, LONGER, -1, OPERATOR, false, ""),
        ("9111 5.2.2.4 no-cache", "no-cache", LONGER, LONGER, -101, OPERATOR, false, ""),
        // Of another configuration, or of the Lua script, whose records say nothing: counted as ever.
        ("from before error= was set, fresh", "", LONGER, None, 1, OPERATOR, true, ""),
        ("from before error= was set, stale", "", LONGER, None, -99, OPERATOR, true, OPERATOR),
        ("error= is there no more", "", None, LONGER, 1, OPERATOR, true, ""),
        ("error= is there no more, within the time", "", None, LONGER, -100, OPERATOR, true, OPERATOR),
        ("error= is there no more, past the time", "", None, LONGER, -101, OPERATOR, false, ""),
        ("a longer error= elsewhere", "", Some(200), LONGER, -200, OPERATOR, false, OPERATOR),
        ("a longer error= elsewhere, past ours", "", Some(200), LONGER, -201, OPERATOR, false, ""),
        // What is less than the other time says nothing (the directive refuses it; a variable can make it so).
        ("less than the time", "", Some(50), Some(100), -100, OPERATOR, true, OPERATOR),
    ];
    for (case, says, stale_on_error, kept, fresh_s, operator, at_once, failures) in cases {
        let rules = Rules { stale: 100, stale_on_error: *stale_on_error, use_stale: set(operator), ..Rules::default() };
        let record = kept_for(says, *fresh_s, *kept);
        let found = match judge(&record, &rules) {
            Use::Fresh | Use::Ahead(_) => (true, UseStale::NONE),
            Use::Stale(on_failure) => (true, on_failure),
            Use::Validate(on_failure) => (false, on_failure),
        };
        assert_eq!(found, (*at_once, set(failures)), "{case}");
        assert_eq!(record.is_fresh(rules.stale), *fresh_s > 0, "{case}");
        assert_eq!(record.fresh_for(rules.stale), *fresh_s, "{case}");
    }
}

/// A second that has begun counts: 10 s are over after 10 s, not before 11.
#[test]
fn windows_are_over_to_the_millisecond() {
    let rules = Rules {
        use_stale: UseStale::NONE,
        ..Rules::default()
    };
    for (ttl_ms, wanted) in [
        (90_000, Use::Stale(UseStale::NONE)),
        (89_999, Use::Validate(UseStale::NONE)),
    ] {
        let record = Record {
            ttl_ms,
            ..record("stale-while-revalidate=10", 0)
        };
        assert_eq!(judge(&record, &rules), wanted, "5861 3: {ttl_ms}");
    }
}

#[test]
#[rustfmt::skip]
fn what_counts_as_a_failure() {
    // (what nginx's users know it as, status, made by nginx itself, failures that let the record be served)
    let cases: &[(&str, u16, bool, &[&str])] = &[
        ("no connection, reset, no HTTP", 502, true, &["error", "invalid_header"]),
        ("no answer in time", 504, true, &["timeout"]),
        ("the backend's own 500", 500, false, &["http_500", "http_5xx"]),
        ("the backend's own 502", 502, false, &["http_502", "http_5xx"]),
        ("the backend's own 503", 503, false, &["http_503", "http_5xx"]),
        ("the backend's own 504", 504, false, &["http_504", "http_5xx"]),
        ("nginx's 503", 503, true, &["http_503", "http_5xx"]),
        ("a 5xx without a name", 507, false, &["http_5xx"]),
        ("403", 403, false, &["http_403"]),
        ("404", 404, false, &["http_404"]),
        ("429", 429, false, &["http_429"]),
        ("410 is an answer", 410, false, &[]),
        ("200 is an answer", 200, false, &[]),
        ("304 is an answer", 304, false, &[]),
    ];
    const NAMES: [&str; 12] = [
        "error", "timeout", "invalid_header", "updating", "http_500", "http_502", "http_503", "http_504", "http_403",
        "http_404", "http_429", "http_5xx",
    ];
    for (what, status, generated, wanted) in cases {
        let failure = Failure::of(*status, *generated);
        for name in NAMES {
            let allowed = failure.is_some_and(|failure| set(name).allows(failure));
            assert_eq!(allowed, wanted.contains(&name), "{what}: {name}");
        }
    }
}
