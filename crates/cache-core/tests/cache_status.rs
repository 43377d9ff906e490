//! Cache-Status (RFC 9211), as tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache_core::cache_status_field::{CacheName, Forward, Member, collapsed};
use cache_core::outcome::{CacheStatus, Reason};

fn value(member: Member<'_>) -> String {
    let name = CacheName::new(b"ExampleCache").unwrap();
    String::from_utf8(member.value(&name)).unwrap()
}

fn forwarded(forward: Forward) -> Member<'static> {
    Member {
        forward: Some(forward),
        ..Member::default()
    }
}

/// RFC 9211 2: parameters, and 3: its examples.
#[test]
#[rustfmt::skip]
fn members() {
    let hit = Member::default();
    let miss = forwarded(Forward::UriMiss);
    let cases = [
        ("3", hit, "ExampleCache; hit"),
        ("3", Member { ttl: Some(376), ..hit }, "ExampleCache; hit; ttl=376"),
        ("3 stale", Member { ttl: Some(-412), ..hit }, "ExampleCache; hit; ttl=-412"),
        ("3", miss, "ExampleCache; fwd=uri-miss"),
        ("3", Member { forward_status: Some(304), ..forwarded(Forward::Stale) }, "ExampleCache; fwd=stale; fwd-status=304"),
        ("3", Member { collapsed: Some(true), ..miss }, "ExampleCache; fwd=uri-miss; collapsed"),
        ("3", Member { collapsed: Some(false), ..miss }, "ExampleCache; fwd=uri-miss; collapsed=?0"),
        ("2.2", forwarded(Forward::Bypass), "ExampleCache; fwd=bypass"),
        ("2.2", forwarded(Forward::Method), "ExampleCache; fwd=method"),
        ("2.2", forwarded(Forward::VaryMiss), "ExampleCache; fwd=vary-miss"),
        ("2.2", forwarded(Forward::Miss), "ExampleCache; fwd=miss"),
        ("2.2", forwarded(Forward::Request), "ExampleCache; fwd=request"),
        ("2.3", Member { forward_status: Some(200), ..miss }, "ExampleCache; fwd=uri-miss; fwd-status=200"),
        ("2.3 only with fwd", Member { forward_status: Some(200), ..hit }, "ExampleCache; hit"),
        ("2.4", Member { ttl: Some(0), ..hit }, "ExampleCache; hit; ttl=0"),
        ("2.4 8941 3.3.1", Member { ttl: Some(i64::MIN), ..hit }, "ExampleCache; hit; ttl=-999999999999999"),
        ("2.5", Member { stored: true, ttl: Some(60), ..miss }, "ExampleCache; fwd=uri-miss; ttl=60; stored"),
        ("2.5 only with fwd", Member { stored: true, ..hit }, "ExampleCache; hit"),
        ("2.6 only with fwd", Member { collapsed: Some(true), ..hit }, "ExampleCache; hit"),
        ("2.7", Member { key: Some(b"http:/a"), ..hit }, "ExampleCache; hit; key=\"http:/a\""),
        ("2.7 empty", Member { key: Some(b""), ..hit }, "ExampleCache; hit; key=\"\""),
        ("2.7 8941 3.3.3", Member { key: Some(br#"a"b\c"#), ..hit }, r#"ExampleCache; hit; key="a\"b\\c""#),
        ("2.7 not ASCII", Member { key: Some("/\u{e9}".as_bytes()), ..hit }, "ExampleCache; hit; key=\"/%C3%A9\""),
        ("2.7 control characters", Member { key: Some(b"a\r\nb\0\x7f"), ..hit }, "ExampleCache; hit; key=\"a%0D%0Ab%00%7F\""),
        ("2.1 2.2 neither", Member { own: true, detail: Some("only-if-cached"), ..hit }, "ExampleCache; detail=\"only-if-cached\""),
        ("2.8", Member { detail: Some("set-cookie"), ..miss }, "ExampleCache; fwd=uri-miss; detail=\"set-cookie\""),
        ("2 all", Member { forward_status: Some(200), ttl: Some(5), stored: true, collapsed: Some(false), key: Some(b"k"), detail: Some("d"), ..miss },
            "ExampleCache; fwd=uri-miss; fwd-status=200; ttl=5; stored; collapsed=?0; key=\"k\"; detail=\"d\""),
    ];
    for (section, member, wanted) in cases {
        assert_eq!(value(member), wanted, "9211 {section}");
    }
}

/// RFC 9211 2: "the member value ... a String or Token".
#[test]
#[rustfmt::skip]
fn names() {
    let cases = [
        ("8941 3.3.4", "ExampleCache", Some("ExampleCache")),
        ("8941 3.3.4", "cache.example:80/x", Some("cache.example:80/x")),
        ("8941 3.3.4", "*", Some("*")),
        ("8941 3.3.3", "CDN Company Here", Some("\"CDN Company Here\"")),
        ("8941 3.3.3 a token begins with a letter", "10.0.0.1", Some("\"10.0.0.1\"")),
        ("8941 3.3.3", "say \"hi\"", Some("\"say \\\"hi\\\"\"")),
        ("8941 3.3.3", "a,b;c", Some("\"a,b;c\"")),
        ("8941 4.1.6", "caf\u{e9}", None),
        ("8941 4.1.6", "a\nb", None),
        ("empty", "", None),
    ];
    for (section, name, wanted) in cases {
        let found = CacheName::new(name.as_bytes()).map(|name| {
            let text = String::from_utf8(Member::default().value(&name)).unwrap();
            text.strip_suffix("; hit").unwrap().to_owned()
        });
        assert_eq!(found.as_deref(), wanted, "{section}: {name:?}");
    }
}

#[test]
#[rustfmt::skip]
fn why_requests_are_forwarded() {
    let cases = [
        ("2.1", CacheStatus::Hit, Reason::Fresh, None),
        ("2.1", CacheStatus::Stale, Reason::Stale, None),
        ("2.1", CacheStatus::Updating, Reason::Updating, None),
        ("2.6", CacheStatus::Hit, Reason::Subscribed, Some(Forward::UriMiss)),
        ("2.2", CacheStatus::Miss, Reason::Storing, Some(Forward::UriMiss)),
        ("2.2", CacheStatus::Miss, Reason::SetCookie, Some(Forward::UriMiss)),
        ("2.2", CacheStatus::Miss, Reason::LockTimeout, Some(Forward::UriMiss)),
        ("2.2", CacheStatus::Miss, Reason::StoreUnavailable, Some(Forward::Miss)),
        ("2.2", CacheStatus::Miss, Reason::WrongType, Some(Forward::Miss)),
        ("2.2 not looked up", CacheStatus::Miss, Reason::NoMemory, Some(Forward::Miss)),
        ("2.2", CacheStatus::Miss, Reason::NotConfigured, Some(Forward::Bypass)),
        ("2.2 not at all", CacheStatus::Miss, Reason::OnlyIfCached, None),
        ("2.2", CacheStatus::Bypass, Reason::Content, Some(Forward::Bypass)),
        ("2.2", CacheStatus::Bypass, Reason::MethodNotListed, Some(Forward::Method)),
        ("2.2", CacheStatus::Bypass, Reason::Bypass, Some(Forward::Bypass)),
        ("2.2", CacheStatus::Bypass, Reason::Storing, Some(Forward::Bypass)),
        ("2.2", CacheStatus::Bypass, Reason::Upgrade, Some(Forward::Bypass)),
        ("2.2", CacheStatus::Expired, Reason::Storing, Some(Forward::Stale)),
        ("2.2", CacheStatus::Revalidated, Reason::Stored, Some(Forward::Stale)),
    ];
    for (section, status, reason, wanted) in cases {
        assert_eq!(Forward::of(status, reason), wanted, "9211 {section}: {status} {reason}");
    }
}

#[test]
fn which_requests_were_put_together() {
    let cases = [
        (Reason::Subscribed, Some(true)),
        (Reason::WaitersReleased, Some(false)),
        (Reason::LockTimeout, Some(false)),
        (Reason::Storing, None),
        (Reason::Fresh, None),
    ];
    for (reason, wanted) in cases {
        assert_eq!(collapsed(reason), wanted, "9211 2.6: {reason}");
    }
}
