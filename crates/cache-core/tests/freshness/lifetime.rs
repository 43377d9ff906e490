//! What states a lifetime, and which of several holds (RFC 9111 4.2.1, 4.2.2).

use bytes::Bytes;
use cache_core::freshness::{Defaults, Heuristic, OriginDates, Source};
use cache_core::ignore::Ignore;

use super::{CC, Case, DATE, DEFAULT, EXP, Lines, MAX, SOON, compute};

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
