//! Purges of many records at once: by prefix, host, tag, and of everything. They are entries of the store's log.

use testbed::{Answer, PATIENCE, Request, Running, Site, wait_for};

use crate::{Page, fill, fill_tagged, get, purges, request, site, told};

/// Pages of a sender that has tags, by the field that carries them.
struct Tagged<'a> {
    style: &'a str,
    /// The directive that names the field, if it isn't one of the default.
    field: &'a str,
    /// The field's value of each page.
    tags: [&'a str; 3],
    /// The request, which purges the first two pages.
    lines: &'a [&'a str],
    /// How many tags it names.
    count: usize,
    mode: &'a str,
}

impl Tagged<'_> {
    fn check(&self) {
        const PAGES: [Page<'_>; 3] = [
            ("example.com", "/1"),
            ("www.example.org", "/2"),
            ("example.com", "/3"),
        ];
        let site = site(self.style)
            .location(&format!("redis_cache_tags {};", self.field))
            .start();
        for (page, tags) in PAGES.into_iter().zip(self.tags) {
            fill_tagged(&site, page, (self.field, tags));
            let hit = get(&site, page);
            assert_eq!(hit.word(), "HIT");
            assert_eq!(hit.header(self.field), None, "clients don't get it");
        }
        let answer = site.ask(&request(self.lines));
        assert_eq!(
            (answer.status, answer.text()),
            (200, told(self.count, "tag", self.mode)),
            "{:?}",
            self.lines
        );
        assert_eq!(get(&site, PAGES[2]).word(), "HIT", "{:?}", self.lines);
        let word = if self.mode == "hard" {
            "STORE"
        } else {
            "STALE"
        };
        for page in &PAGES[..2] {
            assert_eq!(get(&site, *page).word(), word, "{:?}", self.lines);
        }
    }
}

#[test]
fn tags_of_drupal() {
    let case = |lines: &[&str], field: &str| {
        Tagged {
            style: "drupal",
            field,
            tags: ["node:1 config:x", "config:x node:2", "node:11 config:x"],
            lines,
            count: 2,
            mode: "hard",
        }
        .check();
    };
    let host = "Host: 10.0.0.1";
    case(&["BAN /", host, "Cache-Tags: node:1 node:2"], "Cache-Tags");
    case(
        &["BAN /tags", host, "Cache-Tags: node:1|node:2"],
        "Cache-Tags",
    );
    case(
        &["BAN /", host, "Purge-Cache-Tags: node:1 node:2"],
        "Purge-Cache-Tags",
    );
}

#[test]
fn tags_of_magento() {
    Tagged {
        style: "magento",
        field: "X-Magento-Tags",
        tags: ["cat_p,cat_p_1,FPC", "FPC,cat_p_2", "cat_p,cat_p_11,FPC"],
        lines: &[
            "PURGE /",
            "Host: cache.internal:6081",
            "X-Magento-Tags-Pattern: ((^|,)cat_p_1(,|$))|((^|,)cat_p_2(,|$))",
        ],
        count: 2,
        mode: "hard",
    }
    .check();
}

#[test]
fn a_longest_field_of_magento() {
    let site = site("magento")
        .location("redis_cache_tags X-Magento-Tags;")
        .start();
    let pages = [("example.com", "/1"), ("example.com", "/2")];
    fill_tagged(&site, pages[0], ("X-Magento-Tags", "cat_p_0319"));
    fill_tagged(&site, pages[1], ("X-Magento-Tags", "cat_p_0320"));
    let patterns: Vec<_> = (0..320)
        .map(|number| format!("((^|,)cat_p_{number:04}(,|$))"))
        .collect();
    let purge = Request::new("PURGE", "/").header("X-Magento-Tags-Pattern", patterns.join("|"));
    assert_eq!(site.ask(&purge).text(), told(320, "tag", "hard"));
    assert_eq!(get(&site, pages[0]).word(), "STORE");
    assert_eq!(get(&site, pages[1]).word(), "HIT");
}

