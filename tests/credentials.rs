//! Cookie and Authorization of the client that sets a refill off: the refill is for everybody, so it has them only where
//! the record is of that client's like.

use std::fs;

use testbed::{Answer, PATIENCE, Record, Request, Running, Site, holds_for, ms, wait_for};

type Field = (&'static str, &'static str);
type Fields = &'static [Field];

const COOKIE: Field = ("Cookie", "session=abc; lang=de; theme=dark");
const OTHER_COOKIE: Field = ("Cookie", "session=abc");
/// bob:secret
const BOB: Field = ("Authorization", "Basic Ym9iOnNlY3JldA==");

const MAPS: &str = "map $cookie_lang $lang { default en; de de; fr fr; }
    map $lang $site { default international; de deutsch; }
    map $http_cookie $theme { default light; ~theme=(?<found>\\w+) $found; }
    map $http_user_agent $device { default desktop; ~Phone phone; }
    map $remote_user $who { default nobody; bob bob; }
    split_clients $cookie_session $half { 50% a; * b; }";

/// What the refill has of the two fields.
type Kept = (bool, bool);
const NONE: Kept = (false, false);
const BOTH: Kept = (true, true);
const COOKIE_ALONE: Kept = (true, false);
const AUTHORIZATION_ALONE: Kept = (false, true);

fn request(path: &str, fields: &[Field]) -> Request {
    let add = |request: Request, (name, value): &Field| request.header(name, value);
    fields.iter().fold(Request::get(path), add)
}

/// Asks until the answer is in the store, then once more when it is stale. Gives what the backend saw of that refill.
fn refill(site: &Running, path: &str, first: &Request, then: &Request) -> testbed::Received {
    assert_eq!(site.ask(first).word(), "STORE", "{path}");
    wait_for("a record", PATIENCE, || !site.redis.keys().is_empty());
    wait_for("a hit", PATIENCE, || site.ask(first).word() == "HIT");
    for key in site.redis.keys() {
        site.expire_in(&key, 50_000);
    }
    assert_eq!(site.ask(then).word(), "STALE", "{path}");
    // Of the same key and the same variant: else it would never be one.
    wait_for("the record of the refill", PATIENCE, || {
        site.ask(then).word() == "HIT"
    });
    assert_eq!(site.backend.hits(path), 2, "{path}");
    site.backend.last(path)
}

