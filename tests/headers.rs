//! Headers: what is stored, what is left out, and what an answer from a record adds.

use std::time::Instant;

use testbed::{Answer, PATIENCE, Request, Site, wait_for};

#[test]
fn headers_of_one_hop_are_not_stored() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let answer = Answer::ok("x")
            .header("Connection", "keep-alive, X-Hop")
            .header("X-Hop", "1")
            .header("Keep-Alive", "timeout=5")
            .header("TE", "trailers")
            .header("Trailer", "X-Trailer")
            .header("Upgrade", "h2c")
            .header("X-Kept", "1");
        site.backend.set("/length", answer.clone());
        site.backend.set("/chunked", answer.chunked());
        let names = [
            "connection",
            "x-hop",
            "keep-alive",
            "te",
            "trailer",
            "upgrade",
            "transfer-encoding",
            "date",
            "server",
        ];
        for path in ["/length", "/chunked"] {
            site.fill(path);
            let record = site.redis.get(&site.key(path)).unwrap();
            let hit = site.get(path);
            assert_eq!(record.header("x-kept"), ["1"], "{form}: {path}");
            for name in names {
                assert!(
                    record.header(name).is_empty(),
                    "{form}: {path}: {name}: {:?}",
                    record.headers_json()
                );
            }
            for name in ["x-hop", "te", "trailer", "upgrade"] {
                assert_eq!(hit.header(name), None, "{form}: {path}");
            }
        }
    }
}

#[test]
fn repeated_headers_are_kept_in_order() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let mut answer = Answer::ok("x")
            .header("Cache-Control", "public")
            .header("Cache-Control", "max-age=30");
        let links = ["</a>; rel=preload", "</b>; rel=preload", "</c>; rel=next"];
        for link in links {
            answer = answer.header("Link", link).header("X-Multi", link);
        }
        site.backend.set("/x", answer);
        let first = site.fill("/x");
        site.make_stale("/x");
        let stale = site.get("/x");
        let hit = site.wait_for_hit("/x");
        for answer in [&first, &stale, &hit] {
            assert_eq!(
                answer.headers("x-multi"),
                links,
                "{form}: {}",
                answer.word()
            );
            assert_eq!(answer.headers("link"), links, "{form}: {}", answer.word());
            assert_eq!(
                answer.headers("cache-control"),
                ["public", "max-age=30"],
                "{form}: {}",
                answer.word()
            );
        }
    }
}

#[test]
fn headers_that_nginx_knows_are_not_doubled() {
    let site = Site::new()
        .location("redis_cache_valid 200 301; add_header X-Own 1 always;")
        .start();
    let answer = Answer::ok("x")
        .content_type("text/html; charset=utf-8")
        .header("ETag", "W/\"1\"")
        .header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("Expires", testbed::Backend::http_date(60))
        .header("Accept-Ranges", "bytes")
        .header("Content-Language", "en")
        .header("Server", "backend");
    site.backend.set("/x", answer);
    site.backend.set(
        "/moved",
        Answer::of(301, "").header("Location", "/elsewhere?x=1"),
    );
    let first = site.fill("/x");
    let hit = site.get("/x");
    let names = [
        "content-type",
        "content-length",
        "etag",
        "last-modified",
        "expires",
        "content-language",
        "x-own",
    ];
    for name in names {
        assert_eq!(first.headers(name).len(), 1, "{name}: {:?}", first.fields);
        assert_eq!(hit.headers(name), first.headers(name), "{name}");
    }
    for name in [
        "date",
        "server",
        "x-cache",
        "x-worker",
        "age",
        "accept-ranges",
        "connection",
    ] {
        assert!(hit.headers(name).len() <= 1, "{name}: {:?}", hit.fields);
    }
    assert!(hit.header("date").is_some());
    let server = hit.header("server").unwrap();
    assert!(server.contains('/'), "{server} isn't nginx's own");
    let moved = site.fill("/moved");
    let again = site.get("/moved");
    assert_eq!((again.status, again.word().as_str()), (301, "HIT"));
    assert_eq!(again.headers("location"), moved.headers("location"));
    assert!(
        again
            .header("location")
            .unwrap()
            .ends_with("/elsewhere?x=1")
    );
}

