//! Which responses to POST are stored for later GETs (RFC 9110 9.3.3), as tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache_core::complex_value::is_as_sent;
use cache_core::freshness::{Heuristic, OriginDates};
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::outcome::Reason;
use cache_core::policy::{RequestView, ResponseView, storable};
use cache_core::post::{self, is_of_post, names_target};
use cache_core::rules::Rules;
use cache_core::uri::{Origin, Target};

const NOW: u64 = 784_111_777;

type Lines<'a> = &'a [(&'static str, &'static str)];

fn headers(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

#[test]
#[rustfmt::skip]
fn content_location_names_the_target() {
    let cases: &[(&str, &str, bool)] = &[
        ("9110 8.7 absolute", "http://example.com/a/b?c=d", true),
        ("3986 6.2.3 the scheme's own port", "http://example.com:80/a/b?c=d", true),
        ("3986 6.2.2.1 case of scheme and host", "HTTP://Example.COM/a/b?c=d", true),
        ("3986 4.2 without a scheme", "//example.com/a/b?c=d", true),
        ("9110 8.7 partial", "/a/b?c=d", true),
        ("9110 8.7 partial", "b?c=d", true),
        ("9110 8.7 partial", "./b?c=d", true),
        ("9110 8.7 partial", "../a/b?c=d", true),
        ("9110 8.7 partial", "?c=d", true),
        ("3986 5.2.4", "/x/../a/./b?c=d", true),
        ("5.5 blanks around it", " /a/b?c=d\t", true),
        ("a fragment isn't part of it", "/a/b?c=d#e", true),
        ("another query", "/a/b?c=e", false),
        ("no query", "/a/b", false),
        ("a query more", "/a/b?c=d&e=f", false),
        ("another path", "/a/c?c=d", false),
        ("another path", "c?c=d", false),
        ("a path below", "/a/b/?c=d", false),
        ("a path is told by its case", "/A/b?c=d", false),
        ("no other form of it", "/%61/b?c=d", false),
        ("another host", "http://example.org/a/b?c=d", false),
        ("another port", "http://example.com:8080/a/b?c=d", false),
        ("another scheme", "https://example.com/a/b?c=d", false),
        ("another scheme", "urn:a", false),
        ("no URI", "/a b?c=d", false),
        ("nothing", "", false),
        ("nothing", " ", false),
    ];
    let own = Target::of_request(b"/a/b?c=d").unwrap();
    let origin = Origin::new(false, b"example.com");
    for (section, value, wanted) in cases {
        let said = headers(&[("Content-Location", value)]);
        assert_eq!(names_target(200, &said, &own, origin.as_ref()), *wanted, "{section}: {value}");
    }
}

#[test]
fn it_does_so_once_and_in_a_200() {
    let own = Target::of_request(b"/a").unwrap();
    let origin = Origin::new(false, b"a");
    let once: Lines<'_> = &[("content-location", "/a")];
    let names = |status, lines| names_target(status, &headers(lines), &own, origin.as_ref());
    assert!(names(200, once));
    for status in [
        0, 100, 201, 202, 203, 204, 206, 301, 303, 304, 400, 404, 500,
    ] {
        assert!(!names(status, once), "{status}");
    }
    assert!(!names(200, &[]));
    assert!(!names(200, &[("Location", "/a")]));
    let twice: Lines<'_> = &[("Content-Location", "/a"), ("Content-Location", "/a")];
    assert!(!names(200, twice), "the second may be another one");
}

#[test]
fn without_a_known_host_only_relative_references_do() {
    let own = Target::of_request(b"/a").unwrap();
    let names = |value| names_target(200, &headers(&[("Content-Location", value)]), &own, None);
    assert!(names("/a") && names("a"));
    assert!(!names("http://a/a") && !names("//a/a"));
}

fn verdict(lines: Lines<'_>, rules: &Rules) -> Result<u32, Reason> {
    let said = headers(lines);
    let response = ResponseView {
        status: 200,
        headers: &said,
        dates: &OriginDates::default(),
        content_length: None,
        accel_redirect: false,
        unbuffered: false,
        ignored: Ignore::NONE,
        delay: 0,
    };
    let plan = storable(&RequestView::default(), &response, rules, NOW)?;
    post::storable(plan).map(|plan| plan.fresh_for)
}

#[test]
#[rustfmt::skip]
fn the_lifetime_is_the_response_s_own_word() {
    const CC: &str = "Cache-Control";
    const DATE: (&str, &str) = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    const MODIFIED: (&str, &str) = ("Last-Modified", "Sat, 05 Nov 1994 08:49:37 GMT");
    let cases: &[(&str, Lines<'_>, Result<u32, Reason>)] = &[
        ("max-age", &[(CC, "max-age=60")], Ok(60)),
        ("s-maxage", &[(CC, "s-maxage=60, max-age=1")], Ok(60)),
        ("Expires", &[DATE, ("Expires", "Sun, 06 Nov 1994 08:50:37 GMT")], Ok(60)),
        ("9213 a field for caches", &[("CDN-Cache-Control", "max-age=60")], Ok(60)),
        ("X-Accel-Expires", &[("X-Accel-Expires", "60")], Ok(60)),
        ("its age counts", &[(CC, "max-age=60"), ("Age", "20")], Ok(40)),
        ("nothing", &[], Err(Reason::NoFreshness)),
        ("public is no lifetime", &[(CC, "public")], Err(Reason::NoFreshness)),
        ("a guess", &[DATE, MODIFIED], Err(Reason::NoFreshness)),
        ("expired", &[(CC, "max-age=0")], Err(Reason::Expired)),
        ("expired", &[(CC, "max-age=60"), ("Age", "60")], Err(Reason::Expired)),
        ("expired", &[("Expires", "0")], Err(Reason::Expired)),
        ("validated each time", &[(CC, "max-age=60, no-cache"), ("ETag", "\"a\"")], Err(Reason::NoCache)),
        ("as a GET's", &[(CC, "max-age=60, private")], Err(Reason::Private)),
        ("as a GET's", &[(CC, "max-age=60, no-store")], Err(Reason::NoStore)),
        ("as a GET's", &[(CC, "max-age=60"), ("Set-Cookie", "a=b")], Err(Reason::SetCookie)),
        ("as a GET's", &[(CC, "max-age=60"), ("Vary", "*")], Err(Reason::Vary)),
        ("as a GET's", &[("X-Accel-Expires", "0")], Err(Reason::AccelExpires)),
    ];
    let rules = Rules {
        heuristic: Heuristic::parse(&[b"10%"]).ok(),
        ..Rules::default()
    };
    for (section, lines, wanted) in cases {
        assert_eq!(verdict(lines, &rules), *wanted, "{section}: {lines:?}");
    }
}

#[test]
fn what_is_ignored_states_no_lifetime() {
    let ignoring = |ignore| Rules {
        ignore,
        ..Rules::default()
    };
    let cases: &[(&[u8], Lines<'_>)] = &[
        (b"Cache-Control", &[("Cache-Control", "max-age=60")]),
        (b"Expires", &[("Expires", "Sun, 06 Nov 1994 08:50:37 GMT")]),
        (b"X-Accel-Expires", &[("X-Accel-Expires", "60")]),
    ];
    for (name, lines) in cases {
        let rules = ignoring(Ignore::named(name).unwrap());
        assert_eq!(
            verdict(lines, &rules),
            Err(Reason::NoFreshness),
            "{lines:?}"
        );
        assert_eq!(verdict(lines, &Rules::default()), Ok(60), "{lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn keys_that_name_what_a_get_has_not() {
    let cases: &[(&str, bool)] = &[
        ("$scheme://$host$request_uri", false),
        ("$request_method:$uri$is_args$args", false),
        ("$http_accept_language$mapped${cookie_a}", false),
        ("$request_uri$http_content", false),
        ("$request", true),
        ("${request}x", true),
        ("$uri$request_body", true),
        ("$REQUEST_BODY", true),
        ("$request_body_file", true),
        ("$request_length", true),
        ("$content_type$uri", true),
        ("$uri$content_length", true),
        ("$uri$http_content_type", true),
        ("$uri$http_content_md5", true),
    ];
    for (template, wanted) in cases {
        assert_eq!(is_of_post(template.as_bytes()), *wanted, "{template}");
    }
}

#[test]
#[rustfmt::skip]
fn keys_that_no_rewrite_changes() {
    let cases: &[(&str, bool)] = &[
        ("$scheme://$redis_cache_authority$request_uri", true),
        ("$request_method:$host$request_uri$http_accept$cookie_lang", true),
        ("constant", true),
        ("$scheme://$host$uri", false),
        ("$request_uri$document_uri", false),
        ("$request_uri$is_args$args", false),
        ("$request_uri$query_string", false),
        ("$request_uri$arg_page", false),
        ("$request_uri$redis_cache_args", false),
        ("$request_uri$mapped", false),
        ("$request_uri$1", false),
    ];
    for (template, wanted) in cases {
        assert_eq!(is_as_sent(template.as_bytes()), *wanted, "{template}");
    }
}
