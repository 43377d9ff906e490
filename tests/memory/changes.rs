//! A record that changes in Redis, by whomever, isn't served from memory any more.

use std::time::{Duration, Instant};

use testbed::{Client, PATIENCE, Record, Request, Running, holds_for, ms, wait_for};

use super::{PUSHED, SLACK, put_and_warm, site, source, warm};

/// Something that somebody does in Redis.
type Change<'a> = &'a dyn Fn(&Running);

/// Asks again and again until the old text is gone; gives how long that took.
#[track_caller]
fn until_gone(client: &mut Client, target: &str, old: &str) -> Duration {
    let begun = Instant::now();
    wait_for("the old record to be gone", PATIENCE, || {
        client.get(target).text() != old
    });
    begun.elapsed()
}

#[test]
fn whatever_changes_a_key_in_redis_is_seen() {
    let site = site("").start();
    let mut client = site.client();
    let key = site.key("/changed");
    let changes: [(&str, Change<'_>); 6] = [
        ("DEL", &|site| {
            let _: i64 = site.redis.command(&["DEL", &key]);
        }),
        ("UNLINK", &|site| {
            let _: i64 = site.redis.command(&["UNLINK", &key]);
        }),
        ("HSET", &|site| {
            let _: i64 = site
                .redis
                .command(&["HSET", &key, "body", "another", "headers", "{}"]);
        }),
        ("FLUSHALL", &|site| {
            let _: () = site.redis.command(&["FLUSHALL"]);
        }),
        ("PEXPIRE", &|site| {
            let _: i64 = site.redis.command(&["PEXPIRE", &key, "0"]);
        }),
        ("RENAME", &|site| {
            let _: () = site.redis.command(&["RENAME", &key, "elsewhere"]);
        }),
    ];
    for (what, change) in changes {
        put_and_warm(&site, &mut client, "/changed", "as it was");
        change(&site);
        let took = until_gone(&mut client, "/changed", "as it was");
        assert!(took < PUSHED, "{what}: {took:?}");
        let _: () = site.redis.command(&["FLUSHALL"]);
    }
}

#[test]
fn a_record_that_expires_in_redis_expires_in_memory() {
    let site = site("").location("redis_cache_stale 0;").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/short", "short");
    site.redis.expire_in(&site.key("/short"), 1500);
    warm(&mut client, "/short");
    let begun = Instant::now();
    wait_for("the expiry", PATIENCE, || {
        client.get("/short").text() != "short"
    });
    assert!(begun.elapsed() < ms(1500) + SLACK, "{:?}", begun.elapsed());
}

#[test]
fn an_invalidation_here_is_seen_at_once() {
    let site = site("").location("redis_cache_invalidate on;").start();
    let mut client = site.client();
    for round in 0..20 {
        put_and_warm(&site, &mut client, "/posted", &format!("round {round}"));
        let answer = client.ask(&Request::post("/posted", "x"));
        assert_eq!(answer.status, 200);
        assert_ne!(client.get("/posted").text(), format!("round {round}"));
    }
}

#[test]
fn another_nginx_sees_what_this_one_changes() {
    let one = site("").start();
    let other = site("")
        .store(&format!("server {};", one.redis.address()))
        .start();
    let (mut here, mut there) = (one.client(), other.client());
    put_and_warm(&one, &mut here, "/both", "both");
    wait_for("memory there", PATIENCE, || {
        source(&mut there, "/both") == "memory"
    });
    let _: i64 = one.redis.command(&["DEL", &one.key("/both")]);
    for client in [&mut here, &mut there] {
        let took = until_gone(client, "/both", "both");
        assert!(took < PUSHED, "{took:?}");
    }
}

#[test]
fn a_version_is_never_older_than_what_redis_had_when_the_request_came() {
    let site = site("min_uses=1").workers(2).spread().start();
    let mut clients = site.each_worker("/version");
    let key = site.key("/version");
    site.redis.put(&key, &Record::lua_text("0"), 600);
    for client in &mut clients {
        warm(client, "/version");
    }
    let mut late = Duration::ZERO;
    for version in 1..=300_u32 {
        site.redis
            .put(&key, &Record::lua_text(&version.to_string()), 600);
        let begun = Instant::now();
        for client in &mut clients {
            wait_for("the version", PATIENCE, || {
                client.get("/version").text() == version.to_string()
            });
        }
        late = late.max(begun.elapsed());
    }
    println!("the latest after {late:?}");
    assert!(late < PUSHED, "{late:?}");
    assert!(holds_for(ms(300), || clients
        .iter_mut()
        .all(|client| client.get("/version").text() == "300")));
}
