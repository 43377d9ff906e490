//! What a request makes worthless: RFC 9111 4.4 and 4.3.5, and the URIs in it by RFC 3986, as tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache_core::complex_value::is_derivable;
use cache_core::headers::Headers;
use cache_core::invalidation::{head_disagrees, is_non_error, may_invalidate, other_targets};
use cache_core::uri::{Origin, Target, resolve};

fn target(text: &str) -> Target {
    Target::of_request(text.as_bytes()).unwrap()
}

fn text(target: Option<Target>) -> Option<String> {
    target.map(|target| String::from_utf8(target.in_origin_form()).unwrap())
}

#[test]
#[rustfmt::skip]
fn methods() {
    let cases = [
        ("9110 9.3.3", "POST", true),
        ("9110 9.3.4", "PUT", true),
        ("9110 9.3.5", "DELETE", true),
        ("5789", "PATCH", true),
        ("9111 4.4 safety unknown", "PURGE", true),
        ("9111 4.4 safety unknown", "FROBNICATE", true),
        ("9110 9.1 methods are case-sensitive", "Get", true),
        ("4918 9.3", "MKCOL", true),
        ("4918 9.9", "MOVE", true),
        ("9110 9.3.1", "GET", false),
        ("9110 9.3.2", "HEAD", false),
        ("9110 9.3.7", "OPTIONS", false),
        ("9110 9.3.8", "TRACE", false),
        ("4918 9.1 registered as safe", "PROPFIND", false),
        ("3253 3.6 registered as safe", "REPORT", false),
        ("5323 registered as safe", "SEARCH", false),
        ("9110 9.3.6 no resource", "CONNECT", false),
        ("none: refused before it was read", "", false),
    ];
    for (section, method, wanted) in cases {
        assert_eq!(may_invalidate(method.as_bytes()), wanted, "{section}: {method}");
    }
}

#[test]
#[rustfmt::skip]
fn statuses() {
    let cases = [
        ("9111 4.4 2xx", 200, true), ("9111 4.4 2xx", 201, true), ("9111 4.4 2xx", 204, true), ("9111 4.4 2xx", 299, true),
        ("9111 4.4 3xx", 303, true), ("9111 4.4 3xx", 304, true), ("9111 4.4 3xx", 399, true),
        ("9110 15.2 interim", 100, false), ("9110 15.2.2 another protocol", 101, false),
        ("9111 4.4 error", 400, false), ("9111 4.4 error", 405, false), ("9111 4.4 error", 412, false),
        ("9111 4.4 error", 500, false), ("9111 4.4 error", 503, false),
    ];
    for (section, status, wanted) in cases {
        assert_eq!(is_non_error(status), wanted, "{section}: {status}");
    }
}

