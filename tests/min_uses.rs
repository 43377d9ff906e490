//! `redis_cache_min_uses` with several workers: counts that all of them share, crowds, reloads, and keys that come once.

use std::thread;

use testbed::{Answer, Gate, Site};

/// Each worker sees what the others have counted, in the least zone, too.
#[test]
fn workers_count_together() {
    for zone in ["", "redis_cache_zone locks 64k;"] {
        let site = Site::new().http(zone).location("redis_cache_min_uses 4;");
        let site = site.workers(2).start();
        let mut words = Vec::new();
        for round in 0..2 {
            for mut client in site.each_worker("/none") {
                words.push(client.get("/x").word());
                if round == 1 && words.len() == 4 {
                    site.wait_for_hit("/x");
                }
            }
        }
        assert_eq!(words, ["SKIP", "SKIP", "SKIP", "STORE"], "{zone}");
        assert_eq!(site.backend.hits("/x"), 4, "{zone}");
    }
}

#[test]
fn of_a_crowd_for_a_new_key_nobody_waits_for_what_is_not_stored() {
    let site = Site::new().location("redis_cache_min_uses 3;").spread();
    let site = site.start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("whole").gate(&gate));
    thread::scope(|scope| {
        let crowd = scope.spawn(|| site.crowd(100, "/x"));
        // The backend holds them all back: two by themselves, and the fill.
        site.backend.wait_for_hits("/x", 3);
        site.wait_for_waiters(97);
        gate.open();
        let crowd = crowd.join().unwrap();
        let words = crowd.words();
        assert_eq!(
            (words.get("SKIP"), words.get("STORE")),
            (Some(&2), Some(&1))
        );
        assert_eq!(crowd.bodies(), [(b"whole".to_vec(), 100)].into());
    });
    assert_eq!(site.backend.hits("/x"), 3);
}

#[test]
fn counts_survive_a_reload() {
    let mut site = Site::new().location("redis_cache_min_uses 3;").start();
    assert_eq!(site.get("/x").word(), "SKIP");
    site.nginx.reload();
    assert_eq!(site.get("/x").word(), "SKIP");
    site.nginx.reload();
    assert_eq!(site.get("/x").word(), "STORE");
    site.wait_for_hit("/x");
}

/// More keys than there is room for: those that come once displace each other, and one that comes again is stored.
#[test]
fn a_flood_of_keys_that_come_once_stores_nothing() {
    let site = Site::new()
        .http("redis_cache_zone locks 64k;")
        .location("redis_cache_min_uses 2;")
        .start();
    // nginx closes a connection after 1000 requests.
    for part in 0..6 {
        let mut client = site.client();
        for number in 0..500 {
            let answer = client.get(&format!("/once/{part}/{number}"));
            assert_eq!(answer.word(), "SKIP");
        }
    }
    assert_eq!(site.redis.keys(), Vec::<String>::new());
    assert_eq!(site.get("/x").word(), "SKIP");
    assert_eq!(site.get("/x").word(), "STORE");
    site.wait_for_hit("/x");
}
