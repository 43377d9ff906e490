//! Bugs of the Lua script that the module doesn't have, and habits of the script that it keeps.
//!
//! | what the script does, and must stay | test |
//! | --- | --- |
//! | the record: hash of status, headers, body | `records::the_module_writes_what_the_script_reads`, `records::a_lua_record_has_the_status_and_headers_it_says` |
//! | expiry is freshness + stale; HIT, STALE by TTL; -1 and -2 are no record | `promises::the_expiry_is_freshness_and_stale_together`, `records::a_record_of_the_lua_script_is_served_by_its_ttl`, `records::a_record_without_expiry_is_no_record` |
//! | STORE, HIT, STALE, SKIP in the header named | `promises`, `the_header_is_named_by_the_variable` |
//! | STORE, then HIT with the same headers and body, one backend request | `promises::a_missing_record_is_stored_and_then_answers` |
//! | a method that isn't listed passes with its body; a listed POST is stored | `bodies` |
//! | a status that isn't listed passes with its body | `policy::only_listed_statuses_are_stored` |
//! | a client that leaves doesn't stop fill or refill | `clients::a_client_that_leaves_during_a_miss_does_not_stop_the_fill`, `promises::a_refill_runs_whatever_the_client_does` |
//! | stale answers at once; a failed refill leaves the record | `promises::a_stale_answer_comes_at_once_and_leaves_the_connection_free`, `promises::a_failed_refill_leaves_the_stale_record_as_it_was` |
//! | 304 on HIT and STALE | `answers::conditional_requests_get_304_from_a_record` |
//! | lists separated by blanks | `policy::only_listed_statuses_are_stored`, `policy::only_listed_methods_are_looked_up_and_stored` |
//! | HTTP/1.0, pipelining, absolute form, long and odd URLs | `clients`, `answers::long_and_odd_targets_are_kept_apart_and_arrive_as_they_are`, `odd_targets_work_through_the_seeds_fallback` |
//!
//! | what the script does wrong | test |
//! | --- | --- |
//! | an empty 200 after 3 s of waiting | `nobody_gets_an_empty_answer_after_three_seconds` |
//! | waiters handed on by polling | `coalescing::waiters_are_woken_not_polled` |
//! | waiters one by one when the answer can't be stored | `coalescing::an_answer_that_cannot_be_stored_releases_its_waiters_side_by_side` |
//! | several refills of a stale key | `promises::a_stale_key_is_refilled_exactly_once_however_many_ask` |
//! | the next request waits for the refill | `promises::a_stale_answer_comes_at_once_and_leaves_the_connection_free` |
//! | 500 while Redis is in trouble | `store_trouble` |
//! | STORE for ever, nothing logged, when writes fail | `store_trouble::a_redis_that_refuses_to_write_leaves_no_trace` |
//! | a key of the wrong type gets an expiry | `store_trouble::a_key_of_another_type_is_left_alone` |
//! | a fractional TTL leaves a key for ever | `a_fractional_time_leaves_no_key_for_ever` |
//! | Expires and Cache-Control don't work | `policy::freshness_comes_from_the_answer_or_from_the_directive` |
//! | two Cache-Control headers abort with the lock held | `two_cache_control_headers_hold_no_lock` |
//! | no-store, private, Set-Cookie, Vary, Authorization, Content-Encoding ignored | `policy::what_is_somebodys_own_is_not_stored`, `policy::an_answer_to_authorization_is_for_one_unless_it_says_otherwise`, `headers::an_encoded_body_keeps_its_encoding` |
//! | a refill with the cookies, credentials, conditions and range of whoever triggered it | `a_refill_asks_for_the_whole_and_for_everybody`, `credentials` |
//! | a cut body stored and replayed | `truncated` |
//! | above 2 MB mostly not stored | `answers::bodies_of_all_sizes_come_back_byte_by_byte` |
//! | DELETE, PATCH, OPTIONS or GET with a body hang; PURGE becomes GET | `bodies` |
//! | the refill of a POST hangs | `bodies::the_refill_of_a_post_carries_its_body` |
//! | HEAD and GET under one key | `head_and_get_under_one_key_of_the_seed`, `answers::get_and_head_share_a_record_whoever_comes_first` |
//! | TTL equal to stale isn't refilled | `a_ttl_equal_to_stale_is_stale_and_refilled` |
//! | `/a/../b` is a 500, `%2F` decoded | `odd_targets_work_through_the_seeds_fallback`, `answers::long_and_odd_targets_are_kept_apart_and_arrive_as_they_are` |
//! | X-Accel-Redirect | `an_accel_redirect_works_and_is_never_stored` |
//! | /fallback open to anyone | `examples::seed_conf_runs_as_it_is` |
//! | a 502 with an empty body | `coalescing::a_backend_that_fails_releases_its_waiters` |

