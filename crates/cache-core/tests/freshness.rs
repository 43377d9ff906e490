//! How long a response is fresh: RFC 9111 4.2 as tables, each row with its section.

use bytes::Bytes;
use cache_core::freshness::{
    Defaults, Freshness, Heuristic, OriginDates, Received, Source, clock_behind, freshness,
};
use cache_core::headers::Headers;
use cache_core::http_date;
use cache_core::ignore::Ignore;
use cache_core::targeted::governing;

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

/// The circumstances of a receipt, and what the operator says.
struct Case {
    origin: OriginDates,
    accel_expires: Option<u32>,
    ignore: Ignore,
    delay: u32,
    defaults: Defaults,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            origin: OriginDates::default(),
            accel_expires: None,
            ignore: Ignore::NONE,
            delay: 0,
            defaults: Defaults {
                age: DEFAULT,
                heuristic: None,
            },
        }
    }
}

impl Case {
    fn dated(date: Option<&'static str>) -> Self {
        let origin = OriginDates {
            date: date.map(Bytes::from),
            ..OriginDates::default()
        };
        Self {
            origin,
            ..Self::default()
        }
    }

    fn of(&self, lines: Lines<'_>) -> Freshness {
        let headers = headers(lines);
        let governing = governing(&headers, self.ignore);
        let received = Received {
            headers: &headers,
            origin: &self.origin,
            governing: &governing,
            accel_expires: self.accel_expires,
            ignore_expires: self.ignore.expires,
            ignore_date: self.ignore.date,
            ignore_age: self.ignore.age,
            delay: self.delay,
            now: NOW,
        };
        freshness(&received, self.defaults)
    }
}

fn compute(lines: Lines<'_>, date: Option<&'static str>, ignore: Ignore) -> Freshness {
    let case = Case {
        ignore,
        ..Case::dated(date)
    };
    case.of(lines)
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
        ("4.2 names of any case", &[(EXP, "sun, 06 NOV 1994 08:50:37 gmt")], DATE, 60),
        ("9110 5.6.7 RFC 850, a year that has passed", &[(EXP, "Monday, 06-Nov-45 08:50:37 GMT")], DATE, 0),
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

/// (section, Date, Age, delay, initial age)
type Aged<'a> = (&'a str, Option<&'static str>, &'static str, u32, u32);

/// 4.2.3: the larger of what the origin's clock and what the way say.
#[test]
#[rustfmt::skip]
fn age_when_received() {
    /// 40 s before NOW
    const EARLIER: Option<&str> = Some("Sun, 06 Nov 1994 08:48:57 GMT");
    let cases: &[Aged<'_>] = &[
        ("apparent_age of a response just made", DATE, "", 0, 0),
        ("apparent_age, slow clock or long way", EARLIER, "", 0, 40),
        ("apparent_age, fast clock", Some("Sun, 06 Nov 1994 08:50:37 GMT"), "", 0, 0),
        ("apparent_age, no Date", None, "", 0, 0),
        ("apparent_age, invalid Date", Some("an hour ago"), "", 0, 0),
        ("apparent_age, Date of RFC 850", Some("Sunday, 06-Nov-94 08:48:57 GMT"), "", 0, 40),
        ("apparent_age, Date of asctime", Some("Sun Nov  6 08:48:57 1994"), "", 0, 40),
        ("apparent_age, Date of 1970", Some("Thu, 01 Jan 1970 00:00:00 GMT"), "", 0, 784_111_777),
        ("corrected_age_value, the larger", EARLIER, "60", 0, 60),
        ("corrected_age_value, the smaller", EARLIER, "20", 0, 40),
        ("response_delay", DATE, "", 3, 3),
        ("response_delay with Age", DATE, "20", 3, 23),
        ("response_delay within the apparent age", EARLIER, "", 3, 40),
        ("response_delay, Age overflows", DATE, "2147483647", 3, MAX),
    ];
    for (what, date, age, delay, wanted) in cases {
        let case = Case { delay: *delay, ..Case::dated(*date) };
        let found = case.of(&[("Age", age), (CC, "max-age=100")]);
        assert_eq!(found.initial_age, *wanted, "4.2.3 {what}");
        assert_eq!(found.remaining(), 100_u32.saturating_sub(*wanted), "4.2 {what}");
    }
}

