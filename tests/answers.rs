//! The whole answer or a part of it: HEAD, bodies of all sizes, what is over the limit, 304, ranges, odd targets.

use std::time::Instant;

use testbed::{Answer, Gate, PATIENCE, Request, Site, crowd, holds_for, ms, pattern};

#[test]
fn get_and_head_share_a_record_whoever_comes_first() {
    let site = Site::new().start();
    let body = pattern(50_000, 5);
    site.backend.script("/x", move |request, _| {
        Answer::ok(pattern(50_000, 5)).header("X-Method", &request.method)
    });
    site.backend.script("/y", move |request, _| {
        Answer::ok(pattern(50_000, 5)).header("X-Method", &request.method)
    });
    let mut client = site.client();
    let orders = [
        ("/x", ["GET", "HEAD", "GET"]),
        ("/y", ["HEAD", "GET", "HEAD"]),
    ];
    for (path, order) in orders {
        for (turn, method) in order.into_iter().enumerate() {
            let answer = client.ask(&Request::new(method, path));
            assert_eq!(
                answer.word(),
                if turn == 0 { "STORE" } else { "HIT" },
                "{path}: {turn}"
            );
            assert_eq!(
                answer.header("content-length").as_deref(),
                Some("50000"),
                "{path}: {turn}"
            );
            assert_eq!(
                answer.header("x-method").as_deref(),
                Some("GET"),
                "{path}: {turn}"
            );
            let expected = if method == "GET" {
                body.as_slice()
            } else {
                b""
            };
            assert!(
                answer.body == expected,
                "{path}: {turn}: {}",
                answer.body.len()
            );
            site.redis.wait_for_record(path);
        }
        assert_eq!(site.backend.hits(path), 1, "{path}");
    }
}

#[test]
fn a_head_has_the_key_of_the_get_even_where_the_method_is_part_of_it() {
    let key = "redis_cache_key $request_method:$request_uri;";
    let site = Site::new().location(key).start();
    let first = site.fill_by(&Request::head("/x"), "GET:/x");
    assert!(first.body.is_empty() && first.complete);
    assert_eq!(site.backend.last("/x").method, "GET");
    let mut client = site.client();
    for (method, body) in [("HEAD", ""), ("GET", "GET /x #1\n"), ("HEAD", "")] {
        let answer = client.ask(&Request::new(method, "/x"));
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("HIT", body),
            "{method}"
        );
    }
    assert_eq!(site.backend.hits("/x"), 1);
    assert_eq!(site.redis.keys(), ["GET:/x"]);
}

#[test]
fn bodies_of_all_sizes_come_back_byte_by_byte() {
    let sizes = [0, 1, 4095, 4096, 65_536, 1_000_000, 7_000_000];
    for (form, site) in Site::forms() {
        let site = site.start();
        for (number, size) in sizes.into_iter().enumerate() {
            for chunked in [false, true] {
                let path = format!("/{size}-{chunked}");
                let body = pattern(size, number as u64);
                let answer = Answer::ok(body.clone());
                site.backend
                    .set(&path, if chunked { answer.chunked() } else { answer });
                let first = site.fill(&path);
                assert!(first.body == body, "{form}: {path}: {}", first.body.len());
                let hit = site.get(&path);
                assert!(hit.body == body, "{form}: {path}: {}", hit.body.len());
                assert_eq!(
                    (hit.word().as_str(), hit.complete),
                    ("HIT", true),
                    "{form}: {path}"
                );
                assert_eq!(site.backend.hits(&path), 1, "{form}: {path}");
            }
        }
    }
}

#[test]
fn what_is_over_the_limit_streams_whole_and_is_not_stored() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let body = pattern(20_000_000, 6);
        site.backend.set("/length", Answer::ok(body.clone()));
        site.backend
            .set("/chunked", Answer::ok(body.clone()).chunked());
        for (path, word) in [("/length", "SKIP"), ("/chunked", "STORE")] {
            for round in 1..=2 {
                let answer = site.get(path);
                assert!(answer.body == body, "{form}: {path}: {}", answer.body.len());
                assert_eq!(answer.word(), word, "{form}: {path}");
                assert_eq!(site.backend.hits(path), round, "{form}: {path}");
            }
        }
        assert!(
            holds_for(ms(200), || site.redis.keys().is_empty()),
            "{form}"
        );
    }
}