use std::time::Instant;

use testbed::{Answer, PATIENCE, Request, Site, holds_for, md5_hex, ms, wait_for};

#[test]
fn the_header_is_named_by_the_variable() {
    let named = Site::seed()
        .location("set $cache_header X-My-Cache;")
        .start();
    let unnamed = Site::seed().location("set $cache_header \"\";").start();
    let answer = named.get("/x");
    assert_eq!(
        (
            answer.header("x-my-cache").as_deref(),
            answer.header("x-cache")
        ),
        (Some("STORE"), None)
    );
    assert_eq!(unnamed.get("/x").header("x-cache"), None);
}

#[test]
fn nobody_gets_an_empty_answer_after_three_seconds() {
    let site = Site::seed()
        .spread()
        .location("redis_cache_lock_timeout 3s;")
        .start();
    site.backend
        .set("/x", Answer::ok("late but whole").delay(ms(3700)));
    let crowd = site.crowd(60, "/x");
    assert_eq!(crowd.bodies(), [(b"late but whole".to_vec(), 60)].into());
    assert_eq!(crowd.statuses(), [(200, 60)].into());
    assert!(
        site.backend.hits("/x") <= 2,
        "one more for one lock timeout: {}",
        site.backend.hits("/x")
    );
    // The one that was chosen after 3 s waits for an answer of its own; nobody else does.
    let times = crowd.times();
    assert!(
        times[58] < ms(6500) && times[59] < ms(12_000),
        "{:?}",
        &times[50..]
    );
}

#[test]
fn a_fractional_time_leaves_no_key_for_ever() {
    let site = Site::seed()
        .location("set $cache_age 1.5; set $cache_stale 0.7;")
        .start();
    site.backend.set(
        "/max-age",
        Answer::ok("x").header("Cache-Control", "max-age=1.5"),
    );
    for path in ["/x", "/max-age"] {
        for _ in 0..2 {
            assert_eq!(site.get(path).status, 200, "{path}");
        }
    }
    let bad = || !site.redis.keys_without_expiry().is_empty();
    assert!(
        holds_for(ms(200), || !bad()),
        "{:?}",
        site.redis.keys_without_expiry()
    );
}

#[test]
fn two_cache_control_headers_hold_no_lock() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let answer = Answer::ok("x").header("Cache-Control", "public");
        site.backend
            .set("/x", answer.header("Cache-Control", "max-age=300"));
        let start = Instant::now();
        let first = site.fill("/x");
        let hit = site.get("/x");
        assert_eq!(
            (first.text().as_str(), hit.text().as_str()),
            ("x", "x"),
            "{form}"
        );
        assert_eq!(hit.word(), "HIT", "{form}");
        site.redis.assert_left(&site.key("/x"), 400, start);
    }
}

#[test]
fn a_refill_asks_for_the_whole_and_for_everybody() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let conditions = [
            ("If-None-Match", "\"v1\""),
            ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("If-Match", "\"v1\""),
            ("If-Unmodified-Since", "Sun, 06 Nov 2094 08:49:37 GMT"),
            ("If-Range", "\"v1\""),
            ("Range", "bytes=0-1"),
        ];
        for (number, (name, value)) in conditions.into_iter().enumerate() {
            let path = format!("/{number}");
            // As an origin does it: whoever states a condition gets less than the whole. The record's validators are
            // others than the client's.
            site.backend.script(&path, move |request, nth| {
                if request.header(name).as_deref() == Some(value) {
                    return Answer::of(304, "");
                }
                Answer::ok(format!("answer {nth}"))
                    .header("ETag", format!("\"v{}\"", nth + 1))
                    .header("Last-Modified", "Mon, 07 Nov 1994 08:49:37 GMT")
            });
            site.fill_and_age(&path);
            let mut request = Request::get(&path).header(name, value);
            if name == "If-Range" {
                request = request.header("Range", "bytes=0-1");
            }
            assert_eq!(site.ask(&request).word(), "STALE", "{form}: {name}");
            assert_eq!(
                site.wait_for_hit(&path).text(),
                "answer 2",
                "{form}: {name}"
            );
            for (header, value) in conditions {
                assert_ne!(
                    site.backend.last(&path).header(header).as_deref(),
                    Some(value),
                    "{form}: {name}"
                );
            }
        }
        // Whose cookie and credentials they are that set the refill off must not matter: the record is everybody's.
        site.backend.script("/secret", |request, nth| {
            let known = ["cookie", "authorization"].map(|name| request.header(name).is_some());
            match known {
                [false, false] => Answer::ok(format!("for all {nth}")),
                _ => Answer::ok("for you alone"),
            }
        });
        site.fill_and_age("/secret");
        let request = Request::get("/secret")
            .header("Cookie", "session=abc")
            .header("Authorization", "Basic c2VjcmV0");
        assert_eq!(site.ask(&request).text(), "for all 1", "{form}");
        assert_eq!(site.wait_for_hit("/secret").text(), "for all 2", "{form}");
    }
}

