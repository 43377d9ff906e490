//! Many clients on one key while Redis is in trouble.

use std::thread;
use testbed::{Answer, Gate, PATIENCE, Rule, Running, Site, Way, ms, pattern, wait_for};

use crate::{TIMEOUTS, behind, is_whole, recovers};

/// 200 clients over two workers while Redis is in trouble: the backend is asked at most twice by each worker, and nobody
/// waits much longer than twice its time (and once for the read timeout, where that is how the trouble shows).
#[track_caller]
fn crowd_is_served(what: &str, site: &Running, path: &str, start: impl FnOnce() + Send) {
    let time = ms(1500);
    let body = pattern(20_000, 9);
    site.backend.set(path, Answer::ok(body.clone()).delay(time));
    let crowd = thread::scope(|scope| {
        scope.spawn(start);
        site.crowd(200, path)
    });
    for answer in crowd.answers() {
        is_whole(what, answer, &body);
    }
    assert_eq!(crowd.workers().len(), 2, "{what}: {:?}", crowd.workers());
    let hits = site.backend.hits(path);
    assert!(hits <= 4, "{what}: {hits} requests to the backend");
    // With two requests for each worker that is twice the backend's time; the rest is for 200 clients on a busy machine,
    // and still short of the lock's timeout.
    let slowest = crowd.slowest();
    assert!(
        slowest < time * 2 + ms(10_000),
        "{what}: the slowest waited {slowest:?}"
    );
    println!(
        "{what}: {hits} requests, slowest {slowest:?}, {:?}",
        crowd.words()
    );
}

#[test]
fn two_hundred_clients_while_redis_is_down() {
    for (form, site) in Site::forms() {
        let (site, proxy) = behind(site.spread(), TIMEOUTS);
        proxy.refuse();
        crowd_is_served(&format!("{form}, down at first sight"), &site, "/1", || {});
        crowd_is_served(&format!("{form}, known to be down"), &site, "/2", || {});
        recovers(form, &site, &proxy, "/2");
    }
}

#[test]
fn two_hundred_clients_while_redis_hangs() {
    let (site, proxy) = behind(Site::new().spread(), TIMEOUTS);
    site.fill("/warm");
    let gate = Gate::new();
    proxy.set(Way::Replies, Rule::hold(&gate));
    crowd_is_served("hangs", &site, "/1", || {});
    crowd_is_served("known to hang", &site, "/2", || {});
    gate.open();
    recovers("hung", &site, &proxy, "/2");
}

#[test]
fn two_hundred_clients_while_redis_goes_away() {
    let (site, proxy) = behind(Site::new().spread(), TIMEOUTS);
    for (number, after) in [0, 250, 750, 1400].into_iter().enumerate() {
        let path = format!("/{number}");
        site.fill("/warm");
        crowd_is_served(&format!("gone after {after} ms"), &site, &path, || {
            site.backend.wait_for_hits(&path, 1);
            thread::sleep(ms(after));
            proxy.refuse();
        });
        recovers("gone", &site, &proxy, &path);
        recovers("gone", &site, &proxy, "/warm");
        let _: i64 = site.redis.command(&["DEL", "/warm"]);
        wait_for("both workers' connections", PATIENCE, || {
            (0..8).all(|_| site.get(&path).word() == "HIT")
        });
    }
}
