//! How long a response is fresh: RFC 9111 4.2 as tables, each row with its section.

mod age;
mod lifetime;

use bytes::Bytes;
use cache_core::freshness::{Defaults, Freshness, OriginDates, Received, freshness};
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