/// RFC 3986 5.4, its own examples, with a base of scheme http and host a.
#[test]
#[rustfmt::skip]
fn references() {
    let cases = [
        ("5.4.1", "g:h", None),
        ("5.4.1", "g", Some("/b/c/g")),
        ("5.4.1", "./g", Some("/b/c/g")),
        ("5.4.1", "g/", Some("/b/c/g/")),
        ("5.4.1", "/g", Some("/g")),
        ("5.4.1 another host", "//g", None),
        ("5.4.1", "?y", Some("/b/c/d;p?y")),
        ("5.4.1", "g?y", Some("/b/c/g?y")),
        ("5.4.1", "#s", Some("/b/c/d;p?q")),
        ("5.4.1", "g#s", Some("/b/c/g")),
        ("5.4.1", "g?y#s", Some("/b/c/g?y")),
        ("5.4.1", ";x", Some("/b/c/;x")),
        ("5.4.1", "g;x", Some("/b/c/g;x")),
        ("5.4.1", "g;x?y#s", Some("/b/c/g;x?y")),
        ("5.4.1", "", Some("/b/c/d;p?q")),
        ("5.4.1", ".", Some("/b/c/")),
        ("5.4.1", "./", Some("/b/c/")),
        ("5.4.1", "..", Some("/b/")),
        ("5.4.1", "../", Some("/b/")),
        ("5.4.1", "../g", Some("/b/g")),
        ("5.4.1", "../..", Some("/")),
        ("5.4.1", "../../", Some("/")),
        ("5.4.1", "../../g", Some("/g")),
        ("5.4.2", "../../../g", Some("/g")),
        ("5.4.2", "../../../../g", Some("/g")),
        ("5.4.2", "/./g", Some("/g")),
        ("5.4.2", "/../g", Some("/g")),
        ("5.4.2", "g.", Some("/b/c/g.")),
        ("5.4.2", ".g", Some("/b/c/.g")),
        ("5.4.2", "g..", Some("/b/c/g..")),
        ("5.4.2", "..g", Some("/b/c/..g")),
        ("5.4.2", "./../g", Some("/b/g")),
        ("5.4.2", "./g/.", Some("/b/c/g/")),
        ("5.4.2", "g/./h", Some("/b/c/g/h")),
        ("5.4.2", "g/../h", Some("/b/c/h")),
        ("5.4.2", "g;x=1/./y", Some("/b/c/g;x=1/y")),
        ("5.4.2", "g;x=1/../y", Some("/b/c/y")),
        ("5.4.2", "g?y/./x", Some("/b/c/g?y/./x")),
        ("5.4.2", "g?y/../x", Some("/b/c/g?y/../x")),
        ("5.4.2", "g#s/./x", Some("/b/c/g")),
        ("5.4.2 strict", "http:g", None),
        ("5.3 a colon behind a slash", "./g:h", Some("/b/c/g:h")),
        ("3.2 path empty", "http://a", Some("/")),
        ("3.2 path empty", "//a?x", Some("/?x")),
        ("5.2.2", "http://a/x/../y?z", Some("/y?z")),
        ("3987 3.1", "/\u{e9}?\u{e9}", Some("/%C3%A9?%C3%A9")),
        ("2 no URI", "/a b", None),
        ("2 no URI", "/a\tb", None),
        ("2 no URI", "/a\u{7f}", None),
    ];
    let base = target("/b/c/d;p?q");
    let origin = Origin::new(false, b"a");
    for (section, reference, wanted) in cases {
        let found = resolve(reference.as_bytes(), &base, origin.as_ref());
        assert_eq!(text(found).as_deref(), wanted, "3986 {section}: {reference:?}");
    }
}

/// RFC 9110 4.3.1: scheme, host and port; 4.2.3: what is the same in another spelling.
#[test]
#[rustfmt::skip]
fn origins() {
    let cases = [
        ("4.2.3 default port", false, "example.com", "http://example.com:80/x", true),
        ("4.2.3 default port", true, "example.com:443", "https://example.com/x", true),
        ("4.2.3 empty port", false, "example.com", "http://example.com:/x", true),
        ("4.2.3 case of host and scheme", false, "Example.COM", "HTTP://eXample.com/x", true),
        ("3986 5.2.2 the scheme of the base", true, "example.com", "//example.com/x", true),
        ("4.3.1 port", false, "example.com:8080", "http://example.com:8080/x", true),
        ("4.3.1 port", false, "example.com:8080", "http://example.com/x", false),
        ("4.3.1 port", false, "example.com", "http://example.com:8080/x", false),
        ("4.3.1 scheme", false, "example.com", "https://example.com/x", false),
        ("4.3.1 scheme", true, "example.com", "http://example.com/x", false),
        ("4.3.1 host", false, "example.com", "http://www.example.com/x", false),
        ("4.3.1 host", false, "example.com", "http://example.com.evil.org/x", false),
        ("4.3.1 host", false, "example.com", "//evil.org/x", false),
        ("4.3.1 host", false, "example.com", "http://example.org/x", false),
        ("4.2.4 user information", false, "example.com", "http://example.com@evil.org/x", false),
        ("4.2.4 user information", false, "example.com", "http://me@example.com/x", false),
        ("4.2.1 no host", false, "example.com", "http:///x", false),
        ("4.2 other schemes", false, "example.com", "ftp://example.com/x", false),
        ("4.2 other schemes", false, "example.com", "urn:example:x", false),
        ("3986 3.2.2 IPv6", false, "[::1]", "http://[::1]:80/x", true),
        ("3986 3.2.2 IPv6", false, "[::1]:8080", "http://[::1]:8080/x", true),
        ("3986 3.2.2 IPv6", false, "[::1]:8080", "http://[::2]:8080/x", false),
        ("3986 3.2.3 no port", false, "example.com", "http://example.com:http/x", false),
        ("3986 3.2.3 no port", false, "example.com", "http://example.com:99999/x", false),
        ("3986 3.2.3 no port", false, "example.com", "http://example.com:+80/x", false),
        ("no Host: nothing absolute is the same", false, "", "http://example.com/x", false),
        ("no Host: nothing absolute is the same", false, "", "//example.com/x", false),
        ("no Host: what is relative is", false, "", "/x", true),
    ];
    for (section, https, host, reference, wanted) in cases {
        let origin = Origin::new(https, host.as_bytes());
        let found = resolve(reference.as_bytes(), &target("/b"), origin.as_ref());
        assert_eq!(text(found).as_deref(), wanted.then_some("/x"), "9110 {section}: {host} {reference}");
    }
}

