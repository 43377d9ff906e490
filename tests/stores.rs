//! Where a store is and how it lets us in: TCP, unix socket, database, user and password, addresses.

use std::fs;

use testbed::{Conf, Nginx, PATIENCE, Port, Position, Redis, Running, Site};

/// STORE, HIT, one backend request, whatever the store.
#[track_caller]
fn caches(name: &str, site: &Running) {
    let mut client = site.client();
    assert_eq!(client.get("/x").word(), "STORE", "{name}");
    site.wait_for_hit("/x");
    assert_eq!(client.get("/x").word(), "HIT", "{name}");
    assert_eq!(site.backend.hits("/x"), 1, "{name}");
}

/// The number of keys in a database.
fn keys_in(redis: &Redis, database: usize) -> usize {
    let info: String = redis.command(&["INFO", "keyspace"]);
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(&format!("db{database}:keys=")));
    line.and_then(|line| line.split(',').next())
        .map_or(0, |count| count.parse().unwrap())
}

#[test]
fn over_a_unix_socket() {
    let site = Site::new().store("server unix:REDIS_SOCKET;").start();
    caches("unix", &site);
    assert_eq!(site.redis.keys(), ["/x"]);
}

#[test]
fn in_another_database() {
    let site = Site::new().store("database 3;").start();
    caches("database", &site);
    assert_eq!((keys_in(&site.redis, 3), keys_in(&site.redis, 0)), (1, 0));
}

#[test]
fn with_a_password() {
    let site = Site::new()
        .store("password secret;")
        .start_with(Redis::with_password("secret"));
    caches("password", &site);
}

#[test]
fn no_password_is_logged_where_the_server_repeats_what_it_does_not_know() {
    // Old Sentinels and some proxies don't know AUTH.
    let redis = Redis::with_options(&["--rename-command", "AUTH", ""]);
    let site = Site::new()
        .workers(1)
        .store("username somebody; password hidden-words;")
        .start_with(redis);
    assert_eq!(site.get("/x").status, 200);
    let log = site.nginx.log();
    let start = Position::default();
    let said = log.wait_for(start, "unknown command", PATIENCE);
    assert!(said.is_some(), "{}", log.tail(20));
    assert!(log.matching(start, "hidden-words").is_empty(), "{said:?}");
}

#[test]
fn with_a_password_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "secret\n").unwrap();
    let password = format!("password file:{};", file.display());
    let site = Site::new()
        .store(&password)
        .start_with(Redis::with_password("secret"));
    caches("password file", &site);
}

#[test]
fn as_a_user_who_may_do_little() {
    let redis = Redis::start();
    let rights = [
        "ACL",
        "SETUSER",
        "cache",
        "on",
        ">pass",
        "~*",
        "+@all",
        "-@dangerous",
        "-@admin",
    ];
    let _: () = redis.command(&rights);
    let _: () = redis.command(&["ACL", "SETUSER", "default", "nopass", "+@all"]);
    let site = Site::new()
        .store("username cache; password pass;")
        .start_with(redis);
    caches("user", &site);
}

#[test]
fn by_address() {
    for (name, pass) in [
        ("directive", "redis_cache_pass redis://REDIS/2;"),
        ("variable", "set $cache_pass redis://REDIS/2;"),
        ("unix", "redis_cache_pass unix:REDIS_SOCKET;"),
        ("unix variable", "set $cache_pass unix:REDIS_SOCKET;"),
    ] {
        let site = Site::new().location(pass).start();
        caches(name, &site);
        let database = if name.starts_with("unix") { 0 } else { 2 };
        assert_eq!(keys_in(&site.redis, database), 1, "{name}");
    }
}

#[test]
fn by_an_ipv6_address() {
    let redis = Redis::with_options(&["--bind", "127.0.0.1", "::1"]);
    let address = redis.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    let pass = format!("redis_cache_pass redis://[::1]:{port}/2;");
    let site = Site::new().location(&pass).start_with(redis);
    caches("IPv6", &site);
    assert_eq!(keys_in(&site.redis, 2), 1);
}

#[test]
fn by_an_address_with_a_password() {
    let pass = "redis_cache_pass redis://:secret@REDIS;";
    let redis = Redis::with_password("secret");
    caches(pass, &Site::new().location(pass).start_with(redis));
    // What has a meaning in an address is percent-encoded.
    for (pass, database) in [
        ("redis_cache_pass redis://a%3Ab:p%40ss%2Fword@REDIS/2;", 2),
        ("set $cache_pass redis://a%3Ab:p%40ss%2Fword@REDIS;", 0),
        (
            "redis_cache_pass redis+unix://REDIS_SOCKET?user=a%3Ab&pass=p%40ss%2Fword;",
            0,
        ),
        (
            "set $cache_pass redis+unix://REDIS_SOCKET?user=a%3Ab&pass=p%40ss%2Fword&db=2;",
            2,
        ),
    ] {
        let redis = Redis::start();
        let user = ["ACL", "SETUSER", "a:b", "on", ">p@ss/word", "~*", "+@all"];
        let _: () = redis.command(&user);
        // Without a login nobody may do anything.
        let bed = ["ACL", "SETUSER", "default", "-hmget", "-hset", "-eval"];
        let _: () = redis.command(&bed);
        let site = Site::new().location(pass).start_with(redis);
        caches(pass, &site);
        assert_eq!(keys_in(&site.redis, database), 1, "{pass}");
    }
}

#[test]
fn a_store_or_zone_that_does_not_exist_is_passed_by_and_logged_once() {
    for (name, settings) in [
        ("store", "set $cache_pass nowhere;"),
        ("zone", "set $cache_lock nowhere;"),
    ] {
        let site = Site::seed().location(settings).start();
        for _ in 0..10 {
            let answer = site.get("/x");
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "SKIP"),
                "{name}"
            );
        }
        assert_eq!(site.backend.hits("/x"), 10, "{name}");
        let lines = site
            .nginx
            .log()
            .matching(testbed::Position::default(), "[error]");
        let lines: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("nowhere"))
            .collect();
        assert!(
            (1..=2).contains(&lines.len()),
            "{name}: once for each of two workers: {lines:?}"
        );
        assert!(site.redis.keys().is_empty(), "{name}");
    }
}

#[test]
fn two_stores_are_two_places() {
    let (one, other) = (Redis::start(), Redis::start());
    let second = format!("redis_cache_store second {{ server {}; }}", other.address());
    let location =
        "location /second/ { redis_cache on; redis_cache_lock locks; redis_cache_pass second;
        redis_cache_key $request_uri; redis_cache_header X-Cache; proxy_pass http://BACKEND; }";
    let site = Site::new()
        .http(&second)
        .locations(location)
        .start_with(one);
    site.fill("/first/x");
    assert_eq!(site.get("/second/x").word(), "STORE");
    other.wait_for_record("/second/x");
    assert_eq!(
        (site.redis.keys(), other.keys()),
        (vec!["/first/x".to_owned()], vec!["/second/x".to_owned()])
    );
}

#[test]
fn two_machines_share_one_redis() {
    let first = Site::new().start();
    first.fill("/x");
    // A second nginx on the same Redis, with a backend of its own that nobody asks.
    let port = Port::take();
    let idle = testbed::Backend::start();
    let conf: Conf = Site::new().conf(port.address(), &first.redis, &idle);
    let second = Nginx::start(&conf, port.address());
    let hit = second.client().get("/x");
    assert_eq!(
        (hit.word().as_str(), hit.text().as_str()),
        ("HIT", "GET /x #1\n")
    );
    assert_eq!(idle.all_hits(), 0);
}
