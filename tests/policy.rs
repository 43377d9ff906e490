//! What may be stored, and for how long.

use std::time::Instant;

use testbed::{Answer, Backend, PATIENCE, Position, Request, Running, Site, holds_for, ms};

/// How long an answer is kept, in seconds with its 100 s stale; `None`: it isn't stored.
type Kept = Option<i64>;

/// A name, the answer's headers, and what becomes of it.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Kept);

#[track_caller]
fn check(site: &Running, name: &str, request: &Request, kept: Kept) {
    let path = format!("/{name}");
    let start = Instant::now();
    let answer = site.ask(request);
    let Some(seconds) = kept else {
        assert_eq!(answer.word(), "SKIP", "{name}");
        assert_eq!(site.ask(request).word(), "SKIP", "{name}");
        assert_eq!(site.backend.hits(&path), 2, "{name}");
        assert!(
            holds_for(ms(20), || site.redis.get(&path).is_none()),
            "{name}: stored"
        );
        return;
    };
    assert_eq!(answer.word(), "STORE", "{name}");
    site.redis.wait_for_record(&path);
    site.redis.assert_left(&path, seconds, start);
    let word = if seconds > 100 { "HIT" } else { "STALE" };
    assert_eq!(site.ask(request).word(), word, "{name}");
}

#[track_caller]
fn check_all(settings: &str, cases: &[Case]) {
    let site = Site::new().location(settings).start();
    for (name, headers, kept) in cases {
        let start = Answer::ok("x");
        let answer = headers
            .iter()
            .fold(start, |answer, (name, value)| answer.header(name, value));
        let path = format!("/{name}");
        site.backend.set(&path, answer);
        check(&site, name, &Request::get(&path), *kept);
    }
    assert!(site.redis.keys_without_expiry().is_empty());
}

#[test]
fn freshness_comes_from_the_answer_or_from_the_directive() {
    let [now, later, before] = Backend::http_dates([0, 30, -3600]);
    check_all(
        "",
        &[
            ("none", &[], Some(160)),
            ("max-age", &[("Cache-Control", "max-age=30")], Some(130)),
            ("upper-case", &[("Cache-Control", "MAX-AGE=30")], Some(130)),
            (
                "among-others",
                &[("Cache-Control", "public, max-age=30, x=\"a,max-age=5\"")],
                Some(130),
            ),
            ("quoted", &[("Cache-Control", "max-age=\"30\"")], Some(130)),
            (
                "s-maxage",
                &[("Cache-Control", "max-age=30, s-maxage=40")],
                Some(140),
            ),
            (
                "two-fields",
                &[("Cache-Control", "public"), ("Cache-Control", "max-age=30")],
                Some(130),
            ),
            ("max-age-0", &[("Cache-Control", "max-age=0")], Some(100)),
            (
                "huge",
                &[("Cache-Control", "max-age=999999999999999999")],
                Some(2_147_483_647),
            ),
            ("expires", &[("Date", &now), ("Expires", &later)], Some(130)),
            (
                "expired",
                &[("Date", &now), ("Expires", &before)],
                Some(100),
            ),
            ("expires-0", &[("Expires", "0")], Some(100)),
            (
                "both",
                &[("Cache-Control", "max-age=40"), ("Expires", &later)],
                Some(140),
            ),
        ],
    );
}

#[test]
fn what_is_somebodys_own_is_not_stored() {
    check_all(
        "",
        &[
            ("no-store", &[("Cache-Control", "no-store")], None),
            ("private", &[("Cache-Control", "private")], None),
            (
                "private-max-age",
                &[("Cache-Control", "private, max-age=60")],
                None,
            ),
            ("no-cache", &[("Cache-Control", "no-cache")], None),
            ("upper-case", &[("Cache-Control", "NO-STORE")], None),
            (
                "second-field",
                &[("Cache-Control", "public"), ("Cache-Control", "no-store")],
                None,
            ),
            ("cookie", &[("Set-Cookie", "a=1")], None),
            ("vary-all", &[("Vary", "*")], None),
            ("vary-list", &[("Vary", "Accept-Encoding, *")], None),
        ],
    );
}