#[test]
#[rustfmt::skip]
fn request_targets() {
    let cases = [
        ("9112 3.2.1", "/a?b", Some("/a?b")),
        ("9112 3.2.1", "/", Some("/")),
        ("9112 3.2.1 an empty query is one", "/a?", Some("/a?")),
        ("3986 5.2.4", "/a/../b/./c", Some("/b/c")),
        ("3986 6.2.2.1 what is encoded stays so", "/a%2fb%2F", Some("/a%2fb%2F")),
        ("9112 3.2.4", "*", None),
        ("9112 3.2.3", "example.com:80", None),
        ("9112 3.2", "", None),
    ];
    for (section, request, wanted) in cases {
        assert_eq!(text(Target::of_request(request.as_bytes())).as_deref(), wanted, "{section}: {request}");
    }
}

/// `$uri`, as nginx makes it of what a client sends.
#[test]
#[rustfmt::skip]
fn decoded_paths() {
    let cases = [
        ("/a", true, Some("/a")),
        ("/a%20b%C3%A9", true, Some("/a b\u{e9}")),
        ("/a//b///", true, Some("/a/b/")),
        ("/a//b", false, Some("/a//b")),
        ("/a%2Fb%2f%2Fc", true, Some("/a/b/c")),
        ("/a/%2e%2E/b", true, Some("/b")),
        ("/a/b/%2e", true, Some("/a/b/")),
        ("/%", true, None),
        ("/%2", true, None),
        ("/%zz", true, None),
        ("/%00", true, None),
    ];
    for (path, merge, wanted) in cases {
        let found = target(path).decoded_path(merge);
        assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{path}");
    }
}

/// RFC 9111 4.4: candidates besides the target itself.
#[test]
#[rustfmt::skip]
fn candidates() {
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("4.4 none", &[], &[]),
        ("4.4 Location and Content-Location", &["/new", "http://h/data.json"], &["/new", "/data.json"]),
        ("4.4 one URI once", &["/new", "http://h:80/new"], &["/new"]),
        ("4.4 the target's own", &["/items?id=1", "http://h/items?id=1"], &[]),
        ("4.4 another origin MUST NOT", &["http://other/new", "https://h/new"], &[]),
        ("4.4 relative to the target", &["7", "?id=2"], &["/7", "/items?id=2"]),
        ("9110 5.5 white space around", &[" /new\t"], &["/new"]),
    ];
    let own = target("/items?id=1");
    let origin = Origin::new(false, b"h");
    for (section, references, wanted) in cases {
        let found = other_targets(&own, origin.as_ref(), references.iter().map(|text| text.as_bytes()));
        let found: Vec<_> = found.into_iter().filter_map(|target| text(Some(target))).collect();
        assert_eq!(found, wanted, "9111 {section}: {references:?}");
    }
    let many: Vec<_> = (0..100).map(|n| format!("/{n}")).collect();
    let found = other_targets(&own, None, many.iter().map(String::as_bytes));
    assert_eq!(found.len(), 8, "a response can't make us delete without end");
}

