//! `redis_cache_purge`: the request's own URI.

use cache_core::purge::request::{Uri, done, plain, refused};
use cache_core::purge::{Entry, Kind, Mode};
use cache_core::uri::{Origin, Target};

use crate::{with_request, words};

fn asked(lines: &[&str]) -> Result<Vec<String>, String> {
    with_request(lines, |request| {
        plain(request)
            .map(|purge| words(&purge, &[]))
            .map_err(|why| why.to_string())
    })
}

#[test]
fn its_uri_or_what_begins_so() {
    let cases: [(&str, &[&str]); 13] = [
        ("PURGE /a?b", &["key hard", "own"]),
        ("GET /a?b", &["key hard", "own"]),
        ("PURGE /", &["key hard", "own"]),
        ("PURGE /a*", &["prefix hard", "prefix a.com/a"]),
        ("PURGE /a/*", &["prefix hard", "prefix a.com/a/"]),
        ("PURGE /a?b=*", &["prefix hard", "prefix a.com/a?b="]),
        ("PURGE /*", &["prefix hard", "host a.com"]),
        // as a regular expression
        ("PURGE /.*", &["prefix hard", "host a.com"]),
        ("PURGE /a/.*", &["prefix hard", "prefix a.com/a/"]),
        // not the last character
        ("PURGE /a*b", &["key hard", "own"]),
        // a star of its own
        ("PURGE /a%2A", &["key hard", "own"]),
        ("PURGE /x/../A%42*", &["prefix hard", "prefix a.com/AB"]),
        ("PURGE /a**", &["prefix hard", "prefix a.com/a*"]),
    ];
    for (line, wanted) in cases {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        assert_eq!(asked(&[line, "Host: A.com:8080"]), Ok(wanted), "{line}");
    }
}

#[test]
fn soft_as_fastly_is_asked() {
    let line = |value: &str| format!("Fastly-Soft-Purge: {value}");
    for (value, kind) in [("1", "key soft"), ("0", "key hard"), ("", "key hard")] {
        let words = asked(&["PURGE /", "Host: a", &line(value)]).unwrap();
        assert_eq!(words, [kind, "own"], "{value}");
    }
    let words = asked(&["PURGE /*", "Host: a", &line("1")]).unwrap();
    assert_eq!(words, ["prefix soft", "host a"]);
}

#[test]
fn what_says_too_little() {
    for (lines, wanted) in [
        (&["PURGE *", "Host: a"][..], "no path"),
        (&["PURGE a", "Host: a"], "no path"),
        (&["PURGE /*"], "no host"),
        (&["PURGE /*", "Host: *"], "no host"),
    ] {
        let why = asked(lines).unwrap_err();
        assert!(why.contains(wanted), "{lines:?}: {why}");
    }
    // its key is made all the same
    assert_eq!(
        asked(&["PURGE /"]),
        Ok(vec!["key hard".into(), "own".into()])
    );
}

#[test]
fn a_uri_as_an_entry() {
    let target = |text: &str| Target::of_request(text.as_bytes()).unwrap();
    let origin = Origin::new(true, b"b.com").unwrap();
    let cases = [
        (Uri::Own, "uri hard a.com/own?x"),
        (Uri::Here(target("/b")), "uri hard a.com/b"),
        (
            Uri::At(origin, target("/c")),
            "uri hard https://b.com:443/c",
        ),
    ];
    with_request(&["PURGE /own?x", "Host: a.com:81"], |request| {
        for (uri, text) in &cases {
            let selector = uri.selector(request).unwrap();
            let mode = Mode::Hard;
            assert_eq!(Entry { mode, selector }.encode(), text.as_bytes());
        }
    });
}

#[test]
fn what_the_sender_is_told() {
    let told = done(2, Kind::Key, Mode::Hard);
    assert_eq!(
        told,
        "{\"purged\": 2, \"kind\": \"key\", \"mode\": \"hard\"}\n"
    );
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["purged"], 2);
    let why = with_request(&["PURGE *"], |request| plain(request).unwrap_err());
    let json: serde_json::Value = serde_json::from_str(&refused(&why)).unwrap();
    assert_eq!(json["error"], why.to_string());
}
