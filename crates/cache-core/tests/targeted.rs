//! Which field governs a response, and what it says: RFC 9213, Surrogate-Control and X-Accel-Expires as tables,
//! each row with its section.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache_core::cache_control::CacheControl;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::targeted::{By, Governing, governing};
use proptest::prelude::*;

const MAX: u32 = 0x7fff_ffff;
const CC: &str = "Cache-Control";
const CDN: &str = "CDN-Cache-Control";
const SURROGATE: &str = "Surrogate-Control";

type Lines<'a> = &'a [(&'static str, &'static str)];

fn governs(lines: Lines<'_>, ignore: Ignore) -> Governing {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    governing(&headers, ignore)
}

/// (section, headers, who governs, what a `CacheControl` is with)
type Case<'a> = (&'a str, Lines<'a>, By, fn(&mut CacheControl));

fn check(cases: &[Case<'_>]) {
    for (section, lines, by, set) in cases {
        let mut says = CacheControl::default();
        set(&mut says);
        let wanted = Governing { by: *by, says };
        assert_eq!(governs(lines, Ignore::NONE), wanted, "{section}: {lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn who_governs() {
    check(&[
        ("9213 2.2 nobody else", &[(CC, "max-age=5")], By::CacheControl, |c| c.max_age = Some(5)),
        ("9213 2.2 nothing at all", &[], By::CacheControl, |_| {}),
        ("9213 2.2", &[(CC, "no-store"), (CDN, "max-age=60")], By::CdnCacheControl, |c| c.max_age = Some(60)),
        ("9213 2.2 whatever the order", &[(CDN, "max-age=60"), (CC, "no-store")], By::CdnCacheControl, |c| c.max_age = Some(60)),
        ("9213 2.2 the stricter one, too", &[(CC, "max-age=60"), (CDN, "no-store")], By::CdnCacheControl, |c| c.no_store = true),
        ("9213 2.2 nothing is mixed", &[(CC, "s-maxage=60, must-revalidate"), (CDN, "public")], By::CdnCacheControl, |c| c.public = true),
        ("9213 2.2 an unknown directive is one", &[(CC, "max-age=60"), (CDN, "foo")], By::CdnCacheControl, |_| {}),
        ("9213 2.2 an empty field is none", &[(CC, "max-age=60"), (CDN, "")], By::CacheControl, |c| c.max_age = Some(60)),
        ("9213 2.2 blanks are empty", &[(CC, "max-age=60"), (CDN, "  ")], By::CacheControl, |c| c.max_age = Some(60)),
        ("9213 3.1 other targets are others'", &[(CC, "max-age=60"), ("Other-Cache-Control", "no-store")], By::CacheControl, |c| c.max_age = Some(60)),
        ("before Surrogate-Control", &[(SURROGATE, "max-age=9"), (CDN, "max-age=60")], By::CdnCacheControl, |c| c.max_age = Some(60)),
        ("Surrogate-Control", &[(SURROGATE, "max-age=9"), (CC, "private")], By::SurrogateControl, |c| c.max_age = Some(9)),
        ("where CDN-Cache-Control is invalid", &[(SURROGATE, "max-age=9"), (CDN, "max-age =60")], By::SurrogateControl, |c| c.max_age = Some(9)),
    ]);
}

#[test]
#[rustfmt::skip]
fn cdn_cache_control() {
    const BY: By = By::CdnCacheControl;
    check(&[
        ("9213 2.1", &[(CDN, "max-age=60, s-maxage=5")], BY, |c| { c.max_age = Some(60); c.s_maxage = Some(5); }),
        ("9213 2.1", &[(CDN, "no-cache")], BY, |c| c.no_cache = true),
        ("9213 2.1", &[(CDN, "private")], BY, |c| c.private = true),
        ("9213 2.1", &[(CDN, "must-revalidate, proxy-revalidate")], BY, |c| { c.must_revalidate = true; c.proxy_revalidate = true; }),
        ("9213 2.1", &[(CDN, "must-understand, no-store")], BY, |c| { c.must_understand = true; c.no_store = true; }),
        ("9213 2.1", &[(CDN, "stale-while-revalidate=5,stale-if-error=6")], BY, |c| { c.stale_while_revalidate = Some(5); c.stale_if_error = Some(6); }),
        ("9213 2.1 parameters are ignored", &[(CDN, "max-age=60;x=1;no-store")], BY, |c| c.max_age = Some(60)),
        ("9213 2.1 of booleans, too", &[(CDN, "no-store;x")], BY, |c| c.no_store = true),
        ("9213 2.1 fields in a String", &[(CDN, "private=\"A, b\"")], BY, |c| { c.private = true; c.private_fields = vec![b"A"[..].into(), b"b"[..].into()]; }),
        ("9213 2.1 a field as a Token", &[(CDN, "no-cache=A")], BY, |c| { c.no_cache = true; c.no_cache_fields = vec![b"A"[..].into()]; }),
        ("9111 5.2.2.4 a list of none", &[(CDN, "no-cache=\"\"")], BY, |c| c.no_cache = true),
        ("9111 5.2.2.7 an inner list isn't one", &[(CDN, "private=(\"A\" \"B\")")], BY, |c| c.private = true),
        ("9651 3.3.6 false", &[(CDN, "no-store=?0, no-cache=?0, private=?0")], BY, |_| {}),
        ("9651 3.3.6 true", &[(CDN, "no-store=?1")], BY, |c| c.no_store = true),
        ("9111 5.2 no argument defined", &[(CDN, "no-store=1")], BY, |c| c.no_store = true),
        ("9111 5.2 no argument defined", &[(CDN, "no-store=(a b)")], BY, |c| c.no_store = true),
        ("9111 1.2.2 overflow", &[(CDN, "max-age=2147483648")], BY, |c| c.max_age = Some(MAX)),
        ("9111 1.2.2 overflow", &[(CDN, "max-age=99999999999")], BY, |c| c.max_age = Some(MAX)),
        ("9111 4.2.1 negative", &[(CDN, "max-age=-60")], BY, |c| c.max_age = Some(0)),
        ("9651 3.3.1 leading zeros", &[(CDN, "max-age=0060")], BY, |c| c.max_age = Some(60)),
        ("9651 4.2 several lines", &[(CDN, "max-age=60"), (CDN, "no-store")], BY, |c| { c.max_age = Some(60); c.no_store = true; }),
        ("9651 4.2.2 the last of two", &[(CDN, "max-age=60, max-age=5")], BY, |c| c.max_age = Some(5)),
        ("9651 4.2.2 the last of two", &[(CDN, "max-age=5"), (CDN, "max-age=60")], BY, |c| c.max_age = Some(60)),
        ("9651 3.2 blanks and tabs", &[(CDN, " max-age=60\t,\tno-store ")], BY, |c| { c.max_age = Some(60); c.no_store = true; }),
    ]);
}

/// What isn't a Dictionary, or has a lifetime of another type, is as if it weren't there.
#[test]
#[rustfmt::skip]
fn invalid_cdn_cache_control() {
    for (section, value) in [
        ("9651 4.2 blank before =", "max-age =60"),
        ("9651 4.2 blank after =", "max-age= 60"),
        ("9651 3.1.2 keys are lower-case", "Max-Age=60"),
        ("9651 3.1.2 keys are lower-case", "no-store, Private"),
        ("9651 4.2.2 comma at the end", "max-age=60,"),
        ("9651 4.2.2 comma in front", ",max-age=60"),
        ("9651 4.2.2 two commas", "max-age=60,,no-store"),
        ("9651 4.2 junk", "max-age=60, &&&&&"),
        ("9651 4.2 no comma", "max-age=60 no-store"),
        ("9651 4.2 semicolons", "max-age=60; no-store; =1"),
        ("9651 3.3.3 open string", "private=\"A"),
        ("9651 3.3.3 single quotes", "max-age='60'"),
        ("9651 3.3.1 too many digits", "max-age=1234567890123456"),
        ("9651 3.3.1 plus", "max-age=+60"),
        ("9651 4.2 not ASCII", "max-age=60, x=\"\u{e4}\""),
        ("9213 2.1 a String is no Integer", "max-age=\"60\""),
        ("9213 2.1 nor is a Token", "max-age=long"),
        ("9213 2.1 nor a Decimal", "max-age=60.0"),
        ("9213 2.1 nor a Boolean", "max-age"),
        ("9213 2.1 nor an inner list", "max-age=(60)"),
        ("9213 2.1 one of two", "max-age=x, max-age=60"),
        ("9213 2.1 s-maxage", "max-age=60, s-maxage=?1"),
    ] {
        let found = governs(&[(CC, "max-age=7"), (CDN, value)], Ignore::NONE);
        assert_eq!((found.by, found.says.max_age), (By::CacheControl, Some(7)), "{section}: {value:?}");
    }
}

#[test]
#[rustfmt::skip]
fn surrogate_control() {
    const BY: By = By::SurrogateControl;
    check(&[
        ("max-age", &[(SURROGATE, "max-age=60")], BY, |c| c.max_age = Some(60)),
        ("no-store", &[(SURROGATE, "no-store, max-age=60"), (CC, "max-age=7")], BY, |c| { c.no_store = true; c.max_age = Some(60); }),
        ("any case", &[(SURROGATE, "Max-Age=60")], BY, |c| c.max_age = Some(60)),
        ("quoted", &[(SURROGATE, "content=\"ESI/1.0, max-age=5\", max-age=\"60\"")], BY, |c| c.max_age = Some(60)),
        ("fresh and stale", &[(SURROGATE, "max-age=60+30")], BY, |c| { c.max_age = Some(60); c.stale_while_revalidate = Some(30); c.stale_if_error = Some(30); }),
        ("least of several", &[(SURROGATE, "max-age=60"), (SURROGATE, "max-age=5")], BY, |c| c.max_age = Some(5)),
        ("for another surrogate", &[(SURROGATE, "max-age=5;other, max-age=60")], BY, |c| c.max_age = Some(60)),
        ("for another surrogate alone", &[(SURROGATE, "no-store;other"), (CC, "max-age=7")], By::CacheControl, |c| c.max_age = Some(7)),
        ("nothing on storing", &[(SURROGATE, "content=\"ESI/1.0\""), (CC, "max-age=7")], By::CacheControl, |c| c.max_age = Some(7)),
        ("empty", &[(SURROGATE, ""), (CC, "max-age=7")], By::CacheControl, |c| c.max_age = Some(7)),
        ("no number", &[(SURROGATE, "max-age=x"), (CC, "private")], By::CacheControl, |c| c.private = true),
        ("no second number", &[(SURROGATE, "max-age=60+x"), (CC, "private")], By::CacheControl, |c| c.private = true),
        ("blank before =", &[(SURROGATE, "max-age =60"), (CC, "max-age=1")], By::CacheControl, |c| c.max_age = Some(1)),
        ("blank after =", &[(SURROGATE, "max-age= 60"), (CC, "max-age=1")], By::CacheControl, |c| c.max_age = Some(1)),
    ]);
}

#[test]
fn what_the_operator_ignores_doesnt_govern() {
    let lines = [
        (CDN, "max-age=1"),
        (SURROGATE, "max-age=2"),
        (CC, "max-age=3"),
    ];
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| Ignore::named(name.as_bytes()).unwrap())
            .fold(Ignore::NONE, |all, one| all | one)
    };
    for (ignored, by, max_age) in [
        (&[][..], By::CdnCacheControl, Some(1)),
        (&[CC], By::CdnCacheControl, Some(1)),
        (&[CDN], By::SurrogateControl, Some(2)),
        (&[CDN, SURROGATE], By::CacheControl, Some(3)),
        (&[CDN, SURROGATE, CC], By::CacheControl, None),
    ] {
        let found = governs(&lines, named(ignored));
        assert_eq!((found.by, found.says.max_age), (by, max_age), "{ignored:?}");
    }
}

/// What is said against storing doesn't count beside X-Accel-Expires; what is said of stale records does.
#[test]
fn under_accel_expires() {
    let all =
        "no-store, no-cache=\"A\", private, must-understand, must-revalidate, public, s-maxage=5";
    let says = governs(&[(CC, all)], Ignore::NONE).under_accel_expires();
    let wanted = CacheControl {
        must_revalidate: true,
        public: true,
        s_maxage: Some(5),
        ..CacheControl::default()
    };
    assert_eq!((says.by, says.says), (By::AccelExpires, wanted));
}

proptest! {
    #[test]
    fn any_bytes_are_read(cdn: Vec<u8>, surrogate: Vec<u8>, like in "[a-z=0-9,;?\"() +-]{0,40}") {
        for (cdn, surrogate) in [(cdn, surrogate), (like.clone().into_bytes(), like.into_bytes())] {
            let mut headers = Headers::new();
            headers.push(CDN, cdn);
            headers.push(SURROGATE, surrogate);
            let _ = governing(&headers, Ignore::NONE);
        }
    }
}
