//! What a response, or a record that anybody may have written, can't do to those who get it: one table, each row with its
//! section. Interim answers are here, too: they would be the beginning of somebody else's answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use cache_core::freshness::OriginDates;
use cache_core::headers::{HeaderFault, Headers};
use cache_core::outcome::Reason;
use cache_core::policy::{RequestView, ResponseView, storable};
use cache_core::record::{Broken, RawRecord, decode_base};
use cache_core::rules::{Rules, StatusList};

type Lines<'a> = &'a [(&'static str, &'static str)];

fn record(status: &'static str, headers: &'static str, body: &'static str) -> RawRecord {
    RawRecord {
        pttl: 150_000,
        status: Some(status.into()),
        headers: Some(headers.into()),
        body: Some(body.into()),
        meta: None,
    }
}

#[test]
#[rustfmt::skip]
fn records_that_are_never_served() {
    use Broken::{Header, Json, Length, Refused, Status};
    let cases: &[(&str, &str, &str, Broken)] = &[
        ("9110 5.5 a line end in a value splits the response", "200", r#"{"X-A":"b\r\nSet-Cookie: c=1"}"#, Header(HeaderFault::Value)),
        ("9110 5.5 two of them end the header", "200", r#"{"Location":"/\r\n\r\n<script>"}"#, Header(HeaderFault::Value)),
        ("9110 5.5 a bare CR", "200", r#"{"X-A":"b\rc"}"#, Header(HeaderFault::Value)),
        ("9110 5.5 a bare LF", "200", r#"{"X-A":"b\nc"}"#, Header(HeaderFault::Value)),
        ("9110 5.5 NUL", "200", r#"{"X-A":"b\u0000c"}"#, Header(HeaderFault::Value)),
        ("9110 5.5 in the second line of a field", "200", r#"{"X-A":["b","c\r\nd: e"]}"#, Header(HeaderFault::Value)),
        ("9110 5.1 a line end in a name", "200", r#"{"X-A: b\r\nX-C":"d"}"#, Header(HeaderFault::Name)),
        ("9110 5.1 a colon in a name", "200", r#"{"X-A:":"d"}"#, Header(HeaderFault::Name)),
        ("9112 5.1 a blank behind a name", "200", r#"{"X-A ":"d"}"#, Header(HeaderFault::Name)),
        ("9112 6.3 shorter than it says: the next response would be a part of it", "200", r#"{"Content-Length":"9"}"#, Length),
        ("9112 6.3 longer than it says: its rest would be the next response", "200", r#"{"Content-Length":"3"}"#, Length),
        ("9112 6.3 two lengths", "200", r#"{"Content-Length":["4","9"]}"#, Length),
        ("9112 6.3 a list of lengths", "200", r#"{"Content-Length":"4, 4"}"#, Length),
        ("9112 6.3 a sign", "200", r#"{"Content-Length":"+4"}"#, Length),
        ("9112 6.3 hexadecimal", "200", r#"{"Content-Length":"0x4"}"#, Length),
        ("9110 15.2 an interim answer is followed by another", "103", "{}", Status),
        ("9110 15.2.2 a change of protocol", "101", "{}", Status),
        ("9110 15 no status", "600", "{}", Status),
        ("9112 4 a status line", "200 OK\r\nX-A: b", "{}", Status),
        ("9111 3.3 a part", "206", "{}", Refused(Reason::PartialContent)),
        ("9111 4.3.3 a confirmation", "304", "{}", Refused(Reason::NotModified)),
        ("9111 5.2.2.5 no-store", "200", r#"{"Cache-Control":"no-store"}"#, Refused(Reason::NoStore)),
        ("9111 5.2.2.7 private", "200", r#"{"Cache-Control":"private"}"#, Refused(Reason::Private)),
        ("9111 5.2.2.7 in another spelling", "200", r#"{"CACHE-CONTROL":["max-age=9","PRIVATE"]}"#, Refused(Reason::Private)),
        ("9111 7.3 somebody's cookie", "200", r#"{"Set-Cookie":"session=1"}"#, Refused(Reason::SetCookie)),
        ("9111 7.3 in another spelling", "200", r#"{"sEt-cOOkie":"session=1"}"#, Refused(Reason::SetCookie)),
        ("9111 4.1 nobody's variant", "200", r#"{"Vary":"*"}"#, Refused(Reason::Vary)),
        ("8259 2 no JSON", "200", "X-A: b", Json),
        ("8259 2 something behind it", "200", r#"{"X-A":"b"}{"X-C":"d"}"#, Json),
    ];
    for (section, status, headers, wanted) in cases {
        assert_eq!(decode_base(&record(status, headers, "body"), &Rules::default()), Err(*wanted), "{section}");
    }
}

#[test]
#[rustfmt::skip]
fn fields_that_a_record_has_no_say_in() {
    let cases: &[(&str, &str)] = &[
        ("9112 6.1", r#"{"Transfer-Encoding":"chunked"}"#),
        ("9110 7.6.1", r#"{"Connection":"close"}"#),
        ("9110 7.6.1 what Connection names", r#"{"Connection":"X-Own, close","X-Own":"a"}"#),
        ("9110 7.6.1 in any spelling", r#"{"cONNECTION":"x-own","X-OWN":"a"}"#),
        ("9110 7.8", r#"{"Upgrade":"h2c"}"#),
        ("9110 6.6.2", r#"{"Trailer":"X-A"}"#),
        ("9112 C.2.2", r#"{"Keep-Alive":"timeout=99"}"#),
        ("9112 C.2.2", r#"{"Proxy-Connection":"keep-alive"}"#),
        ("9110 11.7.1", r#"{"Proxy-Authenticate":"Basic realm=a"}"#),
        ("9111 5.1 it is counted anew", r#"{"Age":"0"}"#),
    ];
    for (section, headers) in cases {
        let record = decode_base(&record("200", headers, "body"), &Rules::default()).unwrap().unwrap();
        assert!(record.headers.is_empty(), "{section}: {:?}", record.headers);
    }
}

#[test]
#[rustfmt::skip]
fn responses_that_are_never_stored() {
    let everything = StatusList::empty().with_directive(&[b"any", b"1m"]).unwrap();
    let rules = Rules { statuses: everything, ..Rules::default() };
    let cases: &[(&str, u16, Lines<'_>, Reason)] = &[
        ("9110 15.2.1", 100, &[("Cache-Control", "max-age=60")], Reason::Interim),
        ("9110 15.2.2", 101, &[("Cache-Control", "max-age=60")], Reason::Interim),
        ("9110 15.2", 102, &[("Cache-Control", "public, max-age=60")], Reason::Interim),
        ("8297 2", 103, &[("Cache-Control", "s-maxage=60"), ("Link", "</a>; rel=preload")], Reason::Interim),
        ("9110 15.2 one that nobody knows", 199, &[("Cache-Control", "max-age=60")], Reason::Interim),
        ("9110 15.2 for X-Accel-Expires neither", 103, &[("X-Accel-Expires", "60")], Reason::Interim),
        ("9111 3.3", 206, &[("Cache-Control", "max-age=60")], Reason::PartialContent),
        ("9110 15 no status", 600, &[("Cache-Control", "max-age=60")], Reason::StatusNotListed),
        ("9110 5.5", 200, &[("X-A", "b\nc: d")], Reason::HeaderInvalid),
        ("9110 5.5", 200, &[("X-A", "b\0")], Reason::HeaderInvalid),
        ("9110 5.1", 200, &[("X-A:", "b")], Reason::HeaderInvalid),
    ];
    for (section, status, lines, wanted) in cases {
        let mut headers = Headers::new();
        for (name, value) in *lines {
            headers.push(*name, Bytes::from_static(value.as_bytes()));
        }
        let view = ResponseView {
            status: *status,
            headers: &headers,
            dates: &OriginDates::default(),
            content_length: None,
            accel_redirect: false,
            unbuffered: false,
            ignored: cache_core::ignore::Ignore::NONE,
            delay: 0,
        };
        let decided = storable(&RequestView::default(), &view, &rules, 1_000_000);
        assert_eq!(decided.err(), Some(*wanted), "{section}: {status}");
    }
}
