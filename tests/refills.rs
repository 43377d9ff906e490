//! What a refill behind a client's back asks the backend with, and against whom its failure counts.

use testbed::{Answer, PATIENCE, Request, Running, Site, holds_for, ms, wait_for};

type Fields = &'static [(&'static str, &'static str)];

fn request(path: &str, fields: Fields) -> Request {
    let add = |request: Request, (name, value): &(&str, &str)| request.header(name, value);
    fields.iter().fold(Request::get(path), add)
}

const BROWSER: Fields = &[
    ("User-Agent", "Phone 7"),
    ("Accept", "text/html"),
    ("Accept-Language", "de"),
    ("Referer", "http://a/b"),
];

/// One worker, whose memory of refills is the only one; `/x` has a record, which is stale.
fn stale(site: Site, first: Fields) -> Running {
    let site = site.workers(1).start();
    site.backend.set("/x", Answer::ok("edition 1"));
    site.fill_by(&request("/x", first), &site.key("/x"));
    site.make_stale("/x");
    site
}

/// A backend that fails where it sees this field, and else has a new edition.
fn fails_by(site: &Running, field: &'static str) {
    site.backend.script("/x", move |request, number| {
        if request.header(field).is_some() {
            return Answer::of(500, "oops");
        }
        Answer::ok(format!("edition {number}"))
    });
}

#[test]
fn a_field_that_makes_the_backend_fail_keeps_no_page_from_being_refreshed() {
    for field in [
        "X-Bad",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "X-Http-Method-Override",
    ] {
        for (form, site) in Site::forms() {
            // The script's key has the agent in it.
            if form != "own handler" && field == "User-Agent" {
                continue;
            }
            let site = stale(site, &[]);
            fails_by(&site, field);
            let bad = Request::get("/x").header(field, "bad");
            assert_eq!(site.ask(&bad).word(), "STALE", "{form} {field}");
            site.backend.wait_for_hits("/x", 2);
            let hit = site.wait_for_hit("/x");
            assert_eq!(hit.text(), "edition 2", "{form} {field}");
        }
    }
}

#[test]
fn what_proxies_say_goes_along_until_it_makes_the_backend_fail() {
    let site = stale(Site::new(), &[]);
    fails_by(&site, "X-Forwarded-Host");
    let bad = Request::get("/x")
        .header("X-Forwarded-Host", "a b")
        .header("User-Agent", "Phone 7");
    // With it, with all, and with the least: that brings a page, whoever asks.
    for hits in 2..=4 {
        assert_eq!(site.ask(&bad).word(), "STALE", "{hits}");
        site.backend.wait_for_hits("/x", hits);
        site.wait_for_quiet_zone();
    }
    assert_eq!(site.wait_for_hit("/x").text(), "edition 4");
    let seen: Vec<_> = (site.backend.requests("/x").iter())
        .map(|seen| ["x-forwarded-host", "user-agent"].map(|name| seen.header(name).is_some()))
        .collect();
    let expected = [[false, false], [true, false], [true, true], [false, false]];
    assert_eq!(seen, expected);
    // The next one is asked for as usual.
    site.make_stale("/x");
    let good = Request::get("/x").header("X-Forwarded-Proto", "https");
    assert_eq!(site.ask(&good).word(), "STALE");
    site.backend.wait_for_hits("/x", 5);
    let proto = site.backend.last("/x").header("x-forwarded-proto");
    assert_eq!(proto.as_deref(), Some("https"));
}

#[test]
fn a_backend_that_wants_what_clients_send_has_it_from_the_second_time_on() {
    type Otherwise = fn() -> Answer;
    let cases: [(&str, Otherwise); 4] = [
        ("forbidden", || Answer::of(403, "who are you?")),
        ("moved", || {
            Answer::of(301, "").header("Location", "/robots")
        }),
        ("fails", || Answer::of(500, "oops")),
        ("cookie", || Answer::ok("hello").header("Set-Cookie", "a=1")),
    ];
    for (what, otherwise) in cases {
        let settings = "redis_cache_valid 200 301; redis_cache_backoff 100ms;";
        let site = stale(Site::new().location(settings), BROWSER);
        site.backend.script("/x", move |request, number| {
            match request.header("user-agent") {
                Some(_) => Answer::ok(format!("edition {number}")),
                None => otherwise(),
            }
        });
        let browser = request("/x", BROWSER);
        for edition in ["edition 3", "edition 4"] {
            let mut texts = Vec::new();
            wait_for(edition, PATIENCE, || {
                let answer = site.ask(&browser);
                assert_eq!(answer.status, 200, "{what}");
                texts.push(answer.text());
                answer.text() == edition
            });
            assert!(
                texts.iter().all(|text| text.starts_with("edition")),
                "{what}"
            );
            wait_for("a hit", PATIENCE, || site.ask(&browser).word() == "HIT");
            site.make_stale("/x");
        }
        assert_eq!(site.backend.hits("/x"), 4, "{what}");
    }
}

#[test]
fn a_clients_own_failure_is_held_against_its_like_alone() {
    // Stale records are validated while the client waits.
    let settings = "redis_cache_use_stale error http_500; redis_cache_backoff 60s;";
    let site = stale(Site::new().location(settings), &[]);
    fails_by(&site, "X-Bad");
    let bad = Request::get("/x").header("X-Bad", "1");
    for _ in 0..3 {
        assert_eq!(site.ask(&bad).word(), "STALE");
    }
    assert_eq!(site.backend.hits("/x"), 2, "left alone by its like");
    let good = site.get("/x");
    assert_eq!(
        (good.word(), good.text()),
        ("STORE".into(), "edition 3".into())
    );
}

#[test]
fn a_backend_that_fails_is_left_alone_by_all() {
    let site = stale(Site::new().location("redis_cache_backoff 60s;"), &[]);
    site.backend.set("/x", Answer::of(500, "oops"));
    // Asked as usual, with all, with the least. What fails then fails for everybody.
    let ask = || {
        for fields in [
            BROWSER,
            &[("User-Agent", "other"), ("X-Real-IP", "1.1.1.1")],
            &[],
        ] {
            assert_eq!(site.ask(&request("/x", fields)).word(), "STALE");
        }
    };
    wait_for("failures", PATIENCE, || {
        ask();
        site.backend.hits("/x") >= 2
    });
    site.wait_for_quiet_zone();
    ask();
    site.wait_for_quiet_zone();
    let hits = site.backend.hits("/x");
    assert!(hits <= 4, "{hits}");
    assert!(holds_for(ms(200), || {
        ask();
        site.backend.hits("/x") == hits
    }));
}

#[test]
fn a_refill_leaves_out_a_field_wherever_it_stands() {
    for (form, site) in Site::forms() {
        let site = stale(site, &[]);
        fails_by(&site, "X-Bad");
        let mut client = site.client();
        // The first line of all: nginx's list of lines begins with it.
        client
            .send_raw(b"GET /x HTTP/1.1\r\nX-Bad: 1\r\nHost: localhost\r\nX-Bad: 2\r\n\r\n")
            .unwrap();
        let stale = client.receive().unwrap();
        assert_eq!(stale.word(), "STALE", "{form}");
        assert_eq!(stale.text(), "edition 1", "{form}");
        site.backend.wait_for_hits("/x", 2);
        assert_eq!(site.wait_for_hit("/x").text(), "edition 2", "{form}");
        // The client's own request has kept its lines.
        assert_eq!(client.get("/x").word(), "HIT", "{form}");
    }
}