#[test]
fn tags_of_fos_http_cache() {
    let case = |lines: &[&str], field: &str, mode: &str| {
        Tagged {
            style: "fos",
            field,
            tags: ["a,x", "b", "ab,x"],
            lines,
            count: 2,
            mode,
        }
        .check();
    };
    // Varnish, by bans
    let (any_host, any_url, any_type) = ("X-Host: .*", "X-Url: .*", "X-Content-Type: .*");
    let pattern = "X-Cache-Tags: (^|,)(a|b)(,|$)";
    let lines = ["BAN /", any_host, any_url, any_type, pattern];
    case(&lines, "X-Cache-Tags", "hard");
    // Varnish, by the module xkey
    case(&["PURGEKEYS /", "xkey-softpurge: a b"], "xkey", "soft");
    case(&["PURGEKEYS /", "xkey-purge: a b"], "xkey", "hard");
    // Symfony
    case(
        &["PURGETAGS /", "X-Cache-Tags: a,b"],
        "X-Cache-Tags",
        "hard",
    );
}

#[test]
fn tags_of_api_platform() {
    let case = |lines: &[&str], field: &str| {
        Tagged {
            style: "api-platform",
            field,
            tags: ["/books,/books/1", "/books/2", "/books/12"],
            lines,
            count: 2,
            mode: "hard",
        }
        .check();
    };
    case(&["PURGE /", "xkey: /books/1 /books/2"], "xkey");
    case(
        &["BAN /", r"ApiPlatform-Ban-Regex: (/books/1|/books/2)($|\,)"],
        "Cache-Tags",
    );
}

#[test]
fn prefixes_hosts_and_everything() {
    const PAGES: [Page<'_>; 4] = [
        ("example.com", "/a/1"),
        ("example.com", "/a/2?b"),
        ("example.com", "/b"),
        ("example.org", "/a/1"),
    ];
    const HOST: &str = "Host: example.com";
    let bans = ["X-Content-Type: .*"];
    for (style, lines, kind, gone) in [
        // nginx-helper
        ("wordpress", vec!["GET /purge/a/*", HOST], "prefix", 2),
        ("wordpress", vec!["PURGE /purgeall", HOST], "host", 3),
        // proxy-cache-purge
        (
            "wordpress",
            vec!["PURGE /.*", HOST, "X-Purge-Method: regex"],
            "prefix",
            3,
        ),
        (
            "wordpress",
            vec!["PURGE /a/.*", HOST, "X-Purge-Method: regex"],
            "prefix",
            2,
        ),
        // W3 Total Cache
        ("wordpress", vec!["PURGE /.*", HOST], "prefix", 3),
        ("drupal", vec!["BAN /a/*", HOST], "prefix", 2),
        ("drupal", vec!["PURGE /site", "Host: 10.0.0.1"], "all", 4),
        (
            "magento",
            vec!["PURGE /", HOST, "X-Magento-Tags-Pattern: .*"],
            "all",
            4,
        ),
        (
            "fos",
            vec!["BAN /", "X-Host: ^example\\.com$", "X-Url: /a/.*", bans[0]],
            "prefix",
            2,
        ),
        (
            "fos",
            vec!["BAN /", "X-Host: .*", "X-Url: .*", bans[0]],
            "all",
            4,
        ),
        ("fos", vec!["PURGE /", HOST, "Clear-Cache: true"], "all", 4),
        ("varnish", vec!["PURGE /a/*", HOST], "prefix", 2),
    ] {
        let site = site(style).start();
        let (gone, left) = PAGES.split_at(gone);
        let answer = purges(&site, &lines, gone, left);
        assert_eq!(answer.text(), told(1, kind, "hard"), "{style} {lines:?}");
    }
}

#[test]
fn a_page_with_any_arguments() {
    let site = site("wordpress").start();
    let lines = [
        "PURGE /a",
        "Host: example.com",
        r"X-Ban-Regex: ^/a($|/$|\?.*|/\?.*)",
    ];
    let gone = [
        ("example.com", "/a"),
        ("example.com", "/a/"),
        ("example.com", "/a?x"),
        ("example.com", "/a/?y=1"),
    ];
    let left = [("example.com", "/ab"), ("example.org", "/a")];
    let answer = purges(&site, &lines, &gone, &left);
    assert_eq!(answer.text(), told(4, "uri", "hard"));
}