/// The operator's time begins with the receipt; only an Age that was stated is taken from it.
#[test]
#[rustfmt::skip]
fn the_operators_time_begins_with_the_receipt() {
    const EARLIER: Option<&str> = Some("Sun, 06 Nov 1994 08:48:57 GMT");
    for (what, date, age, delay, initial, remaining) in [
        ("slow clock", EARLIER, "", 0, 40, DEFAULT),
        ("slow backend", DATE, "", 7, 7, DEFAULT),
        ("Age", DATE, "20", 0, 20, DEFAULT - 20),
        ("Age and a slow clock", EARLIER, "20", 0, 40, DEFAULT - 20),
        ("Age and a slow backend", DATE, "20", 7, 27, DEFAULT - 20),
        ("old", DATE, "900", 7, 907, 0),
    ] {
        let case = Case { delay, ..Case::dated(date) };
        let found = case.of(&[("Age", age)]);
        assert_eq!((found.initial_age, found.remaining()), (initial, remaining), "{what}");
    }
}

#[test]
#[rustfmt::skip]
fn accel_expires_counts_from_the_receipt() {
    for (lines, seconds, remaining) in [
        (&[][..], 60, 60),
        (&[("Age", "50")], 60, 60),
        (&[(CC, "s-maxage=5"), (EXP, SOON)], 600, 600),
        (&[(CC, "s-maxage=600")], 0, 0),
        (&[("Age", "50")], MAX, MAX - 50),
    ] {
        let case = Case { accel_expires: Some(seconds), ..Case::dated(DATE) };
        let found = case.of(lines);
        assert_eq!((found.remaining(), found.source), (remaining, Source::AccelExpires), "{lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn heuristic() {
    const LM: &str = "Last-Modified";
    /// 1000 s before DATE
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:32:57 GMT";
    let ten = Heuristic { percent: 10, max: Heuristic::MAX };
    let cases: &[(&str, Lines<'_>, Heuristic, u32, Source)] = &[
        ("4.2.2 a share", &[(LM, MODIFIED)], ten, 100, Source::Heuristic),
        ("4.2.2 another share", &[(LM, MODIFIED)], Heuristic { percent: 50, max: 900 }, 500, Source::Heuristic),
        ("4.2.2 at most", &[(LM, MODIFIED)], Heuristic { percent: 50, max: 60 }, 60, Source::Heuristic),
        ("4.2.2 of years, at most a day", &[(LM, "Thu, 01 Jan 1970 00:00:00 GMT")], ten, 86_400, Source::Heuristic),
        ("4.2.2 just modified", &[(LM, "Sun, 06 Nov 1994 08:49:37 GMT")], ten, 0, Source::Heuristic),
        ("4.2.2 a second of it is too short", &[(LM, "Sun, 06 Nov 1994 08:49:28 GMT")], ten, 0, Source::Heuristic),
        ("4.2.2 in the future", &[(LM, SOON)], ten, DEFAULT, Source::Default),
        ("4.2.2 no date", &[(LM, "last week")], ten, DEFAULT, Source::Default),
        ("4.2.2 no Last-Modified", &[("ETag", "\"a\"")], ten, DEFAULT, Source::Default),
        ("4.2.2 not where max-age is stated", &[(LM, MODIFIED), (CC, "max-age=7")], ten, 7, Source::MaxAge),
        ("4.2.2 nor Expires", &[(LM, MODIFIED), (EXP, SOON)], ten, 60, Source::Expires),
        ("4.2.2 nor an invalid Expires", &[(LM, MODIFIED), (EXP, "0")], ten, 0, Source::Expires),
    ];
    for (section, lines, heuristic, lifetime, source) in cases {
        let case = Case {
            defaults: Defaults { age: DEFAULT, heuristic: Some(*heuristic) },
            ..Case::dated(DATE)
        };
        let found = case.of(lines);
        assert_eq!((found.lifetime, found.source), (*lifetime, *source), "{section}");
    }
    // 4.2.3: the age at receipt is taken from it as from any other.
    let case = Case {
        defaults: Defaults { age: DEFAULT, heuristic: Some(ten) },
        ..Case::dated(DATE)
    };
    assert_eq!(case.of(&[(LM, MODIFIED), ("Age", "30")]).remaining(), 70);
}

#[test]
#[rustfmt::skip]
fn heuristic_directives() {
    fn read<'a>(arguments: &[&'a str]) -> Result<(u32, u32), &'a str> {
        let bytes: Vec<&[u8]> = arguments.iter().map(|text| text.as_bytes()).collect();
        Heuristic::parse(&bytes)
            .map(|found| (found.percent, found.max))
            .map_err(|bad| std::str::from_utf8(bad).unwrap_or("?"))
    }
    type Case<'a> = (&'a [&'a str], Result<(u32, u32), &'a str>);
    let cases: &[Case<'_>] = &[
        (&["10%"], Ok((10, 86_400))),
        (&["10"], Ok((10, 86_400))),
        (&["100%", "max=1h"], Ok((100, 3600))),
        (&["1", "max=90"], Ok((1, 90))),
        (&["0"], Err("0")),
        (&["101%"], Err("101%")),
        (&["4294967306"], Err("4294967306")),
        (&["ten"], Err("ten")),
        (&["%"], Err("%")),
        (&["+5"], Err("+5")),
        (&["1.5%"], Err("1.5%")),
        (&["10%", "1h"], Err("1h")),
        (&["10%", "max="], Err("max=")),
        (&["10%", "max=soon"], Err("max=soon")),
        (&["10%", "max=1h", "more"], Err("more")),
    ];
    for (arguments, wanted) in cases {
        assert_eq!(read(arguments), *wanted, "{arguments:?}");
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
    let case = Case {
        origin: OriginDates {
            expires: Some(Bytes::from(SOON)),
            ..OriginDates::default()
        },
        ..Case::default()
    };
    let of = |lines: Lines<'_>| case.of(lines);
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
            http_date::parse(text.as_bytes(), NOW),
            Some(NOW),
            "9110 5.6.7: {text:?}"
        );
    }
    assert_eq!(
        http_date::parse(b"Thu, 01 Jan 1970 00:00:00 GMT", NOW),
        Some(0)
    );
    for text in [
        &b""[..],
        b"0",
        b"\xff",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Thu, 01 Jan 1969 00:00:00 GMT",
    ] {
        assert_eq!(http_date::parse(text, NOW), None, "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_value_is_read(expires: Vec<u8>, date: Vec<u8>, age: Vec<u8>, delay in 0..=MAX) {
        let mut headers = Headers::new();
        headers.push(EXP, expires);
        headers.push("Age", age);
        let origin = OriginDates { date: Some(date.into()), ..OriginDates::default() };
        let governing = governing(&headers, Ignore::NONE);
        let received = Received {
            headers: &headers, origin: &origin, governing: &governing, accel_expires: None,
            ignore_expires: false, ignore_date: false, ignore_age: false, delay, now: NOW,
        };
        let found = freshness(&received, Defaults { age: DEFAULT, heuristic: None });
        proptest::prop_assert!(found.lifetime <= MAX && found.initial_age <= MAX);
    }
}

