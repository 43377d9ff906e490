//! The requests of content management systems and libraries, as they send them.

use cache_core::purge::request::{Asked, Style, Styles, asked};

use crate::{with_request, words};

const TAGS: [&str; 12] = [
    "a", "b", "a b", "cat_p_1", "cat_p_2", "node:1", "node:2", "/foo", "/bar", "x.y", "b,c", "c",
];

/// What is asked for in words: none, "refresh", a purge, or "400 ..." with what the sender is told.
fn asks(styles: Styles, lines: &[&str]) -> Vec<String> {
    with_request(lines, |request| match asked(request, styles) {
        Ok(None) => Vec::new(),
        Ok(Some(Asked::Refresh)) => vec!["refresh".into()],
        Ok(Some(Asked::Purge(purge))) => words(&purge, &TAGS),
        Err(why) => vec![format!("400 {why}")],
    })
}

fn all_styles() -> Styles {
    Style::EACH.into_iter().collect()
}

/// Lines of a request, and what it asks for.
type Case<'a> = (&'a [&'a str], &'a [&'a str]);

/// A style understands each of these, alone and beside all others.
fn understood(style: Style, cases: &[Case<'_>]) {
    for (lines, wanted) in cases {
        for styles in [Styles::default().with(style), all_styles()] {
            assert_eq!(asks(styles, lines), *wanted, "{style:?}: {lines:?}");
        }
        assert_eq!(asks(Styles::default(), lines), [""; 0], "{lines:?}");
    }
}

/// A style refuses each of these, and says so.
fn refused(style: Style, cases: &[(&[&str], &str)]) {
    for (lines, wanted) in cases {
        let told = asks(Styles::default().with(style), lines);
        let is_told = told.len() == 1 && told[0].starts_with("400 ") && told[0].contains(wanted);
        assert!(is_told, "{style:?}: {lines:?}: {told:?}");
    }
}

#[test]
fn wordpress() {
    const HOST: &str = "Host: blog.example.com";
    understood(
        Style::Wordpress,
        &[
            // nginx-helper
            (
                &["GET /purge/a/b/?c=d", HOST],
                &["key hard", "here /a/b/?c=d"],
            ),
            (&["GET /purge/", HOST], &["key hard", "here /"]),
            (&["GET /purge", HOST], &["key hard", "here /"]),
            (&["GET /purge?c=d", HOST], &["key hard", "here /?c=d"]),
            (
                &["GET /purge/a/*", HOST],
                &["prefix hard", "prefix blog.example.com/a/"],
            ),
            (
                &["PURGE /purgeall", HOST],
                &["host hard", "host blog.example.com"],
            ),
            // proxy-cache-purge
            (
                &["PURGE /a/b/?c=d", HOST, "X-Purge-Method: default"],
                &["key hard", "own"],
            ),
            (
                &["PURGE /.*", HOST, "X-Purge-Method: regex"],
                &["prefix hard", "host blog.example.com"],
            ),
            (
                &["PURGE /a/.*", HOST, "X-Purge-Method: regex"],
                &["prefix hard", "prefix blog.example.com/a/"],
            ),
            (
                &["PURGE /a/.*?c=d", HOST, "X-Purge-Method: regex"],
                &["prefix hard", "prefix blog.example.com/a/"],
            ),
            (
                &["PURGE /a(.*)", HOST, "X-Purge-Method: regex"],
                &["prefix hard", "prefix blog.example.com/a"],
            ),
            (
                &["PURGE /a", HOST, "X-Purge-Method: regex"],
                &["prefix hard", "prefix blog.example.com/a"],
            ),
            (
                &["PURGE /a", HOST, "X-Purge-Method: exact"],
                &["key hard", "own"],
            ),
            (
                &[
                    "PURGE /a/b",
                    HOST,
                    "X-Purge-Method: ban-regex",
                    r"X-Ban-Regex: ^/a/b($|/$|\?.*|/\?.*)",
                ],
                &[
                    "uri hard",
                    "prefix blog.example.com/a/b/?",
                    "prefix blog.example.com/a/b?",
                    "uri blog.example.com/a/b",
                    "uri blog.example.com/a/b/",
                ],
            ),
            (
                &["PURGE /", HOST, r"X-Ban-Regex: ^($|/$|\?.*|/\?.*)"],
                &[
                    "uri hard",
                    "prefix blog.example.com/?",
                    "uri blog.example.com/",
                ],
            ),
            // W3 Total Cache
            (&["PURGE /a/b/?c=d", HOST], &["key hard", "own"]),
            (
                &["PURGE /.*", HOST],
                &["prefix hard", "host blog.example.com"],
            ),
        ],
    );
    refused(
        Style::Wordpress,
        &[
            (
                &[r"PURGE /a.*\.png", HOST, "X-Purge-Method: regex"],
                "regular expressions",
            ),
            (&["PURGE /(a|b)/.*", HOST], "regular expressions"),
            (&["PURGE /.*"], "Host"),
            (&["PURGE /purgeall"], "Host"),
            (&["PURGE /", HOST, "X-Ban-Regex: ^/a.*"], "X-Ban-Regex"),
        ],
    );
    let styles = Styles::default().with(Style::Wordpress);
    for line in ["GET /purged", "GET /a", "GET /", "POST /purge/a", "BAN /"] {
        assert_eq!(asks(styles, &[line, HOST]), [""; 0], "{line}");
    }
}

#[test]
fn drupal() {
    const HOST: &str = "Host: 10.0.0.1";
    understood(
        Style::Drupal,
        &[
            // varnish_purge
            (
                &["BAN /", HOST, "Cache-Tags: node:1 node:2"],
                &["tag hard", "tag node:1", "tag node:2"],
            ),
            (
                &["BAN /", HOST, "Cache-Tags: node:1"],
                &["tag hard", "tag node:1"],
            ),
            // its token for several
            (
                &["BAN /", HOST, "Cache-Tags: node:1|node:2"],
                &["tag hard", "tag node:1", "tag node:2"],
            ),
            // without configuration
            (
                &["BAN /tags", HOST, "Cache-Tags: node:1 node:2"],
                &["tag hard", "tag node:1", "tag node:2"],
            ),
            (&["PURGE /a?b", "Host: example.com"], &["key hard", "own"]),
            (&["PURGE /site", HOST], &["all hard", "all"]),
            (&["BAN /site", HOST], &["all hard", "all"]),
            (
                &["BAN /a/*", "Host: example.com"],
                &["prefix hard", "prefix example.com/a/"],
            ),
            // HTTP purger
            (
                &["BAN /", HOST, "Purge-Cache-Tags: node:1 node:2"],
                &["tag hard", "tag node:1", "tag node:2"],
            ),
            (
                &["BAN /any", HOST, "Purge-Cache-Tags: node:1|node:2"],
                &["tag hard", "tag node:1", "tag node:2"],
            ),
        ],
    );
    refused(
        Style::Drupal,
        &[
            (&["BAN /", HOST], "BAN needs"),
            (&["BAN /a", HOST], "BAN needs"),
            (&["BAN /tags", HOST], "Cache-Tags"),
            (&["BAN /*.png", HOST], "end of a path"),
            (&["BAN /a*b*", HOST], "end of a path"),
            (&["BAN /", HOST, "Cache-Tags: "], "nothing to purge"),
            (
                &["BAN /", HOST, "Cache-Tags: (^| )node:1( |$)"],
                "regular expressions",
            ),
            (&["PURGE /", HOST, "Cache-Tags: node:1"], "Cache-Tags"),
            (
                &["BAN /", HOST, "X-Cache-Tags: a"],
                "redis_cache_purge_style fos",
            ),
        ],
    );
}

#[test]
fn magento() {
    const HOST: &str = "Host: cache.internal:6081";
    understood(
        Style::Magento,
        &[
            (
                &[
                    "PURGE /",
                    HOST,
                    "X-Magento-Tags-Pattern: ((^|,)cat_p_1(,|$))|((^|,)cat_p_2(,|$))",
                ],
                &["tag hard", "tag cat_p_1", "tag cat_p_2"],
            ),
            (
                &[
                    "PURGE /",
                    HOST,
                    "X-Magento-Tags-Pattern: ((^|,)cat_p_1(,|$))",
                ],
                &["tag hard", "tag cat_p_1"],
            ),
            (
                &["PURGE /", HOST, "X-Magento-Tags-Pattern: .*"],
                &["all hard", "all"],
            ),
            (&["PURGE /a", HOST], &["key hard", "own"]),
        ],
    );
    refused(
        Style::Magento,
        &[
            (
                &["PURGE /", HOST, "X-Magento-Tags-Pattern: *"],
                "isn't understood",
            ),
            (
                &["PURGE /", HOST, "X-Magento-Tags-Pattern: "],
                "isn't understood",
            ),
            (
                &["PURGE /", HOST, "X-Magento-Tags-Pattern: cat_p_1"],
                "isn't understood",
            ),
            (
                &[
                    "PURGE /",
                    HOST,
                    "X-Magento-Tags-Pattern: ((^|,)cat_p_.*(,|$))",
                ],
                "isn't understood",
            ),
        ],
    );
    // a longest field: 7,680 bytes
    let one = |n: usize| format!("((^|,)cat_p_{n:04}(,|$))");
    let all: Vec<_> = (0..320).map(one).collect();
    let line = format!("X-Magento-Tags-Pattern: {}", all.join("|"));
    assert!(line.len() > 7000);
    let told = asks(all_styles(), &["PURGE /", HOST, &line]);
    assert_eq!((told[0].as_str(), told.len()), ("tag hard", 321));
}

#[test]
fn fos_for_varnish() {
    const HOST: &str = "Host: example.com";
    const ANY_HOST: &str = "X-Host: .*";
    const ANY_URL: &str = "X-Url: .*";
    const ANY_TYPE: &str = "X-Content-Type: .*";
    understood(
        Style::Fos,
        &[
            (&["PURGE /a?b", HOST], &["key hard", "own"]),
            (
                &[
                    "BAN /",
                    ANY_HOST,
                    ANY_URL,
                    ANY_TYPE,
                    "X-Cache-Tags: (^|,)(a|b)(,|$)",
                ],
                &["tag hard", "tag a", "tag b"],
            ),
            (
                &[
                    "BAN /",
                    ANY_HOST,
                    ANY_URL,
                    ANY_TYPE,
                    r"X-Cache-Tags: (^|,)(node\:1|x\.y|a b)(,|$)",
                ],
                &["tag hard", "tag a b", "tag node:1", "tag x.y"],
            ),
            // before version 2
            (
                &["BAN /", "X-Cache-Tags: (a|b)(,.+)?$"],
                &["tag hard", "tag a", "tag b"],
            ),
            (
                &["BAN /", ANY_HOST, ANY_URL, ANY_TYPE],
                &["all hard", "all"],
            ),
            (
                &["BAN /", ANY_HOST, "X-Url: /a/.*", ANY_TYPE],
                &["prefix hard", "prefix */a/"],
            ),
            (
                &["BAN /", ANY_HOST, "X-Url: ^/a", ANY_TYPE],
                &["prefix hard", "prefix */a"],
            ),
            (
                &["BAN /", "X-Host: ^(a.com|b.com)$", "X-Url: /a/.*", ANY_TYPE],
                &["prefix hard", "prefix a.com/a/", "prefix b.com/a/"],
            ),
            (
                &["BAN /", r"X-Host: ^a\.com$", "X-Url: ^/a$", ANY_TYPE],
                &["uri hard", "uri a.com/a"],
            ),
            (
                &["BAN /", r"X-Host: a\.com:8080", ANY_URL],
                &["host hard", "host a.com"],
            ),
            (
                &["PURGEKEYS /", HOST, "xkey-softpurge: a b"],
                &["tag soft", "tag a", "tag b"],
            ),
            (
                &["PURGEKEYS /", HOST, "xkey-purge: a b"],
                &["tag hard", "tag a", "tag b"],
            ),
            (
                &["PURGEKEYS /", "xkey-purge: a", "xkey-softpurge: b"],
                &["tag hard", "tag a", "tag b"],
            ),
        ],
    );
    refused(
        Style::Fos,
        &[
            (&["BAN /", HOST], "BAN needs"),
            (&["BAN /", ANY_HOST, r"X-Url: .*\.png$", ANY_TYPE], "X-Url"),
            (&["BAN /", ANY_HOST, "X-Url: /a?b", ANY_TYPE], "X-Url"),
            (&["BAN /", ANY_HOST, r"X-Url: /a\.*", ANY_TYPE], "X-Url"),
            (&["BAN /", ANY_HOST, "X-Url: a", ANY_TYPE], "X-Url"),
            (&["BAN /", "X-Host: ^(www.)?a.com$", ANY_URL], "X-Host"),
            (&["BAN /", "X-Host: a b", ANY_URL], "no host"),
            (
                &["BAN /", ANY_HOST, ANY_URL, "X-Content-Type: image/png"],
                "X-Content-Type",
            ),
            (
                &["BAN /", "X-Host: a.com", "X-Cache-Tags: (^|,)(a)(,|$)"],
                "X-Host",
            ),
            (&["BAN /", "X-Cache-Tags: a"], "X-Cache-Tags"),
            (&["BAN /", "X-Cache-Tags: (a|b)"], "X-Cache-Tags"),
            (
                &["BAN /", "X-Cache-Tags: (^|,)(a|(b))(,|$)"],
                "X-Cache-Tags",
            ),
            (&["BAN /", "X-Cache-Tags: (^|,)(a|)(,|$)"], "X-Cache-Tags"),
            (&["BAN /", "X-Cache-Tags: (^|,)(a"], "X-Cache-Tags"),
            (&["BAN /", r"X-Cache-Tags: (^|,)(\d)(,|$)"], "X-Cache-Tags"),
            (&["PURGEKEYS /", HOST], "xkey"),
            (&["PURGEKEYS /", HOST, "xkey-purge: "], "nothing to purge"),
        ],
    );
}

#[test]
fn fos_for_nginx_and_symfony() {
    const HOST: &str = "Host: example.com";
    understood(
        Style::Fos,
        &[
            (&["PURGE /a", HOST], &["key hard", "own"]),
            (
                &["PURGE /purge/a?b", HOST],
                &["key hard", "own", "here /a?b"],
            ),
            (&["GET /a", HOST, "X-Refresh: 1"], &["refresh"]),
            (
                &["PURGETAGS /", "X-Cache-Tags: a,b"],
                &["tag hard", "tag a", "tag b"],
            ),
            (
                &["PURGETAGS /", "X-Cache-Tags: a b"],
                &["tag hard", "tag a b"],
            ),
            (
                &["PURGE /", HOST, "Clear-Cache: true"],
                &["all hard", "all"],
            ),
        ],
    );
    refused(
        Style::Fos,
        &[
            (&["PURGETAGS /", HOST], "X-Cache-Tags"),
            (&["PURGETAGS /", "X-Cache-Tags: ,"], "nothing to purge"),
            (&["PURGE /", HOST, "Clear-Cache: yes"], "Clear-Cache"),
            (&["PURGE /purge/a", HOST, "X-Cache-Tags: a"], "X-Cache-Tags"),
        ],
    );
    let styles = Styles::default().with(Style::Fos);
    for lines in [
        &["GET /a", HOST][..],
        &["GET /a", HOST, "X-Refresh: 0"],
        &["GET /purge/a", HOST],
        &["POST /a", HOST, "X-Refresh: 1"],
    ] {
        assert_eq!(asks(styles, lines), [""; 0], "{lines:?}");
    }
}

#[test]
fn api_platform() {
    const HOST: &str = "Host: cache";
    understood(
        Style::ApiPlatform,
        &[
            (
                &["PURGE /", HOST, "xkey: /foo /bar"],
                &["tag hard", "tag /bar", "tag /foo"],
            ),
            (
                &["PURGE /", HOST, "xkey: /foo, /bar"],
                &["tag hard", "tag /bar", "tag /foo"],
            ),
            (
                &["BAN /", HOST, r"ApiPlatform-Ban-Regex: (/foo)($|\,)"],
                &["tag hard", "tag /foo"],
            ),
            (
                &["BAN /", HOST, r"ApiPlatform-Ban-Regex: (/foo|/bar)($|\,)"],
                &["tag hard", "tag /bar", "tag /foo"],
            ),
            (
                &["BAN /", HOST, r"ApiPlatform-Ban-Regex: (^|\,)/foo($|\,)"],
                &["tag hard", "tag /foo"],
            ),
            (
                &[
                    "BAN /",
                    HOST,
                    r"ApiPlatform-Ban-Regex: ((^|\,)/foo($|\,))|((^|\,)/bar($|\,))",
                ],
                &["tag hard", "tag /bar", "tag /foo"],
            ),
            // a tag with a comma: in the response it may have been two
            (
                &["BAN /", HOST, "ApiPlatform-Ban-Regex: (b,c)($|\\,)"],
                &["tag hard", "tag b", "tag b,c", "tag c"],
            ),
        ],
    );
    refused(
        Style::ApiPlatform,
        &[
            (&["BAN /", HOST], "BAN needs"),
            (
                &["BAN /", HOST, "ApiPlatform-Ban-Regex: /foo"],
                "ApiPlatform-Ban-Regex",
            ),
            (
                &["PURGE /", HOST, "ApiPlatform-Ban-Regex: .*"],
                "ApiPlatform-Ban-Regex",
            ),
        ],
    );
}

#[test]
fn varnish() {
    const HOST: &str = "Host: a.com";
    understood(
        Style::Varnish,
        &[
            (&["PURGE /a", HOST], &["key hard", "own"]),
            (&["PURGE /a/*", HOST], &["prefix hard", "prefix a.com/a/"]),
            (
                &["PURGE /", HOST, "xkey: a b"],
                &["tag hard", "tag a", "tag b"],
            ),
            (
                &["PURGE /", HOST, "xkey-softpurge: a"],
                &["tag soft", "tag a"],
            ),
            (
                &["PURGE /", HOST, "xkey: a", "Fastly-Soft-Purge: 1"],
                &["tag soft", "tag a"],
            ),
            // two lines
            (
                &["PURGE /", "xkey: b", "xkey: c"],
                &["tag hard", "tag b", "tag b,c", "tag c"],
            ),
        ],
    );
    refused(
        Style::Varnish,
        &[
            (
                &["PURGE /", HOST, "X-Magento-Tags-Pattern: .*"],
                "redis_cache_purge_style magento",
            ),
            (
                &["PURGE /", HOST, "X-Cache-Tags: a"],
                "redis_cache_purge_style fos",
            ),
            (&["BAN /a", HOST], "BAN needs"),
            (
                &["PURGE /a", HOST, "X-Purge-Method: regex"],
                "redis_cache_purge_style wordpress",
            ),
        ],
    );
    let styles = Styles::default().with(Style::Varnish);
    for line in ["GET /a", "GET /purge/a", "PURGETAGS /", "purge /", "POST /"] {
        assert_eq!(asks(styles, &[line, HOST]), [""; 0], "{line}");
    }
}

#[test]
fn too_many_tags() {
    let tags: Vec<_> = (0..2049).map(|n| n.to_string()).collect();
    let line = format!("xkey: {}", tags.join(" "));
    let told = asks(all_styles(), &["PURGE /", &line]);
    assert!(told[0].contains("2049 tags; 2048"), "{told:?}");
}

#[test]
fn deep_parentheses_are_none_of_the_forms() {
    for depth in [1, 2, 3, 5000] {
        let pattern = format!("{}(^|,)a(,|$){}", "(".repeat(depth), ")".repeat(depth));
        let line = format!("X-Magento-Tags-Pattern: {pattern}");
        let told = asks(all_styles(), &["PURGE /", &line]);
        assert_eq!(told[0] == "tag hard", depth <= 2, "{depth}");
    }
}

#[test]
fn names_of_styles() {
    for style in Style::EACH {
        assert_eq!(Style::parse(style.as_str().as_bytes()), Some(style));
    }
    assert_eq!(Style::parse(b"Varnish"), None);
    assert!(Styles::default().is_empty());
}
