//! A backend that fails while a record is there: what fails, how the record is used, and how long the backend is left
//! alone (RFC 9111 4.2.4, 5.2.2.2, RFC 5861).

use std::time::Duration;

use testbed::{Answer, PATIENCE, Position, Running, Site, ms, wait_for};

/// The ways in which a backend fails without an answer.
fn hangs() -> Answer {
    Answer::ok("late").delay(ms(600_000))
}

fn resets() -> Answer {
    Answer::ok("never").reset()
}

fn is_no_http() -> Answer {
    Answer::ok("broken").header("X-Bad", "a\0b")
}

/// Such that a backend that hangs is given up soon, and one that fails isn't asked twice by accident.
const SOON: &str = "proxy_read_timeout 1s; redis_cache_backoff 600s;";

fn site(settings: &str) -> Running {
    Site::new().location(SOON).location(settings).start()
}

/// A stale record of a response with this Cache-Control; from now on the backend fails.
fn stale(site: &Running, path: &str, cache_control: &str, failing: &Answer) {
    let good = Answer::ok("old")
        .header("Cache-Control", cache_control)
        .header("ETag", "\"1\"");
    site.backend.set(path, good);
    site.fill_and_age(path);
    site.backend.set(path, failing.clone());
}

/// What a client gets who asks for it: the status, the word, what happened.
fn asks(site: &Running, path: &str) -> (u16, String, String) {
    let answer = site.get(path);
    if answer.status == 200 {
        assert_eq!(answer.text(), "old", "{path}");
    }
    (answer.status, answer.word(), answer.happened())
}

fn got(status: u16, word: &str, happened: &str) -> (u16, String, String) {
    (status, word.to_owned(), happened.to_owned())
}

#[test]
fn each_kind_of_failure_has_its_name() {
    let kinds = [
        ("hangs", hangs(), "timeout", 504),
        ("resets", resets(), "error", 502),
        ("no-http", is_no_http(), "invalid_header", 502),
        ("503", Answer::of(503, "down"), "http_503", 503),
    ];
    for named in ["error", "timeout", "invalid_header", "http_503"] {
        let site = site(&format!("redis_cache_use_stale {named};"));
        for (path, failing, name, status) in &kinds {
            let path = format!("/{path}");
            stale(&site, &path, "max-age=60", failing);
            // nginx doesn't tell an answer that is no HTTP from none.
            let alike = *status == 502 && named != "timeout" && named != "http_503";
            let wanted = if *name == named || alike {
                got(200, "STALE", "STALE")
            } else {
                got(*status, "SKIP", "EXPIRED")
            };
            assert_eq!(asks(&site, &path), wanted, "{named}: {path}");
            let asked = site.backend.last(&path).header("if-none-match");
            assert_eq!(asked.as_deref(), Some("\"1\""), "{named}: {path}");
        }
    }
}

#[test]
fn by_default_the_record_is_served_at_once_whatever_fails_behind_it() {
    let site = site("");
    for (path, failing) in [
        ("/hangs", hangs()),
        ("/resets", resets()),
        ("/no-http", is_no_http()),
        ("/cut", Answer::ok("cut off").cut_at(3)),
        ("/500", Answer::of(500, "broken")),
        ("/520", Answer::of(520, "broken")),
    ] {
        stale(&site, path, "max-age=60", &failing);
        let position = site.nginx.log().end();
        assert_eq!(asks(&site, path), got(200, "STALE", "STALE"), "{path}");
        wait_for("the end of the refill", PATIENCE, || {
            let fills = site.nginx.log().matching(position, "redis_cache: fill of");
            fills.iter().any(|line| line.contains(path))
        });
        // nginx asks once more by itself where a kept connection broke.
        let asked = site.backend.hits(path);
        for _ in 0..3 {
            assert_eq!(asks(&site, path), got(200, "STALE", "STALE"), "{path}");
        }
        assert_eq!(
            site.backend.hits(path),
            asked,
            "{path}: the backend is left alone"
        );
        assert_eq!(site.redis.get(path).unwrap().body, b"old", "{path}");
    }
}

/// RFC 9111 5.2.2.2: a cache that is disconnected answers 504, and never with the record.
#[test]
fn what_must_be_validated_and_cannot_be_is_a_504() {
    let mut site = site("");
    let forbids = [
        "max-age=60, must-revalidate, stale-if-error=100",
        "max-age=60, proxy-revalidate, stale-while-revalidate=100",
        "s-maxage=60",
    ];
    for (number, forbids) in forbids.into_iter().enumerate() {
        for (name, failing) in [
            ("hangs", hangs()),
            ("resets", resets()),
            ("no-http", is_no_http()),
        ] {
            let path = format!("/{number}/{name}");
            stale(&site, &path, forbids, &failing);
            assert_eq!(
                asks(&site, &path),
                got(504, "SKIP", "EXPIRED"),
                "{path}: {forbids}"
            );
        }
        let path = format!("/{number}/down");
        stale(&site, &path, forbids, &Answer::ok("unseen"));
    }
    site.backend.stop();
    for number in 0..forbids.len() {
        let path = format!("/{number}/down");
        assert_eq!(asks(&site, &path), got(504, "SKIP", "EXPIRED"), "{path}");
        assert!(
            site.redis.get(&path).is_some(),
            "{path}: kept to be validated"
        );
    }
    // It is there again, and confirms the record.
    site.backend
        .set("/0/down", Answer::of(304, "").header("ETag", "\"1\""));
    site.backend.run();
    wait_for("the backend", PATIENCE, || {
        asks(&site, "/0/down") == got(200, "HIT", "REVALIDATED")
    });
}

