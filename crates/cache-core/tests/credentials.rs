//! What a refill behind a client's back has of the client's credentials (RFC 9111 3.5, 4.1), as a table.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use cache_core::credentials::Credential;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::record::Record;
use cache_core::rules::Rules;
use cache_core::terms::Terms;

type Fields = &'static [(&'static str, &'static str)];

fn record(fields: Fields) -> Record {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.push(*name, *value);
    }
    Record {
        status: 200,
        headers: headers.into(),
        body: Bytes::new(),
        ttl_ms: 50_000,
        age: 50,
        terms: Terms::default(),
        meta: None,
        stored_headers: Bytes::new(),
    }
}

#[test]
#[rustfmt::skip]
fn what_a_refill_keeps() {
    // (section, the record, ignored, in the key, keeps Cookie, keeps Authorization)
    let cases: &[(&str, Fields, &str, bool, bool, bool)] = &[
        ("nothing said", &[], "", false, false, false),
        ("in the key", &[], "", true, true, true),
        ("3.5 public", &[("Cache-Control", "public")], "", false, false, true),
        ("3.5 s-maxage", &[("Cache-Control", "s-maxage=9")], "", false, false, true),
        ("3.5 must-revalidate", &[("Cache-Control", "must-revalidate")], "", false, false, true),
        ("3.5 not proxy-revalidate", &[("Cache-Control", "proxy-revalidate")], "", false, false, false),
        ("3.5 max-age alone", &[("Cache-Control", "max-age=9")], "", false, false, false),
        ("said by CDN-Cache-Control", &[("Cache-Control", "max-age=9"), ("CDN-Cache-Control", "public")], "", false, false, true),
        ("public, but ignored", &[("Cache-Control", "public")], "cache-control", false, false, false),
        ("Authorization ignored", &[], "authorization", false, false, true),
        ("4.1 Cookie", &[("Vary", "cookie")], "", false, true, false),
        ("4.1 one of several", &[("Vary", "Accept"), ("Vary", "Accept-Language, COOKIE")], "", false, true, false),
        ("4.1 Authorization", &[("Vary", "Authorization")], "", false, false, true),
        ("4.1 neither", &[("Vary", "Accept, Cookies")], "", false, false, false),
        ("4.1 ignored", &[("Vary", "Cookie, Authorization")], "vary", false, false, false),
    ];
    for (what, fields, ignored, in_key, cookie, authorization) in cases {
        let rules = Rules {
            ignore: Ignore::named(ignored.as_bytes()).unwrap_or(Ignore::NONE),
            ..Rules::default()
        };
        let record = record(fields);
        let kept = Credential::ALL.map(|one| one.is_kept(&record, &rules, || *in_key));
        assert_eq!(kept, [*cookie, *authorization], "{what}");
    }
}

#[test]
fn variables_that_are_made_of_them() {
    let made = |name: &str| Credential::ALL.map(|one| one.makes(name.as_bytes()));
    for name in ["http_cookie", "cookie_a", "cookie_", "uid_got"] {
        assert_eq!(made(name), [true, false], "{name}");
    }
    for name in ["http_authorization", "remote_user"] {
        assert_eq!(made(name), [false, true], "{name}");
    }
    for name in [
        "http_cookies",
        "cookie",
        "remote_addr",
        "http_proxy_authorization",
    ] {
        assert_eq!(made(name), [false, false], "{name}");
    }
}

#[test]
fn keys_that_may_be_made_of_them() {
    let made = |key: &str| Credential::ALL.map(|one| one.may_make(key.as_bytes()));
    for key in [
        "",
        "$scheme://$host$request_uri",
        "$uri$is_args$args:$http_accept$remote_addr",
    ] {
        assert_eq!(made(key), [false, false], "{key}");
    }
    assert_eq!(made("$uri$cookie_lang"), [true, false]);
    assert_eq!(made("${HTTP_COOKIE}x"), [true, false]);
    assert_eq!(made("$remote_user$uri"), [false, true]);
    assert_eq!(made("$uri$http_authorization$cookie_a"), [true, true]);
    // A map, or what set has given.
    assert_eq!(made("$uri$lang"), [true, true]);
}
