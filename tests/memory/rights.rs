//! What a user of Redis must be allowed for a memory tier: exactly what `docs/memory.md` says.

use testbed::{PATIENCE, Position, Redis};

use super::{put_and_warm, site, source};

/// `docs/redis.md`: what a store needs by itself.
const STORE: &str =
    "-@all +pttl +hmget +eval +hset +expire +hget +hstrlen +hdel +del +ping +select";

/// `docs/memory.md`: what the tier needs beside it.
const MEMORY: [&str; 6] = [
    "+hello",
    "+client|tracking",
    "+subscribe",
    "+publish",
    "+set",
    "+exists",
];

fn redis(rights: &str, channels: &str) -> Redis {
    let redis = Redis::start();
    let mut words = vec![
        "ACL",
        "SETUSER",
        "cache",
        "on",
        ">word",
        "~*",
        "resetchannels",
    ];
    words.extend(channels.split_ascii_whitespace());
    words.extend(rights.split_ascii_whitespace());
    let _: () = redis.command(&words);
    redis
}

fn with_user(redis: Redis) -> testbed::Running {
    site("prefix=/in/")
        .store("username cache; password word;")
        .start_with(redis)
}

#[test]
fn a_user_with_the_rights_of_the_readme_has_a_memory() {
    let redis = redis(
        &format!("{STORE} {}", MEMORY.join(" ")),
        "&redis_cache:/in/",
    );
    let site = with_user(redis);
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/in/one", "one");
    let serious = site.nginx.log().serious(Position::default());
    assert!(serious.is_empty(), "{serious:#?}");
}

/// Starts a site whose user lacks a right, and waits for the line that names it.
fn without(missing: &str, needle: &str) -> testbed::Running {
    let rights: Vec<&str> = MEMORY.into_iter().filter(|it| *it != missing).collect();
    let redis = redis(
        &format!("{STORE} {}", rights.join(" ")),
        "&redis_cache:/in/",
    );
    let site = with_user(redis);
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), needle, PATIENCE);
    assert!(line.is_some(), "{missing}: {}", log.tail(20));
    site
}

#[test]
fn a_user_that_lacks_one_of_them_is_told_which_and_has_a_memory_for_a_second() {
    let cases = [("+client|tracking", "+client|tracking"), ("+set", "SET")];
    for (missing, needle) in cases {
        let site = without(missing, needle);
        let line = site.nginx.log().matching(Position::default(), needle);
        assert!(line[0].contains("for 1000 ms at most"), "{line:?}");
        put_and_warm(&site, &mut site.client(), "/in/one", "one");
    }
}

#[test]
fn a_user_that_may_neither_track_nor_publish_is_served_by_redis() {
    let redis = redis(&format!("{STORE} +hello +subscribe"), "&redis_cache:/in/");
    let site = with_user(redis);
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "+publish", PATIENCE);
    assert!(line.is_some(), "{}", log.tail(20));
    let mut client = site.client();
    site.redis
        .put(&site.key("/in/one"), &testbed::Record::lua_text("one"), 600);
    for _ in 0..5 {
        assert_eq!(source(&mut client, "/in/one"), "store");
    }
}
