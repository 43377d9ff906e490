//! What nginx does to answers on their way out: gzip, sub_filter, SSI. A record holds what came before that.

use std::fs;

use testbed::{Answer, Request, Site, pattern, unzipped};

use crate::{nginx_has, same_as_plain};

#[test]
fn gzip_in_the_cached_location() {
    let location = "gzip on; gzip_min_length 10; gzip_types *; gzip_proxied any;";
    let request = Request::get("/x").header("Accept-Encoding", "gzip");
    for (form, site) in Site::forms() {
        let site = site.server(location).start();
        let text = "all the same ".repeat(5000);
        site.backend.set("/x", Answer::ok(text.clone()));
        let first = site.ask(&request);
        assert_eq!(
            first.header("content-encoding").as_deref(),
            Some("gzip"),
            "{form}"
        );
        assert!(first.body.len() < 1000, "{form}");
        let record = site.redis.wait_for_record(&site.key("/x"));
        assert_eq!(record.body, text.as_bytes(), "{form}: stored plain");
        assert_eq!(site.get("/x").text(), text, "{form}");
        let hit = site.ask(&request);
        assert_eq!(hit.word(), "HIT", "{form}");
        for answer in [&first, &hit] {
            let plain = unzipped(&answer.body);
            assert!(plain == text.as_bytes(), "{form}: {}", answer.word());
        }
    }
}

#[test]
fn sub_filter_in_the_cached_location() {
    if !nginx_has("http_sub_module") {
        return;
    }
    let location = "sub_filter GET changed; sub_filter_types *; sub_filter_once off;";
    same_as_plain(
        "sub_filter",
        |site| site.location(location),
        &Request::get("/x"),
        true,
    );
}

#[test]
fn filters_of_the_backends_location_have_no_part_in_the_answer() {
    let sub = nginx_has("http_sub_module");
    let filters = if sub {
        "sub_filter same changed; sub_filter_types *; sub_filter_once off;"
    } else {
        ""
    };
    let behind = format!(
        "gzip on; gzip_min_length 10; gzip_types *; gzip_proxied any; {filters} proxy_pass http://backend;"
    );
    for (directive, location) in [
        (
            "redis_cache_backend /behind;",
            format!("location /behind {{ internal; rewrite ^/behind(/.*) $1 break; {behind} }}"),
        ),
        (
            "redis_cache_backend @behind;",
            format!("location @behind {{ {behind} }}"),
        ),
    ] {
        let site = Site::new().location(directive).locations(&location).start();
        let text = "all the same ".repeat(1000);
        site.backend.set("/x", Answer::ok(text.clone()));
        site.backend.set(
            "/private",
            Answer::ok(text.clone()).header("Cache-Control", "private"),
        );
        for (path, word) in [("/x", "STORE"), ("/x", "HIT"), ("/private", "SKIP")] {
            let request = Request::get(path).header("Accept-Encoding", "gzip");
            let answer = site.ask(&request);
            assert_eq!(answer.word(), word, "{directive}");
            assert_eq!(
                answer.header("content-encoding"),
                None,
                "{directive}, {word}"
            );
            assert!(answer.text() == text, "{directive}, {word}");
            if word == "STORE" {
                let record = site.redis.wait_for_record("/x");
                assert!(record.body == text.as_bytes(), "{directive}");
            }
        }
        // What passes by the cache is no exception.
        let put = Request::new("PUT", "/x").header("Accept-Encoding", "gzip");
        let passed = site.ask(&put);
        assert_eq!(passed.header("content-encoding"), None, "{directive}");
        assert!(passed.text() == text, "{directive}, {}", passed.word());
    }
}

/// The page of files, whose parts are cached.
const PAGE: &str = "location /page { ssi on; root html; default_type text/html; }
    location /part {
        redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_header X-Cache;
        redis_cache_key $uri$is_args$args; redis_cache_age 60s; redis_cache_stale 100s;
        proxy_pass http://BACKEND;
    }";