#[test]
fn an_answer_over_the_limit_begins_before_it_ends() {
    let site = Site::new().location("redis_cache_max_size 64k;").start();
    let gate = Gate::new();
    let body = pattern(1_000_000, 7);
    site.backend.set(
        "/x",
        Answer::ok(body.clone()).chunked().gate_at(500_000, &gate),
    );
    let start = Instant::now();
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    let mut answer = client.receive_header().unwrap();
    client.receive_until(&mut answer, 400_000).unwrap();
    assert!(start.elapsed() < PATIENCE && !gate.is_open());
    gate.open();
    client.receive_rest(&mut answer).unwrap();
    assert!(answer.body == body && answer.complete);
}

#[test]
fn conditional_requests_get_304_from_a_record() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:50:37 GMT";
        let answer = Answer::ok("body")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", modified);
        site.backend.set("/x", answer);
        site.fill("/x");
        let mut client = site.client();
        for (word, stale) in [("HIT", false), ("STALE", true)] {
            for (name, value) in [
                ("If-None-Match", "\"v0\", \"v1\""),
                ("If-Modified-Since", later),
            ] {
                if stale {
                    site.backend.wait_until_idle("/x");
                    site.wait_for_hit("/x");
                    site.make_stale("/x");
                }
                let answer = client.ask(&Request::get("/x").header(name, value));
                assert_eq!(answer.status, 304, "{form}: {name}: {:?}", answer.fields);
                assert_eq!(answer.word(), word, "{form}: {name}");
                assert_eq!(
                    answer.header("etag").as_deref(),
                    Some("\"v1\""),
                    "{form}: {name}"
                );
            }
        }
        let other = client.ask(&Request::get("/x").header("If-None-Match", "\"v2\""));
        assert_eq!(
            (other.status, other.text().as_str()),
            (200, "body"),
            "{form}"
        );
        // A fill has no conditions; a refill has those that validate the record, never the client's.
        for (number, request) in site.backend.requests("/x").iter().enumerate() {
            let (tag, date) = match number {
                0 => (None, None),
                _ => (Some("\"v1\""), Some(modified)),
            };
            assert_eq!(request.header("if-none-match").as_deref(), tag, "{form}");
            assert_eq!(
                request.header("if-modified-since").as_deref(),
                date,
                "{form}"
            );
        }
    }
}

#[test]
fn ranges_are_cut_from_a_record() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let body = pattern(100_000, 8);
        site.backend
            .set("/x", Answer::ok(body.clone()).header("ETag", "\"v1\""));
        let range = |range: &str| Request::get("/x").header("Range", range);
        let missed = site.ask(&range("bytes=10-19"));
        assert_eq!(
            site.backend.last("/x").header("range"),
            None,
            "{form}: a fill asks for the whole"
        );
        assert!(missed.body == body || missed.body == body[10..20], "{form}");
        let record = site.redis.wait_for_record(&site.key("/x"));
        assert!(record.status == "200" && record.body == body, "{form}");
        let mut client = site.client();
        for (header, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=-5", 99_995, 100_000),
        ] {
            let part = client.ask(&range(header));
            assert_eq!(
                (part.status, part.word().as_str()),
                (206, "HIT"),
                "{form}: {header}"
            );
            assert!(part.body == body[from..to], "{form}: {header}");
        }
        assert_eq!(client.ask(&range("bytes=200000-")).status, 416, "{form}");
        assert_eq!(client.get("/x").body.len(), body.len(), "{form}");
    }
}

#[test]
fn long_and_odd_targets_are_kept_apart_and_arrive_as_they_are() {
    let site = Site::new().start();
    let long = format!("/{}", "a".repeat(7000));
    let targets = [
        long.as_str(),
        "/%20%25%3F%C3%A9",
        "/a%2Fb",
        "//a//b",
        "/x?a=1&b=%26",
        "/x?",
        "/x",
    ];
    for target in targets {
        let answer = site.get(target);
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "STORE"),
            "{target}"
        );
        assert_eq!(site.backend.last(target).target, target);
        assert_eq!(site.wait_for_hit(target).body, answer.body, "{target}");
    }
    let absolute = site.ask(&Request::get("http://localhost/absolute"));
    assert_eq!((absolute.status, absolute.word().as_str()), (200, "STORE"));
    assert_eq!(site.backend.hits("/absolute"), 1);
}

#[test]
fn an_upgrade_is_never_touched() {
    let forward = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
    let site = Site::new().location(forward).start();
    let upgrade = Request::get("/ws")
        .header("Connection", "upgrade")
        .header("Upgrade", "websocket");
    let answers = crowd(site.address(), 5, |_| upgrade.clone());
    assert_eq!(answers.statuses(), [(200, 5)].into());
    assert_eq!(site.backend.hits("/ws"), 5);
    assert!(site.redis.keys().is_empty());
}
