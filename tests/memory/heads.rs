//! The header of a response from memory: the one that the same record has from Redis.

use testbed::{Answer, Client, PATIENCE, Record, Request, Response, Running, Site, eventually};

use super::site;

/// Variables of the record's header, which a response tells in one of its own. Records from Redis have them too.
const UPSTREAM: &str = "add_header X-Upstream \"type=$upstream_http_content_type length=$upstream_http_content_length \
    date=$upstream_http_date ranges=$upstream_http_accept_ranges etag=$upstream_http_etag hidden=$upstream_http_x_hidden \
    link=$upstream_http_link rate=$upstream_http_x_accel_limit_rate charset=$upstream_http_x_accel_charset\" always;";

/// The lines of a response, but for those that differ with the time and the source. nginx gives its own time as `Date` where a
/// record has none, and on error pages; the record's own is in X-Upstream.
fn lines(answer: &Response) -> Vec<(String, Vec<u8>)> {
    let differs =
        |name: &str| ["age", "date", "x-source"].contains(&name.to_ascii_lowercase().as_str());
    let fields = answer.fields.iter().filter(|(name, _)| !differs(name));
    fields.cloned().collect()
}

/// Asks until the answer is a hit from there.
#[track_caller]
fn hit_from(client: &mut Client, request: &Request, source: &str) -> Response {
    let answer = eventually(PATIENCE, || {
        let answer = client.ask(request);
        let is = answer.header("x-source").as_deref() == Some(source) && answer.word() == "HIT";
        is.then_some(answer)
    });
    answer.unwrap_or_else(|| panic!("never a hit from {source}"))
}

/// A site whose tier keeps a record from this use on: before, Redis gives it.
fn late_site(uses: usize, lines: &str) -> Running {
    site(&format!("min_uses={uses}"))
        .location(UPSTREAM)
        .location("proxy_pass_header X-Accel-Charset; proxy_hide_header X-Hidden; etag on; proxy_pass http://backend;")
        .location(lines)
        .start()
}

fn answers() -> Vec<(&'static str, Answer)> {
    let kept = |answer: Answer| answer.header("Cache-Control", "public, max-age=600");
    vec![
        ("plain", kept(Answer::ok("plain"))),
        ("empty", kept(Answer::ok(""))),
        ("no-content", kept(Answer::of(204, ""))),
        (
            "charset",
            kept(Answer::ok("<p>").content_type("Text/HTML ; a=b; charset=\"utf-8\" ; c=d")),
        ),
        (
            "type",
            kept(Answer::ok("x").content_type("application/x-odd; version=1")),
        ),
        (
            "validators",
            kept(Answer::ok("0123456789"))
                .header("ETag", "\"v1\"")
                .header("Last-Modified", "Thu, 05 Feb 2026 12:00:00 GMT")
                .header("Accept-Ranges", "bytes"),
        ),
        (
            "many",
            kept(Answer::ok("x"))
                .header("Cache-Control", "stale-if-error=5")
                .header("Link", "</a>; rel=preload")
                .header("Link", "</b>; rel=preload")
                .header("X-Odd", b"\xff\"\\ \t,".as_slice())
                .header("X-Empty", "")
                .header("Expires", "Thu, 05 Feb 2027 12:00:00 GMT")
                .header("Server", "other")
                .header("WWW-Authenticate", "Basic"),
        ),
        (
            "moved",
            kept(Answer::of(301, "gone")).header("Location", "/there?x"),
        ),
        (
            "away",
            kept(Answer::of(301, "gone")).header("Location", "http://other.example/there"),
        ),
        (
            "missing",
            kept(Answer::of(404, "no")).header("Accept-Ranges", "bytes"),
        ),
        ("phrase", kept(Answer::ok("fine")).reason(" Quite Fine")),
        (
            "unsent",
            kept(Answer::ok("<p>"))
                .content_type("text/html")
                .header("X-Hidden", "secret")
                .header("X-Accel-Charset", "koi8-r")
                .header("X-Accel-Limit-Rate", "100000"),
        ),
        ("large", kept(Answer::ok("l".repeat(100_000)))),
    ]
}

#[test]
fn it_is_the_one_that_the_record_has_from_redis() {
    let site = late_site(8, "redis_cache_valid any;");
    let mut client = site.client();
    for (name, answer) in answers() {
        let target = format!("/{name}");
        site.backend.set(&target, answer);
        let request = Request::get(&target);
        let wanted = hit_from(&mut client, &request, "store");
        let got = hit_from(&mut client, &request, "memory");
        assert_eq!(site.backend.hits(&target), 1, "{name}");
        assert_eq!(got.status, wanted.status, "{name}");
        assert_eq!(got.reason, wanted.reason, "{name}");
        assert_eq!(lines(&got), lines(&wanted), "{name}");
        assert!(got.body == wanted.body, "{name}");
        assert!(got.age().is_some(), "{name}");
    }
}

