//! What a refill behind a client's back has of the client's header, as a table.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::outcome::Reason;
use cache_core::record::Record;
use cache_core::refill_header::{Carried, Selecting};
use cache_core::rules::Rules;
use cache_core::terms::Terms;

fn record(vary: &'static str) -> Record {
    let mut headers = Headers::new();
    if !vary.is_empty() {
        headers.push("Vary", vary);
    }
    Record {
        status: 200,
        headers: headers.into(),
        body: Bytes::new(),
        ttl_ms: 50_000,
        age: 50,
        terms: Terms::default(),
        meta: None,
        stored_headers: Bytes::new(),
    }
}

#[test]
#[rustfmt::skip]
fn what_a_refill_has() {
    const PLAIN: Option<&str> = Some("$scheme://$host$request_uri");
    const AGENT: Option<&str> = Some("$request_method:${http_user_agent}:$request_uri");
    // (what the record varies on, its key, a field; has it: usually, of all, at least)
    let cases = [
        ("", PLAIN, "user-agent", [false, true, false]),
        ("", PLAIN, "x-anything", [false, true, false]),
        ("", PLAIN, "host", [true, true, true]),
        ("", PLAIN, "content-type", [true, true, true]),
        ("", PLAIN, "x-forwarded-proto", [true, true, false]),
        ("", PLAIN, "forwarded", [true, true, false]),
        ("", PLAIN, "x-real-ip", [true, true, false]),
        ("", AGENT, "user-agent", [true, true, true]),
        ("", AGENT, "user-agents", [false, true, false]),
        ("Accept, User-Agent", PLAIN, "user-agent", [true, true, true]),
        ("Accept", PLAIN, "user-agent", [false, true, false]),
        ("", None, "x-anything", [true, true, true]),
        ("", Some("$mapped$request_uri"), "x-anything", [true, true, true]),
    ];
    for (vary, template, field, wanted) in cases {
        let template = template.map(str::as_bytes);
        let selecting = Selecting::new(&record(vary), &Rules::default(), template);
        let found = [Carried::Usual, Carried::All, Carried::Least]
            .map(|carried| selecting.lets_pass(carried, field.as_bytes()));
        assert_eq!(found, wanted, "{vary:?} {template:?} {field}");
    }
    let rules = Rules { ignore: Ignore::named(b"vary").unwrap_or(Ignore::NONE), ..Rules::default() };
    let selecting = Selecting::new(&record("User-Agent"), &rules, PLAIN.map(str::as_bytes));
    assert!(!selecting.lets_pass(Carried::Usual, b"user-agent"), "ignored");
}

#[test]
#[rustfmt::skip]
fn what_the_next_refill_has() {
    use Carried::{All, Least, Usual};
    let cases = [
        (Usual, Reason::Stored, false, Usual),
        (Usual, Reason::BackendFailed, false, All),
        (Usual, Reason::BackendFailed, true, Least),
        (Usual, Reason::WithoutHeader, false, All),
        (Usual, Reason::StoreFailed, false, Usual),
        (All, Reason::Revalidated, true, All),
        (All, Reason::WithoutCookie, true, All),
        (All, Reason::BackendFailed, true, Least),
        (Least, Reason::BackendFailed, false, Usual),
        (Least, Reason::Stored, false, Usual),
    ];
    for (carried, reason, whole, wanted) in cases {
        assert_eq!(carried.after(reason, whole), wanted, "{carried:?} {reason} {whole}");
    }
}
