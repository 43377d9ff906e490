//! Faults between the module and Redis at every moment of a request: bytes delayed, cut, garbled, split anywhere, held.
//! Clients get whole answers, never an error; the backend is spared; no lock is left behind.

mod crowds;
mod cuts;
mod replies;

use std::time::Instant;
use testbed::{PATIENCE, Proxy, Response, Running, Site, eventually, ms};

/// Short, but not so short that a busy machine is taken for a Redis in trouble.
const TIMEOUTS: &str = "connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms;";

/// Long enough for a leaked lock to show.
const LOCKS: &str = "redis_cache_lock_timeout 15s; redis_cache_lock_age 60s;";

/// `site` with a proxy between its Redis and nginx.
fn behind(site: Site, store: &str) -> (Running, Proxy) {
    site.location(LOCKS).store(store).start_behind_a_proxy()
}

/// A whole answer of status 200 with this body.
#[track_caller]
fn is_whole(what: &str, answer: &Response, body: &[u8]) {
    assert_eq!(answer.status, 200, "{what}: {:?}", answer.fields);
    assert!(
        answer.complete && answer.body == body,
        "{what}: {} of {} bytes",
        answer.body.len(),
        body.len()
    );
}

/// With the fault over, `path` is soon filled and stored, and nobody waits for a lock that is nobody's.
#[track_caller]
fn recovers(what: &str, site: &Running, proxy: &Proxy, path: &str) {
    proxy.heal();
    let start = Instant::now();
    let hit = eventually(PATIENCE, || {
        let answer = site.get(path);
        assert_eq!(answer.status, 200, "{what}");
        assert!(
            answer.last_byte < ms(5000),
            "{what}: waited {:?} for a lock",
            answer.last_byte
        );
        (answer.word() == "HIT").then_some(())
    });
    assert!(hit.is_some(), "{what}: not used again");
    let took = start.elapsed();
    assert!(took < ms(10_000), "{what}: used again after {took:?}");
    assert!(site.redis.keys_without_expiry().is_empty(), "{what}");
}