#[test]
fn records_of_the_lua_script_have_theirs_from_redis_too() {
    let small = ("small", "", "small".to_owned());
    let large = ("large", "", "l".repeat(100_000));
    let twice = r#""Content-Type":["text\/html; charset=utf-8","text\/plain"],"#;
    let types = ("types", twice, "types".to_owned());
    for (name, fields, text) in [small, large, types] {
        let site = late_site(4, "");
        let mut client = site.client();
        let target = format!("/{name}");
        let headers = format!(r#"{{{fields}"X-Name":"{name}"}}"#);
        let record = Record::lua("200", headers, text.as_str());
        site.redis.put(&site.key(&target), &record, 600);
        let request = Request::get(&target);
        let wanted = hit_from(&mut client, &request, "store");
        let got = hit_from(&mut client, &request, "memory");
        assert_eq!(lines(&got), lines(&wanted), "{name}");
        let upstream = got.header("x-upstream").unwrap_or_default();
        let length = format!(" length={} ", text.len());
        assert!(upstream.contains(&length), "{name}: {upstream}");
        if name == "types" {
            assert_eq!(got.header("content-type").as_deref(), Some("text/plain"));
        }
    }
}

#[test]
fn conditions_find_what_they_find_in_a_record_from_redis() {
    let site = late_site(40, "");
    let mut client = site.client();
    site.backend.set(
        "/page",
        Answer::ok("0123456789")
            .header("Cache-Control", "max-age=600")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", "Thu, 05 Feb 2026 12:00:00 GMT"),
    );
    let requests = [
        (
            Request::get("/page").header("If-None-Match", "W/\"v1\""),
            304,
        ),
        (Request::get("/page").header("If-None-Match", "\"v2\""), 200),
        (
            Request::get("/page").header("If-Modified-Since", "Thu, 05 Feb 2026 12:00:00 GMT"),
            304,
        ),
        (
            Request::get("/page").header("If-Modified-Since", "Thu, 05 Feb 2026 11:00:00 GMT"),
            200,
        ),
        (Request::get("/page").header("If-Match", "\"v2\""), 412),
        (
            Request::get("/page").header("If-Unmodified-Since", "Thu, 05 Feb 2026 11:00:00 GMT"),
            412,
        ),
        (Request::get("/page").header("Range", "bytes=2-4"), 206),
        (
            Request::get("/page")
                .header("Range", "bytes=2-4")
                .header("If-Range", "\"v1\""),
            206,
        ),
        (
            Request::get("/page")
                .header("Range", "bytes=2-4")
                .header("If-Range", "\"v2\""),
            200,
        ),
        (Request::get("/page").header("Range", "bytes=20-"), 416),
        (Request::head("/page"), 200),
    ];
    let _ = hit_from(&mut client, &Request::get("/page"), "store");
    let wanted: Vec<Response> = requests
        .iter()
        .map(|(request, _)| client.ask(request))
        .collect();
    let _ = hit_from(&mut client, &Request::get("/page"), "memory");
    for ((request, status), wanted) in requests.iter().zip(&wanted) {
        let got = client.ask(request);
        assert_eq!(wanted.header("x-source").as_deref(), Some("store"));
        assert_eq!(got.header("x-source").as_deref(), Some("memory"));
        assert_eq!((got.status, wanted.status), (*status, *status));
        assert_eq!(lines(&got), lines(wanted), "{status}");
        assert_eq!(got.text(), wanted.text());
    }
}

#[test]
fn locations_with_other_rules_share_a_record() {
    let site = site("")
        .locations(
            "location /other { redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_stale 300s; \
             redis_cache_key /shared; redis_cache_header X-Cache; add_header X-Source $redis_cache_source always; \
             proxy_pass http://backend; }
             location /shared { redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_stale 1s; \
             redis_cache_key /shared; redis_cache_header X-Cache; add_header X-Source $redis_cache_source always; \
             proxy_pass http://backend; }",
        )
        .start();
    let mut client = site.client();
    // 101 s are left of it: fresh for 100 s by the one rules, stale by the others.
    site.backend.set(
        "/shared",
        Answer::ok("shared").header("Cache-Control", "max-age=100"),
    );
    let answer = hit_from(&mut client, &Request::get("/shared"), "memory");
    assert_eq!(answer.text(), "shared");
    let answer = client.get("/other");
    assert_eq!(
        (answer.word().as_str(), answer.text().as_str()),
        ("STALE", "shared")
    );
    assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
    let answer = client.get("/shared");
    assert_eq!(answer.text(), "shared");
}

#[test]
fn many_more_records_than_a_worker_remembers_come_out_right() {
    // A worker remembers some 16 MB of headers: with these of 8 kB no more than 2,000.
    let site = Site::new()
        .workers(1)
        .http("keepalive_requests 1000000; client_header_buffer_size 16k; proxy_buffer_size 32k; proxy_buffers 8 32k; proxy_busy_buffers_size 64k;")
        .store("memory 64m min_uses=1;")
        .start();
    let mut client = site.client();
    let filler = "f".repeat(8000);
    site.backend.script("/many", move |request, _| {
        let number = request
            .target
            .rsplit('=')
            .next()
            .unwrap_or_default()
            .to_owned();
        Answer::ok(format!("text {number}"))
            .header("Cache-Control", "max-age=600")
            .header("X-Filler", format!("{filler}{number}"))
    });
    for _ in 0..2 {
        for number in 0..2500 {
            let answer = client.get(&format!("/many?n={number}"));
            assert_eq!(answer.text(), format!("text {number}"));
            assert!(
                answer
                    .header("x-filler")
                    .unwrap()
                    .ends_with(&format!("f{number}"))
            );
        }
    }
}
