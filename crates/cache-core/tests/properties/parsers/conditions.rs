//! Conditions and ranges of a request. The input: ETag and Last-Modified of the answer in a line each, then
//! header lines of the request.

use cache_core::conditions::{ByDate, Conditions, Date, Evaluation, Selected, evaluate, of_not_modified, range_applies};
use cache_core::headers::{Header, Headers};
use cache_core::ranges::is_worth_it;

use super::{cut, headers, shown};

const DATE: Date = Date::exactly(1_800_000_000);

/// The order of RFC 9110 13.2.2, whatever the fields hold.
pub fn holds(input: &[u8]) {
    let (etag, rest) = cut(input, b'\n');
    let (last_modified, rest) = cut(rest, b'\n');
    let request = headers(rest);
    let selected = |status| Selected {
        status,
        etag: Some(etag).filter(|tag| !tag.is_empty()),
        last_modified: Some(last_modified).filter(|date| !date.is_empty()),
        date: DATE,
        stored: true,
        has_two_forms: false,
    };
    let whole = selected(200);
    let outcome = |method, request: &Headers| {
        let lines = request.iter().map(|line| (&line.name[..], &line.value[..]));
        evaluate(method, &Conditions::of(lines), &whole, ByDate::On)
    };
    let without = |names: &[&str]| -> Headers {
        let stays = |line: &&Header| !names.iter().any(|name| line.is(name.as_bytes()));
        request.iter().filter(stays).cloned().collect()
    };
    let found = outcome(b"GET", &request);
    assert_eq!(outcome(b"HEAD", &request), found);

    // 13.1.3, 13.1.4: a recipient MUST ignore the dates where there are tags
    let mut ignored = Vec::new();
    if request.contains("If-None-Match") {
        ignored.push("If-Modified-Since");
    }
    if request.contains("If-Match") {
        ignored.push("If-Unmodified-Since");
    }
    assert_eq!(outcome(b"GET", &without(&ignored)), found, "{}", shown(rest));
    // 15.4.5: a 304 answers only those two
    let asked = ["If-None-Match", "If-Modified-Since"];
    assert_ne!(outcome(b"GET", &without(&asked)), Evaluation::NotModified);
    let required = ["If-Match", "If-Unmodified-Since"];
    assert_ne!(outcome(b"GET", &without(&required)), Evaluation::PreconditionFailed);
    assert_ne!(outcome(b"POST", &request), Evaluation::NotModified);

    let lines = || request.iter().map(|line| (&line.name[..], &line.value[..]));
    let conditions = Conditions::of(lines());
    for status in [199, 304, 404, 500] {
        let other = selected(status);
        let outcome = evaluate(b"GET", &conditions, &other, ByDate::On);
        assert_eq!(outcome, Evaluation::Proceed, "13.2.1");
        assert!(!range_applies(b"GET", &conditions, &other));
    }
    assert!(!range_applies(b"HEAD", &conditions, &whole));
    for range in &conditions.range {
        let few = range.iter().filter(|&&b| b == b',').count() < 10;
        assert!(is_worth_it(range, 1000) || !few, "{}", shown(range));
        assert!(is_worth_it(range, 0) || !few);
    }

    let sent = of_not_modified(&request);
    assert_eq!(of_not_modified(&sent), sent);
    assert!(!sent.contains("Content-Length"));
}