#[test]
fn head_and_get_under_one_key_of_the_seed() {
    let settings = "set $cache_method \"GET HEAD \"; set $cache_key $request_uri;";
    let site = Site::seed().location(settings).start();
    for (path, order) in [
        ("/x", ["HEAD", "GET", "HEAD"]),
        ("/y", ["GET", "HEAD", "GET"]),
    ] {
        let mut client = site.client();
        for method in order {
            let answer = client.ask(&Request::new(method, path));
            assert_eq!(answer.status, 200, "{path}: {method}");
            if method == "GET" {
                assert_eq!(answer.text(), format!("GET {path} #1\n"), "{path}");
            }
            site.redis.wait_for_record(path);
        }
        assert_eq!(site.backend.hits(path), 1, "{path}");
    }
}

#[test]
fn a_ttl_equal_to_stale_is_stale_and_refilled() {
    let site = Site::new().start();
    site.fill("/x");
    site.expire_in("/x", 100_000);
    assert_eq!(site.get("/x").word(), "STALE");
    assert_eq!(site.wait_for_hit("/x").text(), "GET /x #2\n");
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn odd_targets_work_through_the_seeds_fallback() {
    let site = Site::seed().start();
    // The seed's rewrite decodes and merges slashes: that is its own configuration's doing.
    let long = format!("/{}", "a".repeat(7000));
    let targets = [
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/x%20y", "/x%20y"),
        ("/x%25y", "/x%25y"),
        ("/x%3Fy", "/x%3Fy"),
        ("/x%C3%A9", "/x%C3%A9"),
        ("/x?a=%20&b=1", "/x?a=%20&b=1"),
        (long.as_str(), long.as_str()),
    ];
    for (target, seen) in targets {
        let before = site.backend.all_hits();
        let answer = site.get(target);
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "STORE"),
            "{target}"
        );
        assert_eq!(site.backend.all_hits(), before + 1, "{target}");
        let first = answer.text();
        // The body ends in how often the path was asked: what matters is the target before it.
        let told = first.rsplit_once(" #").unwrap().0;
        assert_eq!(
            told.to_lowercase(),
            format!("GET {seen}").to_lowercase(),
            "{target}"
        );
        site.redis
            .wait_for_record(&md5_hex(&format!("GET::{target}")));
        assert_eq!(site.get(target).text(), first, "{target}");
    }
}

#[test]
fn an_accel_redirect_works_and_is_never_stored() {
    let inside = "location /inside/ { internal; proxy_pass http://BACKEND/elsewhere/; }";
    for (form, site) in Site::forms() {
        let site = site.locations(inside).start();
        site.backend.set(
            "/x",
            Answer::ok("hidden").header("X-Accel-Redirect", "/inside/file"),
        );
        for round in 1..=3 {
            let answer = site.get("/x");
            assert_eq!(answer.status, 200, "{form}");
            assert_eq!(
                answer.text(),
                format!("GET /elsewhere/file #{round}\n"),
                "{form}"
            );
            assert_eq!(answer.header("x-accel-redirect"), None, "{form}");
        }
        assert!(
            holds_for(ms(100), || site.redis.keys().is_empty()),
            "{form}: {:?}",
            site.redis.keys()
        );
    }
}

#[test]
fn a_fill_never_enters_the_cache_again() {
    // The backend is a location of the same server that is cached itself.
    let again = "location /again { redis_cache on; redis_cache_lock locks; redis_cache_pass main;
        redis_cache_key again:$request_uri; redis_cache_header X-Inner;
        rewrite ^/again/(.*) /$1 break; proxy_pass http://BACKEND; }";
    let site = Site::seed()
        .location("set $cache_backend /again;")
        .locations(again)
        .start();
    let answer = site.fill("/x");
    assert_eq!(
        (answer.text().as_str(), answer.header("x-inner")),
        ("GET /x #1\n", None)
    );
    wait_for("one record", PATIENCE, || {
        site.redis.keys() == [site.key("/x")]
    });
    assert_eq!(site.get("/x").word(), "HIT");
}