#[test]
fn what_is_told_to_be_ignored_is_ignored() {
    let later = Backend::http_date(30);
    let cases: [(&str, &[(&str, &str)]); 4] = [
        (
            "Cache-Control",
            &[("Cache-Control", "no-store, private, max-age=5")],
        ),
        ("Expires", &[("Expires", &later)]),
        ("Set-Cookie", &[("Set-Cookie", "a=1")]),
        ("Vary", &[("Vary", "Accept-Language")]),
    ];
    for (name, headers) in cases {
        let settings = format!("redis_cache_ignore_headers {name};");
        check_all(&settings, &[("x", headers, Some(160))]);
    }
}

#[test]
fn an_answer_to_authorization_is_for_one_unless_it_says_otherwise() {
    let cases = [
        ("plain", "max-age=30", None),
        ("public", "public, max-age=30", Some(130)),
        ("s-maxage", "s-maxage=30", Some(130)),
    ];
    let site = Site::new().start();
    for (name, cache_control, kept) in cases {
        let path = format!("/{name}");
        site.backend.set(
            &path,
            Answer::ok("x").header("Cache-Control", cache_control),
        );
        let request = Request::get(&path).header("Authorization", "Basic c2VjcmV0");
        check(&site, name, &request, kept);
    }
    let authorization = site.backend.last("/plain").header("authorization");
    assert_eq!(authorization.as_deref(), Some("Basic c2VjcmV0"));
    let ignoring = Site::new()
        .location("redis_cache_ignore_headers Authorization;")
        .start();
    let request = Request::get("/x").header("Authorization", "Basic c2VjcmV0");
    check(&ignoring, "x", &request, Some(160));
}

#[test]
fn only_listed_statuses_are_stored() {
    let statuses = [200, 204, 206, 301, 302, 404, 405, 500, 503];
    let cases: [(&str, Site, &[u16]); 7] = [
        ("default", Site::new(), &[200]),
        (
            "listed",
            Site::new().location("redis_cache_valid 200 301 404;"),
            &[200, 301, 404],
        ),
        (
            "any",
            Site::new().location("redis_cache_valid any;"),
            &[200, 204, 301, 404, 405],
        ),
        (
            "any, for a time",
            Site::new().location("redis_cache_valid any 1m;"),
            &[200, 204, 301, 302, 404, 405, 500, 503],
        ),
        ("seed", Site::seed(), &[200, 405]),
        (
            "no blank",
            Site::seed().location("set $cache_status \"200 404\";"),
            &[200, 404],
        ),
        (
            "commas",
            Site::seed().location("set $cache_status \"204, 404,405\";"),
            &[204, 404, 405],
        ),
    ];
    for (name, site, stored) in cases {
        let site = site.start();
        for status in statuses {
            let path = format!("/{status}");
            let body = if status == 204 { "" } else { "body" };
            site.backend
                .set(&path, Answer::of(status, body).header("Location", "/y"));
            let answer = site.get(&path);
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (status, body),
                "{name}: {status}"
            );
            if stored.contains(&status) {
                assert_eq!(answer.word(), "STORE", "{name}: {status}");
                let hit = site.wait_for_hit(&path);
                assert_eq!(
                    (hit.status, hit.text().as_str()),
                    (status, body),
                    "{name}: {status}"
                );
                assert_eq!(site.backend.hits(&path), 1, "{name}: {status}");
            } else {
                assert_eq!(answer.word(), "SKIP", "{name}: {status}");
                assert_eq!(site.get(&path).word(), "SKIP", "{name}: {status}");
            }
        }
        assert_eq!(site.redis.keys().len(), stored.len(), "{name}");
    }
}

#[test]
fn a_status_can_have_a_time_of_its_own() {
    let site = Site::new()
        .location("redis_cache_valid 200; redis_cache_valid 404 410 10s;")
        .start();
    for (status, kept) in [(200, 160), (404, 110)] {
        let name = status.to_string();
        site.backend
            .set(&format!("/{name}"), Answer::of(status, "x"));
        check(&site, &name, &Request::get(&format!("/{name}")), Some(kept));
    }
}

