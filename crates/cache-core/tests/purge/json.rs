//! The JSON form.

use cache_core::purge::request::{MAX_BODY, json};
use cache_core::purge::{Selector, TagId};

use crate::{origin, words};

fn asked(body: &str) -> Result<Vec<String>, String> {
    let own = origin(true, "own.com");
    json(body.as_bytes(), Some(&own))
        .map(|purge| words(&purge, &["a", "b c"]))
        .map_err(|why| why.to_string())
}

#[test]
fn each_type() {
    let cases: [(&str, &[&str]); 24] = [
        (
            r#"{"type": "uri", "selectors": ["https://a.com/b?c", "HTTPS://A.com:443/b/../d"]}"#,
            &[
                "key soft",
                "at https://a.com:443/b?c",
                "at https://a.com:443/d",
            ],
        ),
        (
            r#"{"type": "uri", "selectors": ["/b", "/b", "https://own.com/c"], "purge": true}"#,
            &["key hard", "here /b", "at https://own.com:443/c"],
        ),
        // an IRI; and a URI without a path
        (
            r#"{"type": "uri", "selectors": ["https://a.com/é", "http://a.com?b", "http://a.com"]}"#,
            &[
                "key soft",
                "at https://a.com:443/%C3%A9",
                "at http://a.com:80/?b",
                "at http://a.com:80/",
            ],
        ),
        (
            r#"{"type": "uri", "selectors": ["//a.com/b"]}"#,
            &["key soft", "uri a.com/b"],
        ),
        (
            r#"{"type": "uri-prefix", "selectors": ["https://www.example.com/foo/bar"]}"#,
            &["prefix soft", "prefix https://www.example.com:443/foo/bar"],
        ),
        (
            r#"{"type": "uri-prefix", "selectors": ["/a/", "/b*", "//c.com/"], "purge": true}"#,
            &[
                "prefix hard",
                "host c.com",
                "prefix own.com/a/",
                "prefix own.com/b",
            ],
        ),
        (
            r#"{"type": "uri-prefix", "selectors": ["https://a.com"]}"#,
            &["prefix soft", "origin https://a.com:443"],
        ),
        (
            r#"{"type": "host", "selectors": ["a.com", "A.com", "[::1]"]}"#,
            &["host soft", "host [::1]", "host a.com"],
        ),
        (
            r#"{"type": "origin", "selectors": ["https://a.com:443", "http://b.com/"]}"#,
            &[
                "origin soft",
                "origin http://b.com:80",
                "origin https://a.com:443",
            ],
        ),
        (
            r#"{"type": "tag", "selectors": ["a", "b c", "a"], "purge": true}"#,
            &["tag hard", "tag a", "tag b c"],
        ),
        (r#"{"type": "all"}"#, &["all soft", "all"]),
        (r#"{"type": "all", "selectors": []}"#, &["all soft", "all"]),
        (r#"{"type": "all", "purge": true}"#, &["all hard", "all"]),
        (
            r#"{"type": "all", "selectors": null, "purge": false}"#,
            &["all soft", "all"],
        ),
        // "Unrecognised members of the top-level object MUST be ignored"
        (
            r#"{"type": "tag", "selectors": ["a"], "more": {"x": [1]}}"#,
            &["tag soft", "tag a"],
        ),
        (r#"{"type": "uri"}"#, &["400", "\"selectors\" is missing"]),
        (r#"{"type": "uri", "selectors": []}"#, &["400", "empty"]),
        (
            r#"{"type": "uri", "selectors": [""]}"#,
            &["400", "empty one"],
        ),
        (
            r#"{"type": "uri", "selectors": [1]}"#,
            &["400", "no string"],
        ),
        (
            r#"{"type": "uri", "selectors": "/a"}"#,
            &["400", "no array"],
        ),
        (r#"{"type": "all", "selectors": ["a"]}"#, &["400", "has no"]),
        (
            r#"{"type": "path", "selectors": ["a"]}"#,
            &["400", "isn't known"],
        ),
        (
            r#"{"type": "tag", "selectors": ["a"], "purge": 1}"#,
            &["400", "neither true nor false"],
        ),
        (r#"{"selectors": ["a"]}"#, &["400", "\"type\" is missing"]),
    ];
    for (body, wanted) in cases {
        match (asked(body), wanted) {
            (Err(why), ["400", part]) => assert!(why.contains(part), "{body}: {why}"),
            (asked, _) => {
                let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
                assert_eq!(asked, Ok(wanted), "{body}");
            }
        }
    }
}

#[test]
fn groups_belong_to_an_origin() {
    let own = origin(true, "own.com");
    let group =
        |authority, name: &[u8]| Selector::Group(TagId::of_group(&origin(true, authority), name));
    let asked = |body: &str| json(body.as_bytes(), Some(&own));
    let purge = asked(r#"{"type": "group", "selectors": ["x"]}"#).unwrap();
    assert_eq!(purge.selectors, [group("own.com", b"x")]);
    // as the draft has it
    let purge = asked(
        r#"{"type": "group", "selectors": ["https://a.com:443", "https://b.com"], "groups": ["x"]}"#,
    );
    let mut wanted = [group("a.com", b"x"), group("b.com", b"x")];
    wanted.sort();
    assert_eq!(purge.unwrap().selectors, wanted);
    for (body, part) in [
        (
            r#"{"type": "group", "selectors": ["x"], "groups": ["y"]}"#,
            "no origin",
        ),
        (
            r#"{"type": "group", "selectors": ["https://a"], "groups": []}"#,
            "empty",
        ),
        (
            r#"{"type": "group", "selectors": ["https://a"], "groups": 1}"#,
            "no array",
        ),
    ] {
        let why = asked(body).unwrap_err().to_string();
        assert!(why.contains(part), "{body}: {why}");
    }
    let body = br#"{"type": "group", "selectors": ["x"]}"#;
    assert!(
        json(body, None)
            .unwrap_err()
            .to_string()
            .contains("no host")
    );
}

#[test]
fn what_is_no_uri_host_or_origin() {
    let one = |of_type: &str, text: &str| {
        let text = serde_json::Value::from(text);
        asked(&format!(
            r#"{{"type": "{of_type}", "selectors": [{text}]}}"#
        ))
    };
    for of_type in ["uri", "uri-prefix"] {
        for text in [
            "a",
            "a/b",
            "?a",
            "*",
            "ftp://a/b",
            "https:///a",
            "https://u@a/",
            "/a b",
            "/a\n",
            "https://a:x/",
        ] {
            let why = one(of_type, text).unwrap_err();
            assert!(why.contains("no URI"), "{of_type} {text}: {why}");
            assert!(!why.contains('\n'));
        }
    }
    for text in ["https://a.com", "a.com:80", "a/b", "*", "a b"] {
        assert!(one("host", text).unwrap_err().contains("no host"), "{text}");
    }
    for text in ["a.com", "https://a.com/b", "//a.com", "https://"] {
        assert!(
            one("origin", text).unwrap_err().contains("no origin"),
            "{text}"
        );
    }
}

#[test]
fn its_size_is_bounded() {
    let list = |count: usize| {
        let list: Vec<_> = (0..count).map(|n| format!("\"{n}\"")).collect();
        list.join(",")
    };
    let body = |count| format!(r#"{{"type": "tag", "selectors": [{}]}}"#, list(count));
    assert_eq!(asked(&body(256)).unwrap().len(), 257);
    assert!(asked(&body(257)).unwrap_err().contains("256 is the most"));
    let origins: Vec<_> = (0..20).map(|n| format!("\"https://a{n}\"")).collect();
    let body = format!(
        r#"{{"type": "group", "selectors": [{}], "groups": [{}]}}"#,
        origins.join(","),
        list(20)
    );
    assert!(asked(&body).unwrap_err().contains("256 is the most"));
    let long = format!(r#"{{"type": "all", "x": "{}"}}"#, "x".repeat(MAX_BODY));
    assert!(asked(&long).unwrap_err().contains("longer"));
    for body in [
        "",
        "[]",
        "{",
        "null",
        "{} {}",
        "\u{feff}{}",
        &"[".repeat(60_000),
    ] {
        assert!(
            asked(body).unwrap_err().contains("no JSON object"),
            "{}",
            &body[..body.len().min(9)]
        );
    }
}