/// A backend whose clock is an hour slow: NOW is an hour later than its Date.
#[test]
fn what_is_ignored_makes_no_age() {
    const SLOW: Option<&str> = Some("Sun, 06 Nov 1994 07:49:37 GMT");
    const AFTER_SLOW: &str = "Sun, 06 Nov 1994 07:50:37 GMT";
    let ignore = |name: &[u8]| Ignore::named(name).unwrap_or_default();
    let both = ignore(b"Date") | ignore(b"Age");
    let cases: [(Lines<'_>, Ignore, u32, u32); 6] = [
        (&[(CC, "max-age=60")], Ignore::NONE, 60, 3600),
        (&[(CC, "max-age=60")], ignore(b"Date"), 60, 0),
        (&[(CC, "max-age=60"), ("Age", "7")], ignore(b"Date"), 60, 7),
        (
            &[(CC, "max-age=60"), ("Age", "7")],
            ignore(b"Age"),
            60,
            3600,
        ),
        (&[(CC, "max-age=60"), ("Age", "7")], both, 60, 0),
        // By the backend's own clock.
        (&[(EXP, AFTER_SLOW)], ignore(b"Date"), 60, 0),
    ];
    for (lines, ignore, lifetime, age) in cases {
        let found = compute(lines, SLOW, ignore);
        assert_eq!(
            (found.lifetime, found.initial_age),
            (lifetime, age),
            "{lines:?}"
        );
    }
}

#[test]
fn how_far_a_clock_is_off() {
    let cases: [(Option<&'static str>, Lines<'_>, u32, Option<i64>); 9] = [
        (DATE, &[], 0, None),
        (None, &[], 0, None),
        (Some("never"), &[], 0, None),
        (Some("Sun, 06 Nov 1994 08:48:37 GMT"), &[], 0, None),
        (Some("Sun, 06 Nov 1994 08:48:36 GMT"), &[], 0, Some(61)),
        (Some("Sun, 06 Nov 1994 07:49:37 GMT"), &[], 0, Some(3600)),
        (
            Some("Sun, 06 Nov 1994 07:49:37 GMT"),
            &[("Age", "3590")],
            0,
            None,
        ),
        (Some("Sun, 06 Nov 1994 08:48:07 GMT"), &[], 60, None),
        (
            Some("Sun, 06 Nov 1994 09:49:37 GMT"),
            &[("Age", "60")],
            0,
            Some(-3600),
        ),
    ];
    for (date, lines, delay, expected) in cases {
        let case = Case::dated(date);
        let found = clock_behind(&headers(lines), &case.origin, delay, NOW);
        assert_eq!(found, expected, "{date:?} {lines:?} {delay}");
    }
}