#[test]
fn only_listed_methods_are_looked_up_and_stored() {
    let cases = [
        ("default", Site::new(), ["GET", "HEAD"].as_slice()),
        (
            "directive",
            Site::new().location("redis_cache_methods GET POST;"),
            &["GET", "POST"],
        ),
        ("seed", Site::seed(), &["GET", "POST"]),
        (
            "commas",
            Site::seed().location("set $cache_method \"PUT,GET\";"),
            &["GET", "PUT"],
        ),
    ];
    for (name, site, listed) in cases {
        let site = site.start();
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let path = format!("/{method}");
            let answer = site.ask(&Request::new(method, &path));
            let word = if listed.contains(&method) {
                "STORE"
            } else {
                "SKIP"
            };
            assert_eq!(answer.word(), word, "{name}: {method}");
        }
    }
}

#[test]
fn bypass_and_no_store_are_true_unless_empty_or_0() {
    let settings =
        "redis_cache_bypass $arg_nothing $http_x_bypass; redis_cache_no_store $http_x_no_store;";
    let site = Site::new().location(settings).start();
    site.fill("/x");
    let ask = |bypass: &str, no_store: &str| {
        let request = Request::get("/x")
            .header("X-Bypass", bypass)
            .header("X-No-Store", no_store);
        let answer = site.ask(&request);
        (answer.word(), answer.happened(), answer.text())
    };
    let expect = |word: &str, happened: &str, number: usize| {
        (
            word.to_owned(),
            happened.to_owned(),
            format!("GET /x #{number}\n"),
        )
    };
    assert_eq!(ask("0", "0"), expect("HIT", "HIT", 1));
    assert_eq!(
        ask("", "1"),
        expect("HIT", "HIT", 1),
        "no_store doesn't hinder a lookup"
    );
    assert_eq!(ask("1", ""), expect("STORE", "BYPASS", 2));
    testbed::wait_for("the newer record", PATIENCE, || {
        site.get("/x").text() == "GET /x #2\n"
    });
    assert_eq!(ask("yes", "1"), expect("SKIP", "BYPASS", 3));
    assert_eq!(site.get("/x").text(), "GET /x #2\n");
    let missing = site.ask(&Request::get("/y").header("X-No-Store", "1"));
    assert_eq!(
        (missing.word().as_str(), missing.happened().as_str()),
        ("SKIP", "MISS")
    );
    assert!(site.redis.get("/y").is_none());
}

#[test]
fn a_sum_of_nothing_stores_nothing() {
    let site = Site::new()
        .location("redis_cache_age 0s; redis_cache_stale 0s;")
        .start();
    for _ in 0..2 {
        assert_eq!(site.get("/x").status, 200);
    }
    assert_eq!(site.backend.hits("/x"), 2);
    assert!(holds_for(ms(100), || site.redis.keys().is_empty()));
}

#[test]
fn a_variable_that_makes_no_sense_falls_back_and_is_logged() {
    let settings = "set $cache_age abc; redis_cache_age 20s;";
    let site = Site::seed().location(settings).start();
    for number in 0..6 {
        let path = format!("/{number}");
        let start = Instant::now();
        site.fill(&path);
        site.redis.assert_left(&site.key(&path), 120, start);
    }
    let lines = site.nginx.log().matching(Position::default(), "abc");
    let errors = lines.iter().filter(|line| line.contains("[error]")).count();
    assert!(
        (1..=2).contains(&errors),
        "once for each of two workers: {lines:?}"
    );
}

#[test]
fn a_location_without_the_cache_is_not_touched() {
    let plain = "location /plain/ { redis_cache off; proxy_pass http://BACKEND; }";
    let site = Site::new().locations(plain).start();
    for _ in 0..2 {
        assert_eq!(site.get("/plain/x").header("x-cache"), None);
    }
    assert_eq!(site.backend.hits("/plain/x"), 2);
    assert!(site.redis.keys().is_empty());
}
