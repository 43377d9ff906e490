//! A condition holds for what the client would get: where a filter takes the validators away, as plain nginx does with
//! its own cache, or changes a body that has none, there is no 304.

use testbed::{Answer, Request, Running, Site};

const MODIFIED: &str = "Sat, 02 Jan 2010 03:04:05 GMT";
const LATER: &str = "Sun, 03 Jan 2010 03:04:05 GMT";
const FAR: &str = "Fri, 31 Dec 2100 23:59:59 GMT";

/// What is asked beside the page.
const CONDITIONS: [(&str, &str); 5] = [
    ("If-Modified-Since", MODIFIED),
    ("If-Modified-Since", LATER),
    ("If-Modified-Since", FAR),
    ("If-None-Match", "\"v1\""),
    ("If-None-Match", "W/\"v1\""),
];

/// A name, directives, the statuses for a page with both validators, and those for one without.
type Case = (&'static str, &'static str, [u16; 5], [u16; 5]);

/// `LATER` and `FAR` differ from nginx's `if_modified_since exact`, as `docs/http/validation.md` says, where the validators are kept.
const CASES: [Case; 10] = [
    ("no filter", "", [304; 5], [200, 200, 304, 200, 200]),
    ("ssi", "ssi on; ssi_types text/plain;", [200; 5], [200; 5]),
    (
        "ssi that keeps them",
        "ssi on; ssi_types text/plain; ssi_last_modified on;",
        [304; 5],
        [200; 5],
    ),
    (
        "sub_filter",
        "sub_filter needle pin; sub_filter_types text/plain;",
        [200; 5],
        [200; 5],
    ),
    (
        "sub_filter that keeps them",
        "sub_filter needle pin; sub_filter_types text/plain; sub_filter_last_modified on;",
        [304; 5],
        [200; 5],
    ),
    (
        "addition",
        "add_after_body /after; addition_types text/plain;",
        [304; 5],
        [200; 5],
    ),
    (
        "gzip",
        "gzip on; gzip_types text/plain; gzip_min_length 1; gzip_vary on;",
        [304; 5],
        [200; 5],
    ),
    (
        "no Last-Modified",
        "add_header Last-Modified \"\";",
        [200, 200, 200, 304, 304],
        [200, 200, 304, 200, 200],
    ),
    (
        "another ETag",
        "add_header ETag '\"v2\"';",
        [304, 304, 304, 200, 200],
        [200, 200, 304, 200, 200],
    ),
    (
        "expires",
        "expires 1h;",
        [304; 5],
        [200, 200, 304, 200, 200],
    ),
];

fn set_up(site: &Running) {
    let text = "needle <!--# echo var=\"uri\" --> ".repeat(50);
    let page = Answer::ok(text).content_type("text/plain");
    site.backend.set("/after", Answer::ok("after"));
    site.backend.set("/bare", page.clone());
    site.backend.set(
        "/page",
        page.header("ETag", "\"v1\"")
            .header("Last-Modified", MODIFIED),
    );
    for target in ["/page", "/bare"] {
        let _ = site.get(target);
    }
}

fn statuses(site: &Running, target: &str) -> [u16; 5] {
    CONDITIONS.map(|(name, value)| {
        let request = Request::get(target)
            .header(name, value)
            .header("Accept-Encoding", "gzip");
        let got = site.ask(&request);
        assert!(got.complete && (got.status != 304 || got.body.is_empty()));
        for field in ["content-type", "content-length", "content-encoding", "vary"] {
            let there = got.header(field);
            assert!(got.status != 304 || there.is_none(), "{name}: {field}");
        }
        if got.status == 304 && target == "/page" && name == "If-None-Match" {
            assert!(got.header("etag").is_some(), "{name}");
        }
        got.status
    })
}

#[test]
fn a_condition_holds_for_what_the_filters_make_of_the_page() {
    for (name, directives, page, bare) in CASES {
        let folder = std::env::temp_dir().join(format!("not-modified-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let plain = Site::plain()
            .workers(1)
            .http(&format!(
                "proxy_cache_path {} keys_zone=disk:1m;",
                folder.display()
            ))
            .location("proxy_cache disk; proxy_cache_valid 200 1h; proxy_cache_key $uri;")
            .location(directives)
            .start();
        set_up(&plain);
        let theirs = [statuses(&plain, "/page"), statuses(&plain, "/bare")];
        println!("{name}: plain nginx {theirs:?}");
        let site = Site::new().workers(1).location(directives).start();
        set_up(&site);
        for state in ["HIT", "STALE"] {
            for (target, right) in [("/page", page), ("/bare", bare)] {
                site.wait_for_hit(target);
                if state == "STALE" {
                    // A failing backend leaves the record as it is.
                    site.backend.set(target, Answer::of(503, ""));
                    site.make_stale(target);
                }
                assert_eq!(statuses(&site, target), right, "{name}: {state} {target}");
            }
        }
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The answer of a fill is judged the same way.
#[test]
fn a_fill_is_judged_by_what_the_filters_make_of_it() {
    for (name, directives, page, _) in CASES {
        let site = Site::new().workers(1).location(directives).start();
        set_up(&site);
        for (n, (field, value)) in CONDITIONS.into_iter().enumerate() {
            let target = format!("/fill{n}");
            let answer = Answer::ok("needle").content_type("text/plain");
            site.backend.set(
                &target,
                answer
                    .header("ETag", "\"v1\"")
                    .header("Last-Modified", MODIFIED),
            );
            let got = site.ask(&Request::get(&target).header(field, value));
            assert_eq!(got.word(), "STORE", "{name}: {field}: {value}");
            assert_eq!(got.status, page[n], "{name}: {field}: {value}");
        }
    }
}

/// A page's part has no conditions: those of the client speak of the page.
#[test]
fn a_part_of_a_page_is_there_whatever_its_client_has() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_key $uri;")
        .locations("location /page { ssi on; ssi_types text/plain; proxy_pass http://backend; }")
        .start();
    let page = Answer::ok("[<!--# include virtual=\"/part\" -->]").content_type("text/plain");
    site.backend.set("/page", page);
    site.backend.set(
        "/part",
        Answer::ok("part")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", MODIFIED),
    );
    for turn in 0..3 {
        for (name, value) in CONDITIONS {
            let got = site.ask(&Request::get("/page").header(name, value));
            assert_eq!(
                (got.status, got.text().as_str()),
                (200, "[part]"),
                "{turn} {name}: {value}"
            );
        }
        if turn == 0 {
            let _ = site.redis.wait_for_record("/part");
        }
    }
}