#[test]
fn age_is_on_every_answer_from_a_record_and_grows() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let start = Instant::now();
        assert_eq!(
            site.fill("/x").header("age"),
            None,
            "{form}: the backend's answer has none"
        );
        let young = site.get("/x");
        assert!(young.is_aged(0, start), "{form}: {:?}", young.age());
        let start = Instant::now();
        site.expire_in(&site.key("/x"), 130_000);
        let older = site.get("/x");
        assert!(older.is_aged(30, start), "{form}: {:?}", older.age());
        wait_for("Age to grow by itself", PATIENCE, || {
            site.get("/x").age() > older.age()
        });
        let start = Instant::now();
        site.make_stale("/x");
        let old = site.get("/x");
        assert_eq!(old.word(), "STALE", "{form}");
        assert!(old.is_aged(110, start), "{form}: {:?}", old.age());
    }
}

#[test]
fn the_age_that_an_answer_came_with_counts() {
    let site = Site::new().start();
    site.backend.set(
        "/x",
        Answer::ok("x")
            .header("Age", "20")
            .header("Cache-Control", "max-age=50"),
    );
    let start = Instant::now();
    site.fill("/x");
    let hit = site.get("/x");
    assert_eq!(hit.headers("age").len(), 1);
    assert!(hit.is_aged(20, start), "{:?}", hit.age());
    // 30 s of its freshness are left, and 100 s stale.
    site.redis.assert_left("/x", 130, start);
}

#[test]
fn what_is_stored_is_plain_and_compressed_for_who_wants_it() {
    let gzip = "gzip on; gzip_min_length 1; gzip_types text/plain; gzip_http_version 1.0;";
    let site = Site::new().http(gzip).start();
    let body = "all work and no play ".repeat(500);
    site.backend.set("/x", Answer::ok(body.clone()));
    let zipped = Request::get("/x").header("Accept-Encoding", "gzip");
    for word in ["STORE", "HIT"] {
        let answer = site.ask(&zipped);
        assert_eq!(answer.word(), word);
        assert_eq!(
            answer.header("content-encoding").as_deref(),
            Some("gzip"),
            "{word}"
        );
        assert!(answer.body.len() < body.len() / 4, "{word}");
        let record = site.redis.wait_for_record("/x");
        assert_eq!(record.body, body.as_bytes());
        assert!(record.header("content-encoding").is_empty());
    }
    let plain = site.get("/x");
    assert_eq!((plain.word().as_str(), plain.text()), ("HIT", body));
}

#[test]
fn an_encoded_body_keeps_its_encoding() {
    let site = Site::new().start();
    site.backend.set(
        "/x",
        Answer::ok(b"\x1f\x8bnot really".as_slice()).header("Content-Encoding", "gzip"),
    );
    site.fill("/x");
    let hit = site.get("/x");
    assert_eq!(hit.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(hit.body, b"\x1f\x8bnot really");
}

#[test]
fn many_and_long_headers_are_kept() {
    let site = Site::new()
        .location("proxy_buffer_size 64k; proxy_buffers 8 64k;")
        .start();
    let mut answer = Answer::ok("x").header("X-Long", "y".repeat(20_000));
    for number in 0..200 {
        answer = answer.header(&format!("X-Header-{number}"), format!("value {number}"));
    }
    site.backend.set("/x", answer);
    site.fill("/x");
    let hit = site.get("/x");
    assert_eq!(hit.word(), "HIT");
    assert_eq!(hit.header("x-long").unwrap().len(), 20_000);
    for number in 0..200 {
        let name = format!("x-header-{number}");
        assert_eq!(hit.header(&name), Some(format!("value {number}")));
    }
}

#[test]
fn the_backend_sees_the_clients_own_headers() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let request = Request::get("/x?y=1")
            .header("Host", "example.org")
            .header("User-Agent", "test")
            .header("Accept-Language", "en")
            .header("Cookie", "a=1; b=2");
        assert_eq!(site.ask(&request).word(), "STORE", "{form}");
        let received = site.backend.last("/x");
        assert_eq!(received.target, "/x?y=1", "{form}");
        for (name, value) in [
            ("user-agent", "test"),
            ("accept-language", "en"),
            ("cookie", "a=1; b=2"),
        ] {
            assert_eq!(
                received.header(name).as_deref(),
                Some(value),
                "{form}: {name}"
            );
        }
        if form == "$cache_backend" {
            assert_eq!(received.header("host").as_deref(), Some("example.org"));
            assert_eq!(received.header("x-real-ip").as_deref(), Some("127.0.0.1"));
            assert_eq!(
                received.header("x-forwarded-for").as_deref(),
                Some("127.0.0.1")
            );
        }
    }
}