/// Where any status is stored for a time, nginx's own 502 is, as with proxy_cache; but not over such a record.
#[test]
fn the_504_is_not_stored_where_any_status_is() {
    let site = site("redis_cache_valid any 1m;");
    stale(&site, "/x", "max-age=60, must-revalidate", &resets());
    for _ in 0..2 {
        assert_eq!(asks(&site, "/x"), got(504, "SKIP", "EXPIRED"));
    }
    assert_eq!(site.redis.get("/x").unwrap().body, b"old");
    // The backend's own errors are another matter.
    site.backend.set("/x", Answer::of(503, "down"));
    assert_eq!(asks(&site, "/x"), got(503, "STORE", "EXPIRED"));
}

#[test]
fn windows_of_the_response_end_when_they_say() {
    let operators = [("off", "redis_cache_use_stale off;"), ("default", "")];
    for (operator, settings) in operators {
        let site = site(settings);
        // (path, Cache-Control, so many milliseconds past its freshness, what the client gets)
        let cases = [
            (
                "/while-in",
                "max-age=60, stale-while-revalidate=90",
                30_000,
                got(200, "STALE", "STALE"),
            ),
            (
                "/while-past",
                "max-age=60, stale-while-revalidate=20",
                30_000,
                got(503, "SKIP", "EXPIRED"),
            ),
            (
                "/error-in",
                "max-age=60, stale-while-revalidate=0, stale-if-error=90",
                30_000,
                got(200, "STALE", "STALE"),
            ),
            (
                "/error-past",
                "max-age=60, stale-while-revalidate=0, stale-if-error=20",
                30_000,
                got(503, "SKIP", "EXPIRED"),
            ),
        ];
        for (path, cache_control, past, wanted) in cases {
            stale(&site, path, cache_control, &Answer::of(503, "down"));
            site.expire_in(path, 100_000 - past);
            let wanted = if path == "/while-past" && operator == "default" {
                // Asked first, but the failure is one that the operator permits.
                got(200, "STALE", "STALE")
            } else {
                wanted
            };
            assert_eq!(asks(&site, path), wanted, "{operator}: {path}");
        }
    }
}

/// Between two requests to the backend there are at least 1, 2, 4, 4 ... times the first back-off, however many ask.
#[test]
fn retries_come_not_sooner_than_the_back_off_which_grows() {
    const FIRST: u64 = 100;
    let back_off = "redis_cache_backoff 100ms max=400ms;";
    for settings in ["", "redis_cache_use_stale http_503;"] {
        let site = Site::new()
            .spread()
            .location(back_off)
            .location(settings)
            .start();
        stale(&site, "/x", "max-age=60", &Answer::of(503, "down"));
        site.backend.forget();
        wait_for("five retries", PATIENCE, || {
            assert_eq!(asks(&site, "/x").0, 200);
            site.backend.hits("/x") >= 6
        });
        let times: Vec<_> = site.backend.requests("/x").iter().map(|r| r.at).collect();
        for (number, pair) in times.windows(2).enumerate() {
            let wanted = Duration::from_millis((FIRST << number).min(4 * FIRST));
            let gap = pair[1] - pair[0];
            // nginx's clock moves by whole milliseconds, once for each turn of its loop.
            assert!(
                gap + ms(10) >= wanted,
                "{settings:?}: {gap:?} after failure {}",
                number + 1
            );
        }
        // An answer ends it: the record is replaced.
        site.backend
            .set("/x", Answer::ok("old").header("X-New", "1"));
        wait_for("the new record", PATIENCE, || {
            let answer = site.get("/x");
            answer.word() == "HIT" && answer.header("x-new").is_some()
        });
    }
}

/// Who waits for a validation that fails gets the record too, from one request to the backend.
#[test]
fn a_crowd_shares_a_failure() {
    for workers in [1, 2] {
        let site = Site::new()
            .workers(workers)
            .spread()
            .location("redis_cache_backoff 600s; redis_cache_use_stale http_503;")
            .start();
        stale(
            &site,
            "/x",
            "max-age=60",
            &Answer::of(503, "down").delay(ms(300)),
        );
        site.backend.forget();
        let crowd = site.crowd(50, "/x");
        assert_eq!(crowd.words(), [("STALE".to_owned(), 50)].into());
        assert_eq!(crowd.bodies(), [(b"old".to_vec(), 50)].into());
        assert_eq!(site.backend.hits("/x"), 1, "{workers} workers");
        let log = site.nginx.log();
        assert_eq!(log.matching(Position::default(), "backend failed").len(), 1);
    }
}
