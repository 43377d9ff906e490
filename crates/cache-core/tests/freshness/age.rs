//! How old a response is when it is received (RFC 9111 4.2.3).

use cache_core::freshness::clock_behind;
use cache_core::ignore::Ignore;

use super::{CC, Case, DATE, DEFAULT, EXP, Lines, MAX, NOW, compute, headers};

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
