//! How long a response is fresh: RFC 9111 4.2 as tables, each row with its section.

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::freshness::{Freshness, OriginDates, Source, freshness, http_date};
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;

/// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 5.6.7.
const NOW: u64 = 784_111_777;
const MAX: u32 = 0x7fff_ffff;
const DEFAULT: u32 = 120;

type Lines<'a> = &'a [(&'static str, &'static str)];

fn headers(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

fn compute(lines: Lines<'_>, date: Option<&'static str>, ignore: Ignore) -> Freshness {
    let headers = headers(lines);
    let origin = OriginDates {
        date: date.map(Bytes::from),
        expires: None,
    };
    let cc = cache_control::parse(headers.get_all("Cache-Control"));
    freshness(&headers, &origin, &cc, ignore, DEFAULT, NOW)
}

const DATE: Option<&str> = Some("Sun, 06 Nov 1994 08:49:37 GMT");
const CC: &str = "Cache-Control";
const EXP: &str = "Expires";
/// 60 s after DATE.
const SOON: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

/// (section, headers, Date, lifetime, source)
type Lifetime<'a> = (&'a str, Lines<'a>, Option<&'static str>, u32, Source);

#[test]
#[rustfmt::skip]
fn lifetime_is_the_first_that_is_stated() {
    let cases: &[Lifetime<'_>] = &[
        ("4.2.2 nothing stated", &[], DATE, DEFAULT, Source::Default),
        ("4.2.1 max-age", &[(CC, "max-age=5")], DATE, 5, Source::MaxAge),
        ("5.2.2.10 s-maxage", &[(CC, "s-maxage=7")], DATE, 7, Source::SMaxage),
        ("5.2.2.10 over max-age", &[(CC, "max-age=5, s-maxage=7")], DATE, 7, Source::SMaxage),
        ("5.2.2.10 in any line", &[(CC, "s-maxage=7"), (CC, "max-age=5")], DATE, 7, Source::SMaxage),
        ("5.3 max-age over Expires", &[(CC, "max-age=5"), (EXP, SOON)], DATE, 5, Source::MaxAge),
        ("5.3 s-maxage over Expires", &[(CC, "s-maxage=5"), (EXP, SOON)], DATE, 5, Source::SMaxage),
        ("4.2.1 Expires minus Date", &[(EXP, SOON)], DATE, 60, Source::Expires),
        ("4.2.1 a bad max-age is 0", &[(CC, "max-age=x"), (EXP, SOON)], DATE, 0, Source::MaxAge),
        ("1.2.2 overflow", &[(CC, "max-age=99999999999")], DATE, MAX, Source::MaxAge),
        ("5.2.2.9 public states none", &[(CC, "public")], DATE, DEFAULT, Source::Default),
    ];
    for (section, lines, date, lifetime, source) in cases {
        let found = compute(lines, *date, Ignore::NONE);
        assert_eq!((found.lifetime, found.source), (*lifetime, *source), "{section}");
    }
}

#[test]
#[rustfmt::skip]
fn expires() {
    /// 60 s before NOW: the origin's clock is slow.
    const EARLIER: Option<&str> = Some("Sun, 06 Nov 1994 08:48:37 GMT");
    let cases: &[(&str, Lines<'_>, Option<&'static str>, u32)] = &[
        ("4.2.1 by the origin's own clock", &[(EXP, SOON)], EARLIER, 120),
        ("9110 6.6.1 no Date: time of receipt", &[(EXP, SOON)], None, 60),
        ("9110 6.6.1 bad Date: time of receipt", &[(EXP, SOON)], Some("yesterday"), 60),
        ("5.3 the same instant", &[(EXP, "Sun, 06 Nov 1994 08:49:37 GMT")], DATE, 0),
        ("5.3 in the past", &[(EXP, "Thu, 01 Dec 1983 16:00:00 GMT")], DATE, 0),
        ("5.3 0 is the past", &[(EXP, "0")], DATE, 0),
        ("5.3 -1", &[(EXP, "-1")], DATE, 0),
        ("5.3 empty", &[(EXP, "")], DATE, 0),
        ("5.3 text", &[(EXP, "tomorrow")], DATE, 0),
        ("9110 5.6.7 wrong zone", &[(EXP, "Sun, 06 Nov 1994 08:50:37 CET")], DATE, 0),
        ("9110 5.6.7 offset", &[(EXP, "Sun, 06 Nov 1994 08:50:37 +0000")], DATE, 0),
        ("9110 5.6.7 no such day", &[(EXP, "Wed, 31 Feb 2100 00:00:00 GMT")], DATE, 0),
        ("9110 5.6.7 RFC 850", &[(EXP, "Sunday, 06-Nov-94 08:50:37 GMT")], DATE, 60),
        ("9110 5.6.7 asctime", &[(EXP, "Sun Nov  6 08:50:37 1994")], DATE, 60),
        ("9110 5.6.3 blanks around", &[(EXP, " Sun, 06 Nov 1994 08:50:37 GMT\t")], DATE, 60),
        ("1.2.2 beyond 2^31", &[(EXP, "Fri, 31 Dec 9999 23:59:59 GMT")], DATE, MAX),
        ("4.2.1 the earlier of two", &[(EXP, SOON), (EXP, "Sun, 06 Nov 1994 08:49:47 GMT")], DATE, 10),
        ("4.2.1 a bad one of two", &[(EXP, SOON), (EXP, "0")], DATE, 0),
    ];
    for (section, lines, date, lifetime) in cases {
        let found = compute(lines, *date, Ignore::NONE);
        assert_eq!((found.lifetime, found.source), (*lifetime, Source::Expires), "{section}");
    }
}

