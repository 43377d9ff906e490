//! `redis_cache_stale TIME error=TIME`: what is kept for when the backend fails, in each kind of store and after a soft purge.

use testbed::{Answer, Gate, PATIENCE, Request, Response, Running, Site, wait_for};

/// A record is served past its freshness for failures alone.
#[test]
fn the_longer_time_is_for_failures_whatever_the_store() {
    let sites = [
        ("redis", Site::new()),
        ("memory tier", Site::new().store("memory 16m min_uses=1;")),
        ("memory alone", Site::new().memory_alone("memory 16m;")),
    ];
    for (what, site) in sites {
        let settings = "redis_cache_stale 0 error=1000s; redis_cache_backoff 0;";
        let site = site.location(settings).spread().start();
        site.backend.script("/x", |_, number| match number {
            2 => Answer::of(503, "broken"),
            _ => Answer::ok(format!("edition {number}")).header("Cache-Control", "max-age=2"),
        });
        assert_eq!(site.get("/x").word(), "STORE", "{what}");
        site.wait_for_hit("/x");
        let stale = wait_for_other(&site, "HIT");
        assert_eq!(
            (stale.word().as_str(), stale.text().as_str()),
            ("STALE", "edition 1"),
            "{what}"
        );
        // The fill that has failed may not have ended yet. A request that waits for its end may get the old
        // record, while the next fill runs behind it.
        let new = wait_for_other(&site, "STALE");
        assert_eq!(new.text(), "edition 3", "{what}");
        assert_ne!(new.word(), "SKIP", "{what}");
        assert_eq!(site.backend.hits("/x"), 3, "{what}");
    }
}

/// Asks until the answer isn't of this word.
#[track_caller]
fn wait_for_other(site: &Running, word: &str) -> Response {
    let mut last = None;
    wait_for("another answer", PATIENCE, || {
        let answer = site.get("/x");
        let is_other = answer.word() != word;
        last = Some(answer);
        is_other
    });
    last.expect("an answer")
}

/// It is stale from now on: for both times.
#[test]
fn a_soft_purge_leaves_both_times() {
    let settings = "redis_cache_stale 50s error=1000s; redis_cache_purge_allow all; redis_cache_purge $http_x_purge;";
    let site = Site::new().location(settings).start();
    site.backend.set("/x", Answer::ok("old"));
    site.fill("/x");
    assert!(site.redis.pttl(&site.key("/x")) > 1_000_000);
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("new").gate(&gate));
    let purge = Request::get("/x")
        .header("X-Purge", "1")
        .header("Fastly-Soft-Purge", "1");
    assert_eq!(site.ask(&purge).status, 200);
    let answer = site.get("/x");
    assert_eq!(
        (answer.word().as_str(), answer.text().as_str()),
        ("STALE", "old")
    );
    wait_for("the shorter expiry", PATIENCE, || {
        (950_000..=1_000_000).contains(&site.redis.pttl(&site.key("/x")))
    });
    gate.open();
    wait_for("the new record", PATIENCE, || {
        site.get("/x").text() == "new"
    });
}