#[test]
fn parts_of_an_ssi_page_are_cached() {
    let site = Site::new().locations(PAGE).start();
    let folder = site.nginx.prefix().join("html");
    fs::create_dir(&folder).unwrap();
    let include = |target: &str| format!("<!--#include virtual=\"{target}\" -->");
    let page = format!(
        "[{}][{}][{}][{}]",
        include("/part/1?a"),
        include("/part/1?b"),
        include("/part/1?a"),
        include("/part/large")
    );
    fs::write(folder.join("page"), page).unwrap();
    site.backend.set("/part/1?a", Answer::ok("A"));
    site.backend.set("/part/1?b", Answer::ok("B"));
    let large = String::from_utf8_lossy(&pattern(90_000, 1)).replace('\u{fffd}', "?");
    site.backend
        .set("/part/large", Answer::ok(large.clone()).chunked());
    let expected = format!("[A][B][A][{large}]");
    let crowd = site.crowd(10, "/page");
    for answer in crowd.answers() {
        assert_eq!(answer.status, 200);
        assert!(answer.text() == expected, "{} bytes", answer.body.len());
    }
    for key in ["/part/1?a", "/part/1?b", "/part/large"] {
        let _ = site.redis.wait_for_record(key);
        assert_eq!(site.backend.hits(key), 1, "{key}");
    }
    assert!(site.get("/page").text() == expected);
    // Stale parts are refilled behind the page.
    site.wait_for_fills(3);
    site.redis.expire_in("/part/1?a", 50_000);
    site.backend.set("/part/1?a", Answer::ok("new"));
    assert!(site.get("/page").text() == expected);
    site.backend.wait_for_hits("/part/1?a", 2);
    let renewed = format!("[new][B][new][{large}]");
    let new = testbed::eventually(testbed::PATIENCE, || {
        (site.get("/page").text() == renewed).then_some(())
    });
    assert!(new.is_some(), "{}", &site.get("/page").text()[..20]);
}

#[test]
fn a_part_that_fails_does_not_spoil_the_page() {
    let site = Site::new().locations(PAGE).start();
    let folder = site.nginx.prefix().join("html");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("page"),
        "[<!--#include virtual=\"/part/bad\" -->][<!--#include virtual=\"/part/good\" -->]",
    )
    .unwrap();
    site.backend.set("/part/bad", Answer::ok("x").reset());
    site.backend.set("/part/good", Answer::ok("good"));
    for _ in 0..3 {
        let answer = site.get("/page");
        assert_eq!(answer.status, 200);
        assert!(answer.text().ends_with("[good]"), "{}", answer.text());
    }
    assert_eq!(site.backend.hits("/part/good"), 1);
}

#[test]
fn includes_in_a_cached_page_run_for_each_client() {
    let part = "location /who { proxy_set_header X-Who $http_x_who; proxy_pass http://BACKEND; }";
    for (form, site) in Site::forms() {
        let site = site.server("ssi on;").locations(part).start();
        let page = Answer::ok("[<!--#include virtual=\"/who\" -->]").content_type("text/html");
        site.backend.set("/x", page);
        site.backend.script("/who", |request, _| {
            Answer::ok(request.header("x-who").unwrap_or_default())
        });
        for (who, word) in [("one", "STORE"), ("two", "HIT"), ("three", "HIT")] {
            let answer = site.ask(&Request::get("/x").header("X-Who", who));
            assert_eq!(answer.text(), format!("[{who}]"), "{form}");
            assert_eq!(answer.word(), word, "{form}");
            let _ = site.redis.wait_for_record(&site.key("/x"));
        }
        let record = site.redis.get(&site.key("/x")).unwrap();
        assert_eq!(
            record.body, b"[<!--#include virtual=\"/who\" -->]",
            "{form}"
        );
    }
}
