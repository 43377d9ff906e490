//! `redis_cache_refresh_ahead` under load: a record that is asked for is refilled before it is stale, once each time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use testbed::{Answer, Gate, PATIENCE, Running, Site, holds_for, ms, wait_for};

const AHEAD: &str = "redis_cache_refresh_ahead 50%;";

/// The record of `/x` is fresh for 2 s and refilled in the second half of them.
fn short_lived(site: &Running) {
    site.backend.script("/x", |_, number| {
        Answer::ok(format!("edition {number}")).header("Cache-Control", "max-age=2")
    });
}

#[test]
fn under_load_a_record_is_never_stale() {
    let sites = [
        ("redis", Site::new()),
        ("memory tier", Site::new().store("memory 16m min_uses=1;")),
        ("memory alone", Site::new().memory_alone("memory 16m;")),
    ];
    for (what, site) in sites {
        let site = site.location(AHEAD).spread().start();
        short_lived(&site);
        let begin = Instant::now();
        assert_eq!(site.get("/x").word(), "STORE", "{what}");
        site.wait_for_hit("/x");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let mut client = site.client();
                    while !done.load(Ordering::Relaxed) {
                        let answer = client.get("/x");
                        assert_eq!(answer.word(), "HIT", "{what}: {:?}", answer.fields);
                        thread::sleep(ms(10));
                    }
                });
            }
            // Three lifetimes and more: whenever half of one has passed, one request goes to the backend.
            wait_for("refills", PATIENCE, || site.backend.hits("/x") >= 7);
            done.store(true, Ordering::Relaxed);
        });
        let (hits, seconds) = (site.backend.hits("/x"), begin.elapsed().as_secs());
        assert!(hits as u64 <= seconds + 1, "{what}: {hits} in {seconds} s");
        assert_eq!(site.backend.most_at_once("/x"), 1, "{what}");
    }
}

#[test]
fn a_crowd_has_a_record_refilled_once_and_waits_for_nothing() {
    let site = Site::new().location(AHEAD).spread().start();
    site.backend.set("/x", Answer::ok("old"));
    site.fill("/x");
    // 20 s of the 60 s for which it is fresh are left.
    site.expire_in(&site.key("/x"), 120_000);
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("new").gate(&gate));
    for _ in 0..2 {
        let crowd = site.crowd(100, "/x");
        assert_eq!(crowd.words(), [("HIT".to_owned(), 100)].into());
        assert_eq!(crowd.bodies(), [(b"old".to_vec(), 100)].into());
        site.backend.wait_for_hits("/x", 2);
    }
    gate.open();
    wait_for("the new record", PATIENCE, || {
        let answer = site.get("/x");
        assert_eq!(answer.word(), "HIT");
        answer.text() == "new"
    });
    assert!(holds_for(ms(300), || {
        site.get("/x").word() == "HIT" && site.backend.hits("/x") == 2
    }));
}

#[test]
fn a_record_that_nobody_asks_for_is_not_refilled() {
    let site = Site::new().location(AHEAD).workers(1).start();
    short_lived(&site);
    site.fill("/x");
    wait_for("the end of its freshness", PATIENCE, || {
        site.redis.command::<i64>(&["PTTL", &site.key("/x")]) < 100_000
    });
    assert_eq!(site.backend.hits("/x"), 1);
    assert_eq!(site.get("/x").word(), "STALE");
}