#[test]
#[rustfmt::skip]
fn age_received_counts() {
    let cases: &[(&str, Lines<'_>, u32, u32)] = &[
        // (section, headers, initial age, remaining of 120)
        ("4.2.3 none", &[], 0, 120),
        ("4.2.3", &[("Age", "20")], 20, 100),
        ("4.2 as old as it may be", &[("Age", "120")], 120, 0),
        ("4.2 older", &[("Age", "500")], 500, 0),
        ("1.2.2 overflow is old", &[("Age", "2147483648")], MAX, 0),
        ("1.2.2 overflow is old", &[("Age", "99999999999999999999999999")], MAX, 0),
        ("5.1 first of a list", &[("Age", "20, 90")], 20, 100),
        ("5.1 first of the lines", &[("Age", "20"), ("Age", "90")], 20, 100),
        ("5.1 blanks", &[("Age", " 20 ")], 20, 100),
        ("5.1 invalid is none", &[("Age", "abc")], 0, 120),
        ("5.1 negative is none", &[("Age", "-20")], 0, 120),
        ("5.1 decimal is none", &[("Age", "20.5")], 0, 120),
        ("5.1 quoted is none", &[("Age", "\"20\"")], 0, 120),
        ("5.1 empty is none", &[("Age", "")], 0, 120),
        ("5.1 invalid first", &[("Age", "x, 20")], 0, 120),
    ];
    for (section, lines, age, remaining) in cases {
        let found = compute(lines, DATE, Ignore::NONE);
        assert_eq!((found.initial_age, found.remaining()), (*age, *remaining), "{section}");
    }
}

#[test]
fn ignored_fields_state_nothing() {
    let all = [(CC, "max-age=5, s-maxage=7"), (EXP, SOON)];
    let without_cc = Ignore {
        cache_control: true,
        ..Ignore::NONE
    };
    let without_expires = Ignore {
        expires: true,
        ..Ignore::NONE
    };
    for (ignore, lifetime, source) in [
        (Ignore::NONE, 7, Source::SMaxage),
        (without_cc, 60, Source::Expires),
        (without_expires, 7, Source::SMaxage),
        (without_cc | without_expires, DEFAULT, Source::Default),
    ] {
        let found = compute(&all, DATE, ignore);
        assert_eq!(
            (found.lifetime, found.source),
            (lifetime, source),
            "{ignore:?}"
        );
    }
}

#[test]
fn dates_beside_the_headers_count() {
    let origin = OriginDates {
        date: None,
        expires: Some(Bytes::from(SOON)),
    };
    let of = |lines: Lines<'_>| {
        let headers = headers(lines);
        freshness(
            &headers,
            &origin,
            &cache_control::parse([].into_iter()),
            Ignore::NONE,
            DEFAULT,
            NOW,
        )
    };
    assert_eq!(of(&[]).lifetime, 60);
    // Where nginx left Date among the headers it is used too.
    assert_eq!(
        of(&[("Date", "Sun, 06 Nov 1994 08:50:27 GMT")]).lifetime,
        10
    );
}

#[test]
fn http_dates() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(
            http_date(text.as_bytes()),
            Some(NOW),
            "9110 5.6.7: {text:?}"
        );
    }
    assert_eq!(http_date(b"Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    for text in [
        &b""[..],
        b"0",
        b"\xff",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Thu, 01 Jan 1969 00:00:00 GMT",
    ] {
        assert_eq!(http_date(text), None, "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_value_is_read(expires: Vec<u8>, date: Vec<u8>, age: Vec<u8>) {
        let mut headers = Headers::new();
        headers.push(EXP, expires);
        headers.push("Age", age);
        let origin = OriginDates { date: Some(date.into()), expires: None };
        let cc = cache_control::parse([].into_iter());
        let found = freshness(&headers, &origin, &cc, Ignore::NONE, DEFAULT, NOW);
        proptest::prop_assert!(found.lifetime <= MAX && found.initial_age <= MAX);
    }
}
