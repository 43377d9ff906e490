//! A user of Redis who may not do all that a write needs: a record is written together with its expiry or not at all, and
//! what was there before stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use testbed::{Answer, Bridge, PATIENCE, Position, Redis, Request, Running, Site, wait_for};

/// Each key with its fields and the moment at which it expires.
type Contents = BTreeMap<String, (BTreeMap<String, Vec<u8>>, i64)>;

fn contents_of(redis: &Redis, key: &str) -> (BTreeMap<String, Vec<u8>>, i64) {
    let fields = redis.command(&["HGETALL", key]);
    (fields, redis.command(&["PEXPIRETIME", key]))
}

fn contents(redis: &Redis) -> Contents {
    let keys = redis.keys().into_iter();
    keys.map(|key| (key.clone(), contents_of(redis, &key)))
        .collect()
}

fn variant(language: &str) -> Request {
    Request::get("/vary").header("Accept-Language", language)
}

/// The key of the second variant of /vary.
const SLOT: &str = "{/vary}:v1";

/// Stale records: /old, /etag, which the backend will confirm, and two variants of /vary.
fn prepare(site: &Running) {
    site.backend.script("/etag", |request, _| {
        let answer = match request.header("if-none-match") {
            Some(_) => Answer::of(304, "").header("X-Turn", "new"),
            None => Answer::ok("whole"),
        };
        answer.header("ETag", "\"1\"")
    });
    site.backend.script("/vary", |request, count| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(format!("{language} #{count}")).header("Vary", "Accept-Language")
    });
    site.fill_and_age("/old");
    site.fill_and_age("/etag");
    for (language, key) in [("en", "/vary"), ("de", SLOT)] {
        site.fill_by(&variant(language), key);
        site.expire_in(key, 50_000);
    }
    site.wait_for_fills(4);
}

/// Fills of all kinds: of what wasn't there, of what is stale, of what is confirmed, of variants that are there or not.
#[track_caller]
fn fill_all(name: &str, site: &Running) {
    let requests = [
        (Request::get("/new"), "STORE"),
        (Request::get("/old"), "STALE"),
        (Request::get("/etag"), "STALE"),
        (variant("en"), "STALE"),
        (variant("de"), "STALE"),
        (variant("fr"), "STORE"),
    ];
    for (request, word) in requests {
        let log = site.nginx.log();
        let before = log.matching(Position::default(), "fill of \"").len();
        assert_eq!(site.ask(&request).word(), word, "{name}: {request:?}");
        // One after the other: what one has written isn't to be the doing of the next.
        site.wait_for_fills(before + 1);
    }
}

/// What a fill would have changed is as it was, and the log says why.
#[track_caller]
fn leaves_all_as_it_was(name: &str, site: &Running) {
    let (before, position) = (contents(&site.redis), site.nginx.log().end());
    fill_all(name, site);
    let after = contents(&site.redis);
    assert!(before.keys().eq(after.keys()), "{name}: {:?}", after.keys());
    for (key, was) in &before {
        assert!(*was == after[key], "{name}: {key} has changed");
    }
    let lines = site.nginx.log().matching(position, "refuses writes");
    assert!(
        (1..=2).contains(&lines.len()),
        "{name}: once for each worker: {lines:#?}"
    );
}

/// Gives rights, fills something, so that the next refusal is news to both workers, and takes that away.
#[track_caller]
fn permit(site: &Running, user: &[&str]) {
    let _: () = site.redis.command(&[&["ACL", "SETUSER"], user].concat());
    let mut workers = BTreeSet::new();
    wait_for("both workers to have written", PATIENCE, || {
        let path = format!("/permitted/{}", site.backend.all_hits());
        workers.insert(site.fill(&path).header("x-worker"));
        let _: i64 = site.redis.command(&["DEL", &path]);
        workers.len() == 2
    });
}