#[test]
#[rustfmt::skip]
fn a_refill_has_them_where_the_record_is_of_that_clients_like() {
    let plain = "redis_cache_key $request_uri;";
    let all = &[COOKIE, BOB][..];
    // (what, location, the response says, who is first, who sets the refill off, what of it the refill has)
    let cases: &[(&str, &str, Field, Fields, Fields, Kept)] = &[
        ("for all", plain, ("X", ""), &[], all, NONE),
        ("default key", "", ("X", ""), &[], all, NONE),
        ("first filled in somebody's name", plain, ("X", ""), &[COOKIE], all, NONE),
        ("kind of device in the key", "redis_cache_key $device$request_uri;", ("Cache-Control", "public"), &[], all, BOTH),
        ("cookie in the key", "redis_cache_key $request_uri$cookie_lang;", ("X", ""), &[COOKIE], all, COOKIE_ALONE),
        ("whole field in the key", "redis_cache_key $request_uri$http_cookie;", ("X", ""), &[COOKIE], all, COOKIE_ALONE),
        ("cookie in the key, but not sent", "redis_cache_key $request_uri$cookie_lang;", ("X", ""), &[], &[OTHER_COOKIE], COOKIE_ALONE),
        ("map in the key", "redis_cache_key $request_uri$lang;", ("Cache-Control", "public"), &[COOKIE], all, BOTH),
        ("map in the key, its default", "redis_cache_key $request_uri$lang;", ("X", ""), &[], &[OTHER_COOKIE], COOKIE_ALONE),
        ("map of a map", "redis_cache_key $request_uri$site;", ("X", ""), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("map by match", "redis_cache_key $request_uri$theme;", ("X", ""), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("map by match, none", "redis_cache_key $request_uri$theme;", ("X", ""), &[], &[OTHER_COOKIE], COOKIE_ALONE),
        ("split by cookie", "redis_cache_key $request_uri$half$cookie_session;", ("X", ""), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("set_md5", "set_md5 $cache_key $request_uri;", ("X", ""), &[], all, NONE),
        ("set_md5 of a cookie", "set_md5 $cache_key $request_uri$lang;", ("Cache-Control", "public"), &[COOKIE], all, BOTH),
        ("set_md5 of what was set", "set $copy $cookie_lang; set_md5 $cache_key $request_uri$copy;", ("X", ""), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("set", "set $cache_key $request_uri;", ("X", ""), &[], &[COOKIE], COOKIE_ALONE),
        ("what was set in the key", "set $copy $cookie_lang; redis_cache_key $request_uri$copy;", ("X", ""), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("what was set, in the key by a map", "set $lang $cookie_lang; redis_cache_key $request_uri$site;", ("X", ""), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("what was set, elsewhere", "set $copy $cookie_lang; redis_cache_key $request_uri;", ("X", ""), &[], &[COOKIE], NONE),
        ("Vary", plain, ("Vary", "Accept, Cookie"), &[COOKIE], all, COOKIE_ALONE),
        ("Vary on something else", plain, ("Vary", "Accept"), &[], all, NONE),
        ("Vary, ignored", "redis_cache_ignore_headers Vary; redis_cache_key $request_uri;", ("Vary", "Cookie"), &[], all, NONE),
        // RFC 9111 3.5
        ("public", plain, ("Cache-Control", "public"), &[], all, AUTHORIZATION_ALONE),
        ("Authorization ignored", "redis_cache_ignore_headers Authorization; redis_cache_key $request_uri;", ("X", ""), &[], all, AUTHORIZATION_ALONE),
        ("public, ignored", "redis_cache_ignore_headers Cache-Control; redis_cache_key $request_uri;", ("Cache-Control", "public"), &[], all, NONE),
        ("Vary on both", plain, ("Vary", "Cookie, Authorization"), &[COOKIE], &[COOKIE], COOKIE_ALONE),
        ("user and cookie in the key", "redis_cache_key $remote_user$cookie_lang$request_uri;", ("Cache-Control", "public"), all, all, BOTH),
    ];
    let locations: String = cases.iter().enumerate().map(|(number, (_, location, ..))| {
        format!("location /{number}/ {{ {location} proxy_pass http://BACKEND; }}\n")
    }).collect();
    let ours = "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_age 60s;
        redis_cache_stale 100s; redis_cache_header X-Cache; redis_cache_lock_timeout 20s;";
    let site = Site::new().workers(1).http(MAPS).server(ours).locations(&locations).start();
    for (number, (what, _, (name, value), first, then, kept)) in cases.iter().enumerate() {
        let path = format!("/{number}/x");
        site.backend.set(&path, Answer::ok("x").header(name, value));
        let seen = refill(&site, &path, &request(&path, first), &request(&path, then));
        let sent = |(name, value): Field| {
            let field = seen.header(name);
            // All of it, or nothing.
            let expected = then.iter().find(|(sent, _)| *sent == name).map_or(value, |(_, value)| *value);
            assert!(field.is_none() || field.as_deref() == Some(expected), "{what}: {field:?}");
            field.is_some()
        };
        assert_eq!((sent(COOKIE), sent(BOB)), *kept, "{what}");
        let _: String = site.redis.command(&["FLUSHALL"]);
    }
}

#[test]
fn a_refill_under_a_users_own_key_is_asked_for_in_his_name() {
    let site = Site::new()
        .http(MAPS)
        .location("redis_cache_key $who$request_uri;")
        .start();
    site.redis.put("bob/x", &Record::lua_text("bob's"), 50);
    let seen = || site.backend.last("/x").header("authorization");
    let mine = request("/x", &[BOB]);
    assert_eq!(site.ask(&mine).word(), "STALE");
    site.backend.wait_for_hits("/x", 1);
    site.backend.wait_until_idle("/x");
    assert_eq!(seen().as_deref(), Some(BOB.1));
    // Nobody said that it may be shared.
    let body = || site.redis.get("bob/x").unwrap().body;
    assert!(holds_for(ms(100), || body() == b"bob's"));
}

#[test]
fn what_a_backend_says_of_a_refill_is_kept_for_those_without() {
    for (form, site) in Site::forms() {
        let site = site.start();
        site.backend.script("/x", |request, _| {
            let cookie = request.header("cookie").unwrap_or_default();
            Answer::ok(format!("for [{cookie}]")).header("Vary", "Cookie")
        });
        site.backend
            .set_each("/y", vec![Answer::ok("first"), Answer::ok("second")]);
        // Each variant is refilled for itself.
        for (fields, text) in [
            (&[][..], "for []"),
            (&[COOKIE][..], "for [session=abc; lang=de; theme=dark]"),
        ] {
            let mine = request("/x", fields);
            assert_eq!(site.ask(&mine).text(), text, "{form}");
            wait_for("a hit", PATIENCE, || site.ask(&mine).word() == "HIT");
        }
        for key in site.redis.keys() {
            site.expire_in(&key, 50_000);
        }
        for fields in [&[][..], &[COOKIE][..]] {
            let mine = request("/x", fields);
            wait_for("a refilled variant", PATIENCE, || {
                site.ask(&mine).word() == "HIT"
            });
        }
        assert_eq!(
            site.ask(&request("/x", &[])).text(),
            "for []",
            "{form}: nobody's"
        );
        assert_eq!(site.backend.hits("/x"), 4, "{form}");
    }
}

/// A session begins for who has none; a login is asked for. The page itself is for all.
#[test]
fn a_refill_that_takes_a_cookie_has_it_from_the_second_time_on() {
    for (form, site) in Site::forms() {
        let site = site.workers(1).start();
        for path in ["/session", "/login"] {
            site.backend.script(path, move |request, number| {
                match (request.header("cookie"), path) {
                    (Some(_), _) => Answer::ok(format!("edition {number}")),
                    (None, "/session") => Answer::ok("begun").header("Set-Cookie", "session=new"),
                    (None, _) => Answer::of(302, "").header("Location", "/enter"),
                }
            });
            let mine = request(path, &[COOKIE]);
            assert_eq!(site.ask(&mine).text(), "edition 1", "{form}");
            let key = site.key(path);
            site.redis.wait_for_record(&key);
            for edition in ["edition 3", "edition 4"] {
                wait_for("a hit", PATIENCE, || site.ask(&mine).word() == "HIT");
                site.expire_in(&key, 50_000);
                assert_eq!(site.ask(&mine).word(), "STALE", "{form} {path}");
                wait_for("another edition", PATIENCE, || {
                    site.ask(&mine).text() == edition
                });
            }
        }
        let log = site.nginx.log().lines().concat();
        assert!(log.contains("not storable without the cookie"), "{form}");
    }
}

#[test]
fn variables_of_them_are_empty_in_the_refill_alone() {
    let backend = "proxy_set_header X-Seen \
        \"[$http_cookie][$cookie_lang][$http_authorization][$remote_user][$lang][$who][$theme][$device]\";
        proxy_pass http://BACKEND;";
    let inside = format!(
        "location /inside {{ rewrite ^/inside/(.*) /$1 break; {backend} }}
         location @named {{ {backend} }}"
    );
    let log = "log_format who escape=none '$request_uri $redis_cache_status \
        [$http_cookie][$cookie_lang][$http_authorization][$remote_user][$lang][$who][$theme][$device]';";
    let all =
        "[session=abc; lang=de; theme=dark][de][Basic Ym9iOnNlY3JldA==][bob][de][bob][dark][phone]";
    for directive in [
        backend,
        "redis_cache_backend /inside;",
        "redis_cache_backend @named;",
    ] {
        // Their values are known before: the location asks for them.
        let location = format!(
            "set $known $lang$who$theme$device$cookie_lang$http_cookie$http_authorization;
             access_log logs/access.log who; add_header X-Me $lang$who$theme$cookie_lang$remote_user;
             {directive}"
        );
        let site = Site::new()
            .http(MAPS)
            .http(log)
            .location(&location)
            .locations(&inside)
            .start();
        let fields = &[COOKIE, BOB, ("User-Agent", "Phone 7")];
        let first = request("/x", &[("User-Agent", "Phone 7"), COOKIE]);
        let then = request("/x", fields);
        let seen = refill(&site, "/x", &first, &then);
        assert_eq!(
            seen.header("x-seen").as_deref(),
            Some("[][][][][en][nobody][light][desktop]"),
            "{directive}"
        );
        assert_eq!(
            site.backend.requests("/x")[0].header("x-seen").as_deref(),
            Some("[session=abc; lang=de; theme=dark][de][][][de][nobody][dark][phone]"),
            "{directive}: the first fill is its client's"
        );
        let log = || fs::read_to_string(site.nginx.prefix().join("logs/access.log")).unwrap();
        wait_for("the client's line in the log", PATIENCE, || {
            log().contains(&format!("/x STALE {all}\n"))
        });
        assert!(log().lines().all(|line| !line.contains("[][][][]")));
        assert_eq!(
            site.ask(&then).header("x-me").as_deref(),
            Some("debobdarkdebob")
        );
    }
}

#[test]
fn what_the_location_has_matched_is_the_refills_too() {
    let location = "location ~ ^/(\\w+)/(\\w+)$ {
        redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_key $request_uri;
        redis_cache_age 60s; redis_cache_stale 100s; redis_cache_header X-Cache;
        proxy_pass http://BACKEND/of-$1/$2; }";
    // Another match before, which mustn't be made again over the location's.
    let site = Site::new()
        .http(MAPS)
        .server("if ($theme = x) { return 403; }")
        .locations(location)
        .start();
    let mine = request("/shop/article", &[COOKIE]);
    assert_eq!(site.ask(&mine).word(), "STORE");
    site.redis.wait_for_record("/shop/article");
    wait_for("a hit", PATIENCE, || site.ask(&mine).word() == "HIT");
    site.make_stale("/shop/article");
    assert_eq!(site.ask(&mine).word(), "STALE");
    site.backend.wait_for_hits("/of-shop/article", 2);
    assert_eq!(site.backend.last("/of-shop/article").header("cookie"), None);
    assert_eq!(site.backend.all_hits(), 2);
}
