//! Dates as RFC 9110 5.6.7 writes them and RFC 9111 4.2 wants them read.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use cache_core::http_date::parse;
use proptest::prelude::*;

/// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 5.6.7.
const THEN: u64 = 784_111_777;
/// Thu, 01 Jan 2026 00:00:00 GMT
const NOW: u64 = 1_767_225_600;

#[test]
#[rustfmt::skip]
fn dates() {
    let cases: &[(&str, &str, Option<u64>)] = &[
        ("5.6.7 IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", Some(THEN)),
        ("5.6.7 RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", Some(THEN)),
        ("5.6.7 asctime", "Sun Nov  6 08:49:37 1994", Some(THEN)),
        ("5.6.7 asctime, two digits", "Wed Nov 16 08:49:37 1994", Some(THEN + 10 * 86_400)),
        ("5.6.7 the first", "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("5.6.7 the last", "Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
        ("5.6.7 29 February", "Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
        ("5.6.7 29 February 2000", "Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
        ("5.6.7 a leap second", "Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799)),
        ("5.6.3 blanks around", " Sun, 06 Nov 1994 08:49:37 GMT\t", Some(THEN)),
        ("9111 4.2 case of the day", "SUN, 06 Nov 1994 08:49:37 GMT", Some(THEN)),
        ("9111 4.2 case of the month", "Sun, 06 nOV 1994 08:49:37 GMT", Some(THEN)),
        ("9111 4.2 case of the zone", "Sun, 06 Nov 1994 08:49:37 gMT", Some(THEN)),
        ("9111 4.2 case in RFC 850", "sunday, 06-NOV-94 08:49:37 gmt", Some(THEN)),
        ("9111 4.2 another zone", "Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("9111 4.2 another zone", "Sun, 06 Nov 1994 08:49:37 CET", None),
        ("9111 4.2 an offset", "Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("9111 4.2 no zone", "Sun, 06 Nov 1994 08:49:37", None),
        ("5.6.7 no such day of February", "Wed, 29 Feb 2023 00:00:00 GMT", None),
        ("5.6.7 no such day of February", "Mon, 29 Feb 2100 00:00:00 GMT", None),
        ("5.6.7 no such day", "Tue, 31 Apr 2024 00:00:00 GMT", None),
        ("5.6.7 no such day", "Tue, 00 Apr 2024 00:00:00 GMT", None),
        ("5.6.7 no such hour", "Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("5.6.7 no such minute", "Sun, 06 Nov 1994 08:60:37 GMT", None),
        ("5.6.7 no such second", "Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("5.6.7 two digits of a year", "Sun, 06 Nov 94 08:49:37 GMT", None),
        ("5.6.7 four digits in RFC 850", "Sunday, 06-Nov-1994 08:49:37 GMT", None),
        ("5.6.7 dashes", "Sun, 06-Nov-1994 08:49:37 GMT", None),
        ("5.6.7 no comma", "Sun 06 Nov 1994 08:49:37 GMT", None),
        ("5.6.7 two blanks", "Sun, 06  Nov  1994 08:49:37 GMT", None),
        ("5.6.7 one digit of a day", "Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("5.6.7 one digit of an hour", "Sun, 06 Nov 1994 8:49:37 GMT", None),
        ("5.6.7 full stops", "Sun, 06 Nov 1994 08.49.37 GMT", None),
        ("5.6.7 something behind it", "Sun, 06 Nov 1994 08:49:37 GMT x", None),
        ("5.6.7 a number", "784111777", None),
        ("5.6.7 nothing", "", None),
        ("before 1970", "Wed, 31 Dec 1969 23:59:59 GMT", None),
    ];
    for (section, text, wanted) in cases {
        assert_eq!(parse(text.as_bytes(), NOW), *wanted, "{section}: {text:?}");
    }
    assert_eq!(parse(b"\xff\xff", NOW), None);
}

/// 5.6.7: what seems to be more than 50 years ahead is the latest such year of the past.
#[test]
#[rustfmt::skip]
fn two_digits_of_a_year() {
    for (text, wanted) in [
        ("Thursday, 01-Jan-76 00:00:00 GMT", "Wed, 01 Jan 2076 00:00:00 GMT"),
        ("Thursday, 01-Jan-76 00:00:01 GMT", "Thu, 01 Jan 1976 00:00:01 GMT"),
        ("Friday, 01-Jan-77 00:00:00 GMT", "Sat, 01 Jan 1977 00:00:00 GMT"),
        ("Friday, 31-Dec-75 00:00:00 GMT", "Fri, 31 Dec 2075 00:00:00 GMT"),
        ("Friday, 31-Dec-99 00:00:00 GMT", "Fri, 31 Dec 1999 00:00:00 GMT"),
        ("Saturday, 01-Jan-00 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("Thursday, 01-Jan-26 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ] {
        assert_eq!(parse(text.as_bytes(), NOW), parse(wanted.as_bytes(), NOW), "{text:?}");
        assert!(parse(wanted.as_bytes(), NOW).is_some(), "{wanted:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(text: Vec<u8>, now: u32) {
        let _ = parse(&text, u64::from(now));
    }

    #[test]
    fn every_second_of_every_form_is_read(time in 0..4_000_000_000u64) {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time);
        let fixdate = httpdate::fmt_http_date(at);
        prop_assert_eq!(parse(fixdate.as_bytes(), NOW), Some(time), "{}", fixdate);
        let (day, rest) = fixdate.split_at(3);
        let words: Vec<&str> = rest.split(' ').collect();
        let [_, date, month, year, clock, _] = words[..] else { panic!("{fixdate}") };
        let asctime = format!("{day} {month} {:>2} {clock} {year}", date.trim_start_matches('0'));
        prop_assert_eq!(parse(asctime.as_bytes(), NOW), Some(time), "{}", asctime);
        let rfc850 = format!("Monday, {date}-{month}-{} {clock} GMT", &year[2..]);
        prop_assert_eq!(parse(rfc850.as_bytes(), time), Some(time), "{}", rfc850);
    }
}

#[test]
fn dates_are_written_in_the_form_that_is_to_be_sent() {
    for (seconds, wanted) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (THEN, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        // No year has five digits.
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let text = cache_core::http_date::print(seconds);
        assert_eq!(std::str::from_utf8(&text), Ok(wanted));
    }
}
