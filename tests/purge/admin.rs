//! The JSON form, by `redis_cache_admin`.

use testbed::{Answer, PATIENCE, Request, Response, Running, Site, wait_for};

use crate::{KEY, fill, fill_tagged, get, told};

const LOCATION: &str = "location /cache/ { redis_cache_admin; redis_cache_purge_allow 127.0.0.1; \
                        client_body_buffer_size 1k; }";

fn start() -> Running {
    Site::new()
        .spread()
        .location(KEY)
        .locations(LOCATION)
        .start()
}

fn ask(site: &Running, body: &str) -> Response {
    let request = Request::post("/cache/purge", body).header("Host", "example.com");
    site.ask(&request)
}

#[test]
fn what_is_not_understood() {
    let site = start();
    for (body, said) in [
        ("", "no JSON object"),
        ("{", "no JSON object"),
        (r#"{"type": "tag"}"#, "\\\"selectors\\\" is missing"),
        (r#"{"type": "x", "selectors": ["a"]}"#, "isn't known"),
        (
            r#"{"type": "uri", "selectors": ["a b"]}"#,
            "no URI: write it as",
        ),
        (r#"{"type": "all", "purge": 1}"#, "neither true nor false"),
    ] {
        let answer = ask(&site, body);
        let text = answer.text();
        assert_eq!(answer.status, 400, "{body}: {text}");
        assert!(text.starts_with("{\"error\": \""), "{body}: {text}");
        assert!(text.contains(said), "{body}: {text}");
    }
}

#[test]
fn a_body_in_a_file_or_in_chunks_is_read() {
    let site = start();
    let selectors: Vec<_> = (0..300)
        .map(|number| format!("\"/{number:0200}\""))
        .collect();
    let body = format!(
        "{{\"type\": \"uri\", \"selectors\": [{}]}}",
        selectors.join(",")
    );
    assert!(body.len() > 60_000);
    let said = "{\"error\": \"\\\"selectors\\\" has 300 members; 256 is the most\"}\n";
    for chunked in [false, true] {
        let request = Request::post("/cache/purge", body.clone());
        let request = if chunked { request.chunked() } else { request };
        let answer = site.ask(&request);
        assert_eq!((answer.status, answer.text().as_str()), (400, said));
        // one byte more than is read
        let request = Request::post("/cache/purge", "x".repeat(65_537));
        let request = if chunked { request.chunked() } else { request };
        assert_eq!(site.ask(&request).status, 413, "{chunked}");
    }
}

#[test]
fn each_type() {
    const PAGE: (&str, &str) = ("example.com", "/a/b?c=d");
    for (body, kind, left) in [
        (r#""uri", "selectors": ["/a/b?c=d"]"#, "key", "/a/b"),
        (
            r#""uri", "selectors": ["//example.com/a/b?c=d"]"#,
            "key",
            "/a/b",
        ),
        (r#""uri-prefix", "selectors": ["/a/"]"#, "prefix", "/b"),
        (
            r#""uri-prefix", "selectors": ["http://example.com/a/*"]"#,
            "prefix",
            "/b",
        ),
        (r#""host", "selectors": ["example.com"]"#, "host", ""),
        (
            r#""origin", "selectors": ["http://example.com:80"]"#,
            "origin",
            "",
        ),
        (r#""tag", "selectors": ["t1", "none"]"#, "tag", "/b"),
        (r#""group", "selectors": ["g 1"]"#, "group", "/b"),
        (r#""all""#, "all", ""),
    ] {
        let site = start();
        for (purge, mode, word) in [(false, "soft", "STALE"), (true, "hard", "STORE")] {
            let other = ("example.com", left);
            if !left.is_empty() {
                fill(&site, other);
            }
            let elsewhere = ("example.org", "/a/b?c=d");
            site.backend.set("/a/b", Answer::ok("untagged"));
            fill(&site, elsewhere);
            let (field, value) = if kind == "group" {
                ("Cache-Groups", "\"g 1\", \"g2\"")
            } else {
                ("Surrogate-Key", "t0 t1")
            };
            fill_tagged(&site, PAGE, (field, value));
            let answer = ask(&site, &format!("{{\"type\": {body}, \"purge\": {purge}}}"));
            assert_eq!(answer.status, 200, "{body}: {}", answer.text());
            let purged = if kind == "tag" { 2 } else { 1 };
            assert_eq!(answer.text(), told(purged, kind, mode), "{body}");
            if !left.is_empty() {
                assert_eq!(get(&site, other).word(), "HIT", "{body}: {mode}");
            }
            if kind != "all" {
                assert_eq!(get(&site, elsewhere).word(), "HIT", "{body}: {mode}");
            }
            assert_eq!(get(&site, PAGE).word(), word, "{body}: {mode}");
            // Its refill is over, or its record is there.
            wait_for("a hit", PATIENCE, || get(&site, PAGE).word() == "HIT");
            // For the next turn nothing is left of it.
            let everything = r#"{"type": "all", "purge": true}"#;
            assert_eq!(ask(&site, everything).status, 200);
        }
    }
}

#[test]
fn each_store_of_the_configuration_is_purged() {
    let site = Site::new()
        .spread()
        .http("redis_cache_store other { memory 16m; }")
        .location(KEY)
        .locations(&format!(
            "{LOCATION} location /other/ {{ redis_cache on; redis_cache_lock locks; \
             redis_cache_pass other; {KEY} redis_cache_age 60s; redis_cache_header X-Cache; \
             proxy_pass http://BACKEND; }}"
        ))
        .start();
    let pages = [("example.com", "/main"), ("example.com", "/other/a")];
    for page in pages {
        assert_eq!(get(&site, page).word(), "STORE");
        wait_for("the record", PATIENCE, || get(&site, page).word() == "HIT");
    }
    let answer = ask(
        &site,
        r#"{"type": "host", "selectors": ["example.com"], "purge": true}"#,
    );
    assert_eq!(answer.text(), told(1, "host", "hard"));
    for page in pages {
        assert_eq!(get(&site, page).word(), "STORE", "{page:?}");
    }
}
