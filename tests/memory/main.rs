//! The memory tier of a store, on real nginx and Redis: what is served from memory, and that nobody gets from there what
//! Redis wouldn't give.

mod alone;
mod changes;
mod feeds;
mod fleets;
mod heads;
mod keys;
mod local;
mod messages;
mod operation;
mod outages;
mod pages;
mod pieces;
mod pins;
mod records;
mod remembered;
mod rights;
mod swapped;

use std::time::Duration;

use testbed::{
    Client, PATIENCE, Record, Request, Running, Site, eventually, holds_for, ms, wait_for,
};

/// How long a record may be served that Redis has no more, whatever is frozen, cut or killed.
pub const LEASE: Duration = Duration::from_secs(3);

/// What a busy machine may take longer. What goes wrong takes longer by far: another lease, or for ever.
pub const SLACK: Duration = Duration::from_millis(1500);

/// How long a push takes at most, on a busy machine. Without it a record is served until the lease is over.
pub const PUSHED: Duration = Duration::from_millis(1500);

/// A site with a memory tier; its answers say in X-Source where they come from.
pub fn site(lines: &str) -> Site {
    Site::new()
        .workers(1)
        .http("keepalive_requests 1000000;")
        .store(&format!("memory 8m {lines};"))
        .location("add_header X-Source $redis_cache_source always;")
}

/// Where an answer comes from.
pub fn source(client: &mut Client, target: &str) -> String {
    let answer = client.get(target);
    assert_eq!(answer.status, 200, "{target}");
    answer.header("x-source").unwrap_or_default()
}

/// Asks for a page until it comes from memory.
#[track_caller]
pub fn warm(client: &mut Client, target: &str) {
    let warm = eventually(PATIENCE, || {
        (source(client, target) == "memory").then_some(())
    });
    assert!(warm.is_some(), "{target} is never served from memory");
}

/// Puts a record of 600 s into Redis, and has it served from memory.
#[track_caller]
pub fn put_and_warm(site: &Running, client: &mut Client, target: &str, text: &str) {
    let record = Record::lua_text(text);
    // A fill that is under way may write over it.
    let warm = eventually(PATIENCE, || {
        site.redis.put(&site.key(target), &record, 600);
        warm(client, target);
        // Another worker may hear only now that the key was written, and void what was read since.
        let stays = holds_for(ms(20), || {
            let answer = client.get(target);
            answer.text() == text && answer.header("x-source").as_deref() == Some("memory")
        });
        stays.then_some(())
    });
    assert!(warm.is_some(), "{target} doesn't stay");
}

#[test]
fn a_hot_record_is_served_from_memory_and_redis_isnt_asked() {
    let site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/hot", "hot");
    let before = site.redis.calls("hmget");
    for _ in 0..50 {
        let answer = client.get("/hot");
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("HIT", "hot")
        );
        assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
    }
    assert_eq!(site.redis.calls("hmget"), before);
}

#[test]
fn a_record_is_kept_from_the_use_on_that_the_operator_says() {
    for (lines, uses) in [("min_uses=1", 1), ("", 2), ("min_uses=4", 4)] {
        let site = site(lines).start();
        let mut client = site.client();
        // The feed is there.
        put_and_warm(&site, &mut client, "/first", "first");
        site.redis
            .put(&site.key("/used"), &Record::lua_text("used"), 600);
        // What is pushed of that has come once a later change is seen: it would void the first use.
        put_and_warm(&site, &mut client, "/first", "anew");
        let sources: Vec<String> = (0..=uses).map(|_| source(&mut client, "/used")).collect();
        let (last, before) = sources.split_last().unwrap();
        assert_eq!(last, "memory", "{lines}: {sources:?}");
        assert!(
            before.iter().all(|source| source == "store"),
            "{lines}: {sources:?}"
        );
    }
}

#[test]
fn workers_share_what_is_kept() {
    let site = site("").workers(2).spread().start();
    let mut clients = site.each_worker("/shared");
    assert_eq!(clients.len(), 2);
    put_and_warm(&site, &mut clients[0], "/shared", "shared");
    let before = site.redis.calls("hmget");
    assert_eq!(source(&mut clients[1], "/shared"), "memory");
    assert_eq!(site.redis.calls("hmget"), before);
}

#[test]
fn a_location_may_do_without() {
    let site = site("")
        .locations(
            "location /plain { redis_cache_memory off; redis_cache on; redis_cache_lock locks; redis_cache_pass main; \
             redis_cache_key $request_uri; redis_cache_header X-Cache; add_header X-Source $redis_cache_source always; \
             proxy_pass http://backend; }",
        )
        .start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/kept", "kept");
    site.redis.put("/plain", &Record::lua_text("plain"), 600);
    for _ in 0..10 {
        assert_eq!(source(&mut client, "/plain"), "store");
    }
}

#[test]
fn the_age_goes_on_while_a_record_is_kept() {
    let site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/aged", "aged");
    let before = client.get("/aged").age().unwrap();
    wait_for("another second of age", PATIENCE, || {
        let answer = client.get("/aged");
        assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
        answer.age().unwrap() > before
    });
}

#[test]
fn conditions_and_ranges_are_answered_from_memory() {
    let site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/parts", "0123456789");
    let answer = client.ask(&Request::get("/parts").header("Range", "bytes=2-4"));
    assert_eq!((answer.status, answer.text().as_str()), (206, "234"));
    let answer = client.ask(&Request::head("/parts"));
    assert_eq!(
        (answer.status, answer.header("content-length").as_deref()),
        (200, Some("10"))
    );
    assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
}

#[test]
fn a_record_that_is_kept_too_long_is_looked_up_anew() {
    let site = site("valid=300ms").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/valid", "valid");
    let before = site.redis.calls("hmget");
    wait_for("a lookup", PATIENCE, || {
        let _ = client.get("/valid");
        site.redis.calls("hmget") > before
    });
}