/// Keys for other URIs: those that nginx can make without a request for them.
#[test]
#[rustfmt::skip]
fn derivable_keys() {
    let cases = [
        ("$scheme://$host$request_uri", true),
        ("${scheme}:${request_method}:$host:$uri$is_args$args", true),
        ("$scheme://$redis_cache_authority?$redis_cache_args $uri", true),
        ("$arg_id:$http_accept:$cookie_lang", true),
        ("constant", true),
        ("", true),
        ("$Request_URI", true),
        ("prefix-$request_uri-suffix", true),
        ("$agent$request_uri", false),
        ("$request_uri$1", false),
        ("${request_urix}", false),
        ("$upstream_addr$uri", false),
        ("$ssl_session_id$uri", false),
        ("$time_local", false),
    ];
    for (template, wanted) in cases {
        assert_eq!(is_derivable(template.as_bytes()), wanted, "{template}");
    }
}

/// RFC 9111 4.3.5.
#[test]
#[rustfmt::skip]
fn answers_to_head() {
    type Lines<'a> = &'a [(&'static str, &'static str)];
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const OTHER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
    let cases: &[(&str, Lines<'_>, Lines<'_>, Option<u64>, bool)] = &[
        ("nothing to compare", &[("ETag", "\"1\"")], &[], None, false),
        ("the same length", &[], &[], Some(5), false),
        ("another length", &[], &[], Some(6), true),
        ("the same ETag", &[("ETag", "\"1\"")], &[("etag", "\"1\"")], None, false),
        ("another ETag", &[("ETag", "\"1\"")], &[("ETag", "\"2\"")], None, true),
        ("another ETag, the same length", &[("ETag", "\"1\"")], &[("ETag", "\"2\"")], Some(5), true),
        ("an ETag that the record lacks", &[], &[("ETag", "\"1\"")], None, true),
        ("weakened on the way", &[("ETag", "\"1\"")], &[("ETag", "W/\"1\"")], None, false),
        ("both weak", &[("ETag", "W/\"1\"")], &[("ETag", "W/\"2\"")], None, true),
        ("the same date", &[("Last-Modified", DATE)], &[("Last-Modified", DATE)], None, false),
        ("the same date in another form", &[("Last-Modified", DATE)], &[("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")], None, false),
        ("another date", &[("Last-Modified", DATE)], &[("Last-Modified", OTHER)], None, true),
        ("a date that the record lacks", &[], &[("Last-Modified", DATE)], None, true),
        ("one of two", &[("ETag", "\"1\""), ("Last-Modified", DATE)], &[("ETag", "\"1\""), ("Last-Modified", OTHER)], None, true),
        ("both", &[("ETag", "\"1\""), ("Last-Modified", DATE)], &[("ETag", "\"1\""), ("Last-Modified", DATE)], Some(5), false),
        ("no dates, the same text", &[("Last-Modified", "today")], &[("Last-Modified", "today")], None, false),
        ("no dates", &[("Last-Modified", "today")], &[("Last-Modified", "then")], None, true),
    ];
    let headers = |lines: Lines<'_>| {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(*name, *value);
        }
        headers
    };
    for (case, record, head, length, wanted) in cases {
        let found = head_disagrees(&headers(record), 5, &headers(head), *length);
        assert_eq!(found, *wanted, "9111 4.3.5: {case}");
    }
}

#[test]
fn an_origin_has_a_host_or_an_address() {
    for host in [
        "a",
        "a.example.com:8080",
        "[::1]",
        "[::1]:443",
        "[v1.x]",
        "192.0.2.1:80",
        "a.",
    ] {
        assert!(Origin::new(false, host.as_bytes()).is_some(), "{host}");
    }
    for host in [
        "", ":80", "[", "[::", "[::1", "::1", "a:b:80", "[]", "[[::1]]", "a]", "a/b", "a b", "a:x",
        "a:65536",
    ] {
        assert!(Origin::new(false, host.as_bytes()).is_none(), "{host}");
    }
}
