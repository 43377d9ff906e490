//! What is stored, and for how long: RFC 9111 3 and the operator's word, as tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::outcome::Reason;
use cache_core::policy::{Plan, RequestView, ResponseView, storable, storable_behind};
use cache_core::rules::{Rules, StatusList};

const NOW: u64 = 784_111_777;
const MAX: u32 = 0x7fff_ffff;

type Lines<'a> = &'a [(&'static str, &'static str)];

fn decide(req: RequestView, status: u16, lines: Lines<'_>, rules: &Rules) -> Result<Plan, Reason> {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    let resp = ResponseView {
        status,
        headers: &headers,
        dates: &OriginDates::default(),
        content_length: None,
        accel_redirect: false,
        unbuffered: false,
        ignored: cache_core::ignore::Ignore::NONE,
        delay: 0,
    };
    storable(&req, &resp, rules, NOW)
}

fn verdict(lines: Lines<'_>, ignore: Ignore) -> Option<Reason> {
    let rules = Rules {
        ignore,
        ..Rules::default()
    };
    decide(RequestView::default(), 200, lines, &rules).err()
}

const CC: &str = "Cache-Control";

#[test]
#[rustfmt::skip]
fn what_http_forbids() {
    let cases: &[(&str, Lines<'_>, Option<Reason>)] = &[
        ("3", &[], None),
        ("5.2.2.5", &[(CC, "no-store")], Some(Reason::NoStore)),
        ("5.2.2.5 over max-age", &[(CC, "max-age=60, no-store")], Some(Reason::NoStore)),
        ("5.2.2.3 understood: no-store doesn't hold", &[(CC, "must-understand, no-store")], None),
        ("5.2.2.3 private does", &[(CC, "must-understand, private")], Some(Reason::Private)),
        ("5.2.2.7", &[(CC, "private")], Some(Reason::Private)),
        ("5.2.2.7 limited to fields", &[(CC, "private=\"X-A\"")], None),
        ("5.2.2.7 to a field that others need", &[(CC, "private=\"X-A, Vary\"")], Some(Reason::Private)),
        ("5.2.2.7 to a field that others need", &[(CC, "private=\"content-encoding\"")], Some(Reason::Private)),
        ("5.2.2.7 limited, and not", &[(CC, "private=\"X-A\", private")], Some(Reason::Private)),
        ("5.2.2.7 over public", &[(CC, "public, private")], Some(Reason::Private)),
        ("5.2.2.4 nothing to validate it by", &[(CC, "no-cache")], Some(Reason::NoCache)),
        ("5.2.2.4 over max-age", &[(CC, "max-age=60, no-cache")], Some(Reason::NoCache)),
        ("5.2.2.4 by an entity tag", &[(CC, "no-cache"), ("ETag", "\"a\"")], None),
        ("5.2.2.4 by a weak one", &[(CC, "no-cache"), ("ETag", "W/\"a\"")], None),
        ("5.2.2.4 by a date", &[(CC, "no-cache"), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")], None),
        ("5.2.2.4 limited to fields", &[(CC, "no-cache=\"X-A\"")], None),
        ("5.2.2.4 to a field that others need", &[(CC, "no-cache=\"Content-Type\"")], Some(Reason::NoCache)),
        ("5.2 in a second line", &[(CC, "max-age=9"), (CC, "no-store")], Some(Reason::NoStore)),
        ("7.3", &[("set-cookie", "a=1")], Some(Reason::SetCookie)),
        ("7.3 public or not", &[(CC, "public"), ("Set-Cookie", "a=1")], Some(Reason::SetCookie)),
        ("7.3 a cookie that isn't kept", &[(CC, "private=\"Set-Cookie\""), ("Set-Cookie", "a=1")], None),
        ("7.3 a cookie that isn't kept", &[(CC, "no-cache=\"X, set-cookie\""), ("Set-Cookie", "a=1")], None),
        ("7.3 another field isn't kept", &[(CC, "private=\"X\""), ("Set-Cookie", "a=1")], Some(Reason::SetCookie)),
        ("4.1 what it varies on selects it", &[("Vary", "Accept-Encoding")], None),
        ("4.1 several lines", &[("Vary", "Accept"), ("Vary", "Cookie, accept")], None),
        ("4.1 no request matches the star", &[("Vary", "*")], Some(Reason::Vary)),
        ("4.1 the star in a list", &[("Vary", "Accept, *")], Some(Reason::Vary)),
        ("4.1 in any line", &[("Vary", "Cookie"), ("Vary", "*")], Some(Reason::Vary)),
        ("9110 12.5.5 what is no field name", &[("Vary", "Accept Encoding")], Some(Reason::Vary)),
        ("9110 5.6.1 an empty list names nothing", &[("Vary", " ,, ")], None),
        ("5.2.2.2", &[(CC, "must-revalidate")], None),
        ("9110 5.5", &[("X-A", "a\rb")], Some(Reason::HeaderInvalid)),
        ("9110 5.1", &[("X A", "b")], Some(Reason::HeaderInvalid)),
    ];
    for (section, lines, wanted) in cases {
        assert_eq!(verdict(lines, Ignore::NONE), *wanted, "{section}: {lines:?}");
    }
}

#[test]
fn what_the_operator_ignores() {
    let named = |name: &str| Ignore::named(name.as_bytes()).unwrap();
    let cases: &[(&str, Lines<'_>)] = &[
        (
            "Cache-Control",
            &[(CC, "no-store, private, no-cache, max-age=0")],
        ),
        (
            "Set-Cookie",
            &[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
        ),
        ("Vary", &[("Vary", "*")]),
    ];
    for (name, lines) in cases {
        assert!(verdict(lines, Ignore::NONE).is_some(), "{name}");
        assert_eq!(verdict(lines, named(name)), None, "{name}");
        // One field ignored doesn't ignore another.
        assert!(verdict(lines, named("Expires")).is_some(), "{name}");
    }
}

#[test]
#[rustfmt::skip]
fn requests_with_authorization() {
    let req = RequestView { authorization: true, ..RequestView::default() };
    let with = |line: &'static str, ignore: Ignore| {
        let rules = Rules { ignore, ..Rules::default() };
        decide(req, 200, &[(CC, line)], &rules).err()
    };
    let refused = Some(Reason::Authorization);
    for (section, line, wanted) in [
        ("3.5", "", refused),
        ("3.5", "max-age=60", refused),
        ("3.5 proxy-revalidate doesn't allow it", "proxy-revalidate", refused),
        ("3.5", "public", None),
        ("3.5", "s-maxage=60", None),
        ("3.5", "must-revalidate", None),
        ("3.5 private stays private", "must-revalidate, private", Some(Reason::Private)),
    ] {
        assert_eq!(with(line, Ignore::NONE), wanted, "{section}: {line:?}");
    }
    let ignore = |name: &str| Ignore::named(name.as_bytes()).unwrap();
    assert_eq!(with("", ignore("Authorization")), None);
    assert_eq!(with("public", ignore("Cache-Control")), refused, "what is ignored allows nothing");
}

#[test]
#[rustfmt::skip]
fn statuses() {
    let any = Rules { statuses: StatusList::parse(b"any").unwrap(), ..Rules::default() };
    let some = Rules { statuses: StatusList::parse(b"200 206 304 405").unwrap(), ..Rules::default() };
    let cases: &[(&str, u16, &Rules, Option<Reason>)] = &[
        ("listed", 200, &some, None),
        ("listed", 405, &some, None),
        ("not listed", 404, &some, Some(Reason::StatusNotListed)),
        ("9110 15.1 any that is cacheable by itself", 404, &any, None),
        ("3 any other must say so", 599, &any, Some(Reason::NoFreshness)),
        ("3.3 a part, even if listed", 206, &some, Some(Reason::PartialContent)),
        ("3.3", 206, &any, Some(Reason::PartialContent)),
        ("9110 15.2 an interim answer", 100, &any, Some(Reason::Interim)),
        ("9110 15.2", 103, &any, Some(Reason::Interim)),
        ("9110 15 no status", 600, &any, Some(Reason::StatusNotListed)),
        ("4.3.3 confirms only", 304, &some, Some(Reason::NotModified)),
    ];
    for (section, status, rules, wanted) in cases {
        assert_eq!(decide(RequestView::default(), *status, &[], rules).err(), *wanted, "{section}: {status}");
    }
}

#[test]
fn what_the_operator_forbids() {
    let rules = Rules {
        max_size: 100,
        ..Rules::default()
    };
    let headers = Headers::new();
    let dates = OriginDates::default();
    let resp = ResponseView {
        status: 200,
        headers: &headers,
        dates: &dates,
        content_length: Some(100),
        accel_redirect: false,
        unbuffered: false,
        ignored: cache_core::ignore::Ignore::NONE,
        delay: 0,
    };
    let err = |req: RequestView, resp: ResponseView<'_>| storable(&req, &resp, &rules, NOW).err();
    let plain = RequestView::default();
    assert_eq!(err(plain, resp), None);
    let larger = ResponseView {
        content_length: Some(101),
        ..resp
    };
    assert_eq!(err(plain, larger), Some(Reason::TooLarge));
    let redirect = ResponseView {
        accel_redirect: true,
        ..resp
    };
    assert_eq!(err(plain, redirect), Some(Reason::AccelRedirect));
    let no_store = RequestView {
        no_store: true,
        ..plain
    };
    assert_eq!(err(no_store, resp), Some(Reason::NoStoreDirective));
    let asked = RequestView {
        asks_no_store: true,
        ..plain
    };
    assert_eq!(err(asked, resp), Some(Reason::NoStoreAsked), "9111 5.2.1.5");
}

#[test]
#[rustfmt::skip]
fn expiry_is_freshness_and_staleness() {
    // (headers, age directive, stale directive, fresh for, expiry)
    let cases: &[(Lines<'_>, u32, u32, u32, u32)] = &[
        (&[], 120, 100, 120, 220),
        (&[], 120, 0, 120, 120),
        (&[], 0, 100, 0, 100),
        (&[(CC, "max-age=10")], 120, 100, 10, 110),
        (&[(CC, "max-age=10"), ("Age", "4")], 120, 100, 6, 106),
        (&[(CC, "max-age=10"), ("Age", "4")], 120, 0, 6, 6),
        // Nothing left: stored, at once stale.
        (&[(CC, "max-age=0")], 120, 100, 0, 100),
        (&[(CC, "max-age=10"), ("Age", "400")], 120, 100, 0, 100),
        (&[("Expires", "0")], 120, 100, 0, 100),
        // 2^31 - 1 in all.
        (&[(CC, "max-age=2147483647")], 120, 100, MAX, MAX),
        (&[(CC, "max-age=2147483600")], 120, 47, 2_147_483_600, MAX),
        (&[], MAX, MAX, MAX, MAX),
    ];
    for (lines, age, stale, fresh_for, expiry) in cases {
        let rules = Rules { age: *age, stale: *stale, ..Rules::default() };
        let plan = decide(RequestView::default(), 200, lines, &rules).unwrap();
        assert_eq!((plan.fresh_for, plan.expiry), (*fresh_for, *expiry), "{lines:?}");
    }
    for (lines, age) in [
        (&[(CC, "max-age=0")][..], 120),
        (&[(CC, "max-age=10"), ("Age", "10")], 120),
        (&[("Expires", "0")], 120),
        (&[], 0),
    ] {
        let rules = Rules { age, stale: 0, ..Rules::default() };
        let found = decide(RequestView::default(), 200, lines, &rules);
        assert_eq!(found.err(), Some(Reason::Expired), "{lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn expiry_is_freshness_and_the_longer_staleness() {
    const LATER: Option<u32> = Some(3600);
    // (headers, stale directive, its error=, fresh for, expiry, what the record says of that)
    type Case<'a> = (Lines<'a>, u32, Option<u32>, u32, u32, Option<u32>);
    let cases: &[Case<'_>] = &[
        (&[], 100, None, 120, 220, None),
        (&[], 100, LATER, 120, 3720, LATER),
        (&[], 0, LATER, 120, 3720, LATER),
        (&[], 100, Some(100), 120, 220, Some(100)),
        // A variable may ask for more than the directive's error=.
        (&[], 7200, LATER, 120, 7320, Some(7200)),
        (&[(CC, "max-age=0")], 0, LATER, 0, 3600, LATER),
        // It is worth its place where it may be validated.
        (&[(CC, "no-cache"), ("ETag", "\"a\"")], 0, LATER, 0, 3600, LATER),
        (&[(CC, "max-age=2147483647")], 100, LATER, MAX, MAX, LATER),
    ];
    for (lines, stale, stale_on_error, fresh_for, expiry, kept) in cases {
        let rules = Rules { stale: *stale, stale_on_error: *stale_on_error, ..Rules::default() };
        let plan = decide(RequestView::default(), 200, lines, &rules).unwrap();
        assert_eq!((plan.fresh_for, plan.expiry, plan.kept), (*fresh_for, *expiry, *kept), "{lines:?} {stale} {stale_on_error:?}");
    }
}

/// 4.2.3: a response ages from its receipt on, also while its body comes and until it is written.
#[test]
fn what_is_written_later_has_aged() {
    let rules = |stale| Rules {
        stale,
        ..Rules::default()
    };
    let plan = |stale| {
        let lines = [(CC, "max-age=10"), ("Age", "3")];
        decide(RequestView::default(), 200, &lines, &rules(stale)).unwrap()
    };
    let cases = [
        // milliseconds, staleness, and what is left: age, freshness and expiry
        (0, 20, Some((3, 7, 27))),
        (999, 20, Some((3, 7, 27))),
        (1000, 20, Some((4, 6, 26))),
        (7000, 20, Some((10, 0, 20))),
        (26_999, 20, Some((29, 0, 1))),
        (27_000, 20, None),
        (6999, 0, Some((9, 1, 1))),
        (7000, 0, None),
        (u64::MAX, 20, None),
    ];
    for (millis, stale, wanted) in cases {
        let written = plan(stale).written_after(millis);
        let said = written.map(|plan| (plan.age, plan.fresh_for, plan.expiry));
        assert_eq!(said, wanted.ok_or(Reason::Expired), "{millis} {stale}");
    }
}

#[test]
fn a_status_may_have_its_own_default_lifetime() {
    let statuses = StatusList::empty()
        .with_directive(&[b"200", b"302"])
        .and_then(|list| list.with_directive(&[b"404", b"10s"]))
        .and_then(|list| list.with_directive(&[b"any", b"1m"]))
        .unwrap();
    let rules = Rules {
        statuses,
        ..Rules::default()
    };
    for (status, lines, fresh_for) in [
        (200, &[][..], 120),
        (302, &[], 120),
        (404, &[], 10),
        (500, &[], 60),
        // Any other one, with a time for any.
        (599, &[], 60),
        // What the response states counts more.
        (404, &[(CC, "max-age=7")], 7),
    ] {
        let plan = decide(RequestView::default(), status, lines, &rules).unwrap();
        assert_eq!(plan.fresh_for, fresh_for, "{status}");
    }
}

/// RFC 9111 5.2.2.4, RFC 9110 15.4.5: what no 304 can confirm isn't worth its place if it must be confirmed each time.
#[test]
fn no_cache_is_kept_where_a_304_can_confirm_it() {
    let rules = Rules {
        statuses: StatusList::parse(b"200 203 301 404").unwrap(),
        ..Rules::default()
    };
    let lines: Lines<'_> = &[(CC, "no-cache"), ("ETag", "\"a\"")];
    for (status, wanted) in [
        (200, None),
        (203, None),
        (301, Some(Reason::NoCache)),
        (404, Some(Reason::NoCache)),
    ] {
        let decided = decide(RequestView::default(), status, lines, &rules);
        assert_eq!(decided.err(), wanted, "{status}");
    }
}

/// RFC 9111 4.2.2, RFC 9110 15.1: a guess is for statuses that allow one, or for what says that it is public.
#[test]
#[rustfmt::skip]
fn heuristics_are_for_some_statuses() {
    const GUESS: u32 = 777;
    let rules = Rules {
        statuses: StatusList::empty().with_directive(&[b"any", b"1m"]).unwrap().with_directive(&[b"410", b"20s"]).unwrap(),
        ..Rules::default()
    };
    let listed = Rules { statuses: StatusList::parse(b"200 203 204 300 301 302 307 308 404 405 410 414 403 500 501 503").unwrap(), ..rules.clone() };
    // 777 s are a tenth of the time since the modification.
    let modified = ("Last-Modified", "Sun, 06 Nov 1994 06:40:07 GMT");
    let of = |status: u16, lines: Lines<'_>, rules: &Rules| {
        let heuristic = cache_core::freshness::Heuristic { percent: 10, max: 86_400 };
        let rules = Rules { heuristic: Some(heuristic), ..rules.clone() };
        decide(RequestView::default(), status, &[lines, &[modified]].concat(), &rules).map(|plan| plan.fresh_for)
    };
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(of(status, &[], &listed), Ok(GUESS), "9110 15.1: {status}");
    }
    for status in [302, 307, 403, 500, 503] {
        assert_eq!(of(status, &[], &listed), Ok(120), "4.2.2: {status}");
        assert_eq!(of(status, &[(CC, "public")], &listed), Ok(GUESS), "4.2.2 public: {status}");
    }
    assert_eq!(of(410, &[], &rules), Ok(20), "the operator's time for this status");
    assert_eq!(of(200, &[(CC, "max-age=5")], &listed), Ok(5), "4.2.1 stated");
}

#[test]
#[rustfmt::skip]
fn what_is_read_while_it_happens() {
    let stream = Some(Reason::EventStream);
    // (Content-Type, X-Accel-Buffering: no, length, what keeps it out)
    let cases = [
        ("text/event-stream", false, None, stream),
        ("text/event-stream", false, Some(10), stream),
        ("Text/Event-Stream ; charset=utf-8", false, None, stream),
        ("multipart/x-mixed-replace; boundary=x", false, None, stream),
        ("text/event-streams", false, None, None),
        ("text/plain", true, None, stream),
        ("text/plain", true, Some(10), None),
        ("text/plain", false, None, None),
        ("", true, None, stream),
    ];
    for (media_type, unbuffered, content_length, wanted) in cases {
        let mut headers = Headers::new();
        headers.push("Content-Type", media_type);
        let resp = ResponseView {
            status: 200, headers: &headers, dates: &OriginDates::default(),
            content_length, accel_redirect: false, ignored: Ignore::NONE, unbuffered, delay: 0,
        };
        let err = storable(&RequestView::default(), &resp, &Rules::default(), NOW).err();
        assert_eq!(err, wanted, "{media_type} {unbuffered} {content_length:?}");
    }
}

#[test]
fn a_page_in_place_of_an_error_is_kept_as_the_error_may_be() {
    let rules = Rules {
        statuses: StatusList::parse(b"200 404").unwrap(),
        age: 60,
        stale: 0,
        ..Rules::default()
    };
    let cases: [(u16, Lines<'_>, Lines<'_>, Result<u32, Reason>); 7] = [
        (404, &[], &[], Ok(60)),
        (404, &[("Cache-Control", "max-age=5")], &[], Ok(5)),
        (404, &[], &[("Cache-Control", "max-age=5")], Ok(5)),
        (
            404,
            &[("Cache-Control", "private")],
            &[],
            Err(Reason::Private),
        ),
        (404, &[("Vary", "X-A")], &[], Err(Reason::Vary)),
        (503, &[], &[], Err(Reason::StatusNotListed)),
        (404, &[], &[("Set-Cookie", "a=1")], Err(Reason::SetCookie)),
    ];
    for (status, error, page, wanted) in cases {
        let dates = OriginDates::default();
        let (error, page) = (lines(error), lines(page));
        let view = |status, headers| ResponseView {
            status,
            headers,
            dates: &dates,
            content_length: None,
            accel_redirect: false,
            ignored: Ignore::NONE,
            unbuffered: false,
            delay: 0,
        };
        let before = std::iter::once(view(status, &error));
        let request = RequestView::default();
        let plan = storable_behind(&request, before, &view(200, &page), &rules, NOW);
        assert_eq!(
            plan.map(|plan| plan.expiry),
            wanted,
            "{status} {error:?} {page:?}"
        );
    }
}

fn lines(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}
