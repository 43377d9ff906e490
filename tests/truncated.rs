//! A body that the backend cuts is never stored and never passed off as whole.

use testbed::{Answer, PATIENCE, Request, Site, holds_for, ms, pattern};

/// The ways a backend cuts a body of 100,000 bytes after 60,000, and in the first buffer.
fn cuts() -> Vec<(&'static str, Answer)> {
    let answer = || Answer::ok(pattern(100_000, 1));
    vec![
        ("length", answer().cut_at(60_000)),
        ("length-early", answer().cut_at(10)),
        ("length-none", answer().cut_at(0)),
        ("chunked", answer().chunked().cut_at(60_000)),
        ("chunked-early", answer().chunked().cut_at(10)),
        ("reset", answer().pause_at(30_000, ms(50)).reset_at(60_000)),
        (
            "chunked-reset",
            answer().pause_at(30_000, ms(50)).chunked().reset_at(60_000),
        ),
    ]
}

#[test]
fn a_cut_body_is_not_stored_and_the_client_sees_the_cut() {
    for (form, site) in Site::forms() {
        let site = site.start();
        for (name, answer) in cuts() {
            let path = format!("/{name}");
            site.backend.set(&path, answer);
            for round in 1..=2 {
                let result = site.client().exchange(&Request::get(&path));
                if let Ok(answer) = &result {
                    let whole = answer.complete && answer.status == 200;
                    assert!(
                        !whole,
                        "{form}: {name}: {} bytes as a whole answer",
                        answer.body.len()
                    );
                    assert!(
                        pattern(100_000, 1).starts_with(&answer.body) || answer.status == 502,
                        "{form}: {name}"
                    );
                }
                site.backend.wait_until_idle(&path);
                assert!(
                    site.backend.hits(&path) >= round,
                    "{form}: {name}: asked again"
                );
            }
            assert!(
                holds_for(ms(50), || site.redis.keys().is_empty()),
                "{form}: {name}: stored"
            );
            site.backend.set(&path, Answer::ok("whole"));
            assert_eq!(
                site.fill(&path).text(),
                "whole",
                "{form}: {name}: the key is free"
            );
            let _: () = site.redis.command(&["FLUSHALL"]);
        }
        site.nginx.finish();
    }
}

#[test]
fn nobody_who_waits_takes_a_cut_body_for_a_whole_one() {
    let site = Site::new().spread().start();
    for (name, answer) in cuts() {
        let path = format!("/{name}");
        site.backend.set(&path, answer.delay(ms(100)));
        let crowd = site.crowd(20, &path);
        for response in crowd.results.iter().flatten() {
            assert!(
                !(response.complete && response.status == 200),
                "{name}: {} bytes",
                response.body.len()
            );
        }
        assert!(crowd.took < PATIENCE, "{name}: {:?}", crowd.took);
        assert!(site.redis.keys().is_empty(), "{name}");
    }
}

#[test]
fn a_cut_refill_leaves_the_stale_record() {
    // The backend is asked again at once.
    let site = Site::new()
        .location("redis_cache_backoff 1ms max=1ms;")
        .start();
    for (name, answer) in cuts() {
        let path = format!("/{name}");
        site.backend.set(&path, Answer::ok("old"));
        site.fill_and_age(&path);
        site.backend.set(&path, answer);
        for round in 2..=3 {
            // Within the millisecond the record is served, and the backend isn't asked.
            testbed::wait_for("another refill", PATIENCE, || {
                let stale = site.get(&path);
                assert_eq!(
                    (stale.word().as_str(), stale.text().as_str()),
                    ("STALE", "old"),
                    "{name}"
                );
                site.backend.hits(&path) >= round
            });
            site.backend.wait_until_idle(&path);
            // The lock is given back a moment after the backend's end.
            testbed::wait_for("the end of the refill", PATIENCE, || {
                site.get(&path).happened() == "STALE"
            });
        }
        assert_eq!(site.redis.get(&path).unwrap().body, b"old", "{name}");
    }
}

#[test]
fn a_backend_that_hangs_within_the_body_is_cut_by_nginx_and_not_stored() {
    let site = Site::new().location("proxy_read_timeout 1s;").start();
    site.backend
        .set("/body", Answer::ok(pattern(100_000, 2)).hang_at(50_000));
    site.backend.set(
        "/chunked",
        Answer::ok(pattern(100_000, 2)).chunked().hang_at(50_000),
    );
    for path in ["/body", "/chunked"] {
        let answer = site.client().exchange(&Request::get(path)).unwrap();
        assert!(
            !answer.complete && answer.body.len() <= 50_000,
            "{path}: {}",
            answer.body.len()
        );
    }
    assert!(holds_for(ms(200), || site.redis.keys().is_empty()));
}

#[test]
fn a_backend_that_never_answers_is_a_504_and_leaves_the_key_free() {
    let site = Site::new().location("proxy_read_timeout 1s;").start();
    site.backend.set("/x", Answer::ok("late").delay(ms(4000)));
    assert_eq!(site.get("/x").status, 504);
    site.backend.set("/x", Answer::ok("now"));
    assert_eq!(site.fill("/x").text(), "now");
}