#[test]
fn soft_where_the_sender_says_so() {
    let site = site("varnish").start();
    let (page, other) = (("example.com", "/a"), ("example.com", "/b"));
    fill(&site, page);
    fill(&site, other);
    site.backend.set("/a", Answer::ok("new"));
    let purge = request(&["PURGE /a", "Host: example.com", "Fastly-Soft-Purge: 1"]);
    assert_eq!(site.ask(&purge).text(), told(1, "key", "soft"));
    assert_eq!(get(&site, page).word(), "STALE");
    wait_for("the refill", PATIENCE, || get(&site, page).text() == "new");
    assert_eq!(get(&site, page).word(), "HIT");
    assert_eq!(get(&site, other).word(), "HIT");
    assert_eq!(site.backend.hits("/a"), 2, "one refill");
}

/// A site whose key has more in it than the URI.
fn by_cookie() -> Running {
    Site::new()
        .spread()
        .server("redis_cache_purge_allow 127.0.0.1;")
        .location(
            "redis_cache_key $cookie_lang:$host$request_uri; redis_cache_purge_style varnish;",
        )
        .start()
}

#[test]
fn a_key_that_the_sender_does_not_have() {
    let site = by_cookie();
    let page = |lang: &str, target: &str| {
        Request::get(target)
            .header("Host", "example.com")
            .header("Cookie", format!("lang={lang}"))
    };
    for lang in ["de", "en"] {
        for target in ["/a", "/b"] {
            site.fill_by(&page(lang, target), &format!("{lang}:example.com{target}"));
        }
    }
    let answer = site.ask(&request(&["PURGE /a", "Host: example.com"]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    for lang in ["de", "en"] {
        assert_eq!(site.ask(&page(lang, "/a")).word(), "STORE", "{lang}");
        assert_eq!(site.ask(&page(lang, "/b")).word(), "HIT", "{lang}");
    }
}

#[test]
fn a_store_in_shared_memory_alone() {
    let site = Site::new()
        .spread()
        .memory_alone("memory 16m;")
        .server("redis_cache_purge_allow 127.0.0.1;")
        .location(&format!(
            "{} redis_cache_purge_style wordpress varnish;",
            crate::KEY
        ))
        .start();
    let (page, other) = (("example.com", "/a/1"), ("example.com", "/b"));
    for page in [page, other] {
        assert_eq!(get(&site, page).word(), "STORE");
        wait_for("the record", PATIENCE, || get(&site, page).word() == "HIT");
    }
    let purge = request(&["PURGE /a/*", "Host: example.com"]);
    assert_eq!(site.ask(&purge).text(), told(1, "prefix", "hard"));
    assert_eq!(get(&site, page).word(), "STORE");
    assert_eq!(get(&site, other).word(), "HIT");
}

/// A response to an unsafe request names groups of its origin that it has changed (RFC 9875 3): they are stale, also if the client
/// isn't told.
#[test]
fn groups_that_an_unsafe_request_invalidates() {
    for more in ["", "proxy_hide_header Cache-Group-Invalidation;"] {
        invalidates_groups(&site("varnish").location(more).start());
    }
}

fn invalidates_groups(site: &Running) {
    let pages = [
        (("example.com", "/1"), "\"a\", \"b\""),
        (("example.com", "/2"), "\"c\""),
        (("example.org", "/1"), "\"a\""),
    ];
    for (page, groups) in pages {
        fill_tagged(site, page, ("Cache-Groups", groups));
        site.backend
            .set(page.1, Answer::ok("next").header("Cache-Groups", groups));
    }
    site.backend.set(
        "/w",
        Answer::of(204, "").header("Cache-Group-Invalidation", "\"b\", \"z\""),
    );
    let at = |method: &str, target: &str| {
        site.ask(&Request::new(method, target).header("Host", "example.com"))
    };
    assert_eq!(
        at("GET", "/w").status,
        204,
        "a safe request invalidates nothing"
    );
    assert_eq!(get(site, pages[0].0).word(), "HIT");
    assert_eq!(at("POST", "/w").status, 204);
    assert_eq!(get(site, pages[0].0).word(), "STALE");
    assert_eq!(get(site, pages[1].0).word(), "HIT");
    assert_eq!(get(site, pages[2].0).word(), "HIT", "of another origin");
}