/// The default user, for whom both kinds of store and the test itself speak, loses rights and gets them back.
#[test]
fn a_write_that_is_not_permitted_changes_nothing() {
    let redis = Redis::start();
    let bridge = Bridge::start(&redis.address());
    let location = Site::new()
        .spread()
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 10s;")
        .locations(&bridge.locations());
    for (form, site) in [
        ("a connection", Site::new().spread().start()),
        ("a location", location.start_with(redis)),
    ] {
        prepare(&site);
        let rights: [&[&str]; 6] = [
            &["-expire"],
            &["-expire", "-del"],
            &["-expire", "-del", "-hdel"],
            &["-hset"],
            &["-hset", "-del", "-hdel"],
            &["-eval"],
        ];
        for taken in rights {
            let user = [&["ACL", "SETUSER", "default"], taken].concat();
            let _: () = site.redis.command(&user);
            leaves_all_as_it_was(&format!("{form}, {taken:?}"), &site);
            permit(&site, &["default", "+@all"]);
        }
        let _: () = site
            .redis
            .command(&["ACL", "SETUSER", "default", "-del", "-hdel"]);
        fill_all(form, &site);
        assert_eq!(site.redis.keys().len(), 6, "{form}");
        assert!(site.redis.keys_without_expiry().is_empty(), "{form}");
        assert_eq!(site.get("/old").word(), "HIT", "{form}");
    }
}

/// A user of the module's own: few commands, or all of them for some keys.
#[test]
fn neither_does_one_whose_key_is_not_permitted() {
    let redis = Redis::start();
    let all = ["cache", "on", ">secret", "resetkeys", "~*", "+@all"];
    let _: () = redis.command(&[&["ACL", "SETUSER"], &all[..]].concat());
    let site = Site::new()
        .spread()
        .store("username cache; password secret;")
        .start_with(redis);
    prepare(&site);
    let few = "-@all +hset +hmget +pttl +hdel +eval +ping";
    for rights in [few, "resetkeys %R~*", "resetkeys ~{* %R~*"] {
        let user: Vec<_> = ["ACL", "SETUSER", "cache"]
            .into_iter()
            .chain(rights.split(' '))
            .collect();
        let _: () = site.redis.command(&user);
        leaves_all_as_it_was(rights, &site);
        permit(&site, &all);
    }
    // The key itself and its fence may be written, those of its further variants not.
    let before = contents(&site.redis);
    let _: () = site.redis.command(&[
        "ACL",
        "SETUSER",
        "cache",
        "resetkeys",
        "~/*",
        "~{*}:f",
        "%R~*",
    ]);
    fill_all("no slots", &site);
    let after = contents(&site.redis);
    let keys: Vec<_> = after.keys().map(String::as_str).collect();
    assert_eq!(keys, ["/etag", "/new", "/old", "/vary", SLOT]);
    assert!(before[SLOT] == after[SLOT]);
    let variants = |contents: &Contents| contents["/vary"].0["variants"].clone();
    assert!(variants(&before) == variants(&after));
    assert!(after.values().all(|(_, expires)| *expires > 0));
    assert_eq!(site.get("/old").word(), "HIT");
}

#[test]
fn neither_does_one_that_the_server_refuses() {
    let states: [(&str, &[&[&str]]); 3] = [
        (
            "without memory",
            &[
                &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
                &["CONFIG", "SET", "maxmemory", "1"],
            ],
        ),
        (
            "without replicas",
            &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
        ),
        ("a replica", &[&["REPLICAOF", "127.0.0.1", "1"]]),
    ];
    for (name, commands) in states {
        let site = Site::new().spread().start();
        prepare(&site);
        for command in commands {
            let _: () = site.redis.command(command);
        }
        leaves_all_as_it_was(name, &site);
    }
}

/// What stands where a further variant would go isn't ours.
#[test]
fn a_variant_whose_place_is_taken_changes_nothing() {
    let site = Site::new().spread().start();
    prepare(&site);
    let _: () = site.redis.command(&["SET", "{/vary}:v2", "text"]);
    let base = contents_of(&site.redis, "/vary");
    assert_eq!(site.ask(&variant("fr")).word(), "STORE");
    site.wait_for_fills(5);
    assert!(contents_of(&site.redis, "/vary") == base);
    let text: String = site.redis.command(&["GET", "{/vary}:v2"]);
    assert_eq!((text.as_str(), site.redis.pttl("{/vary}:v2")), ("text", -1));
}
