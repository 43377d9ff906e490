//! `redis_cache_compress` where requests come together: joined fills, waiters, machines that share a store, slow readers, cuts.

use std::thread;

use testbed::{
    Answer, Bridge, Client, Gate, Nginx, PATIENCE, Port, Position, Redis, Request, Response,
    Running, Site, Vitals, crowd, eventually, holds_for, ms, unzipped, wait_for,
};

/// Text that shrinks to a tenth or so.
fn text(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 20);
    let mut number = 0_u32;
    while text.len() < bytes {
        number = number.wrapping_mul(1_103_515_245).wrapping_add(12345);
        text.extend_from_slice(format!("row {:>8}    ", number % 5000).as_bytes());
    }
    text.truncate(bytes);
    text
}

fn page(body: &[u8]) -> Answer {
    Answer::ok(body)
        .content_type("text/html")
        .header("ETag", "\"abc\"")
}

fn site() -> Site {
    Site::new()
        .location("redis_cache_compress gzip; add_header X-Source $redis_cache_source always;")
}

fn gzip(target: &str) -> Request {
    Request::get(target).header("Accept-Encoding", "gzip")
}

/// The request of one of many clients: every other one accepts gzip.
fn mixed(number: usize, target: &str) -> Request {
    if number.is_multiple_of(2) {
        gzip(target)
    } else {
        Request::get(target)
    }
}

/// A whole response in gzip, of this body.
#[track_caller]
fn assert_gzip(response: &Response, body: &[u8], what: &str) {
    let said = |name| response.header(name).unwrap_or_default();
    assert_eq!(said("content-encoding"), "gzip", "{what}");
    assert_eq!(said("etag"), "W/\"abc\"", "{what}");
    assert_eq!(said("vary"), "Accept-Encoding", "{what}");
    assert_eq!(
        said("content-length"),
        response.body.len().to_string(),
        "{what}"
    );
    assert!(
        response.complete && unzipped(&response.body) == body,
        "{what}"
    );
}

/// A whole response in plain form, of this body.
#[track_caller]
fn assert_plain(response: &Response, body: &[u8], what: &str) {
    let said = |name| response.header(name).unwrap_or_default();
    assert_eq!(said("content-encoding"), "", "{what}");
    assert_eq!(said("etag"), "\"abc\"", "{what}");
    assert_eq!(said("vary"), "Accept-Encoding", "{what}");
    assert!(response.complete && response.body == body, "{what}");
}

/// Each got what it accepts of a record, or the plain body of the fill.
#[track_caller]
fn assert_each(answers: &[&Response], body: &[u8]) {
    for (number, answer) in answers.iter().enumerate() {
        let what = format!("{number}, {}", answer.word());
        if number.is_multiple_of(2) && answer.header("content-encoding").is_some() {
            assert_gzip(answer, body, &what);
        } else {
            assert_plain(answer, body, &what);
        }
    }
}

/// Breaks the record's body at a place of it, and keeps its length.
fn damage(site: &Running, key: &str, place: &str) {
    let script = format!(
        "local body = redis.call('HGET', KEYS[1], 'body') local at = {place} \
         return redis.call('HSET', KEYS[1], 'body', body:sub(1, at) .. ('x'):rep(60) .. body:sub(at + 61))"
    );
    let _: i64 = site.redis.command(&["EVAL", &script, "1", key]);
}

#[test]
fn clients_who_join_while_the_fill_streams_get_the_plain_body() {
    // Those of another worker can't join, but wait for the record.
    let site = site().workers(1).start();
    let (body, gate) = (text(300_000), Gate::new());
    site.backend
        .set("/x", page(&body).chunked().gate_at(100_000, &gate));
    let mut readers: Vec<(Client, Response)> = (0..4)
        .map(|number| {
            let mut client = site.client();
            client.send(&mixed(number, "/x")).unwrap();
            let mut answer = client.receive_header().unwrap();
            client.receive_until(&mut answer, 50_000).unwrap();
            (client, answer)
        })
        .collect();
    gate.open();
    for (client, answer) in &mut readers {
        client.receive_rest(answer).unwrap();
        assert_plain(answer, &body, "joined");
    }
    let record = site.redis.wait_for_record("/x");
    assert!(unzipped(&record.body) == body);
    assert_gzip(&site.ask(&gzip("/x")), &body, "accepts gzip");
    assert_plain(&site.get("/x"), &body, "doesn't");
    assert_eq!(site.backend.hits("/x"), 1);
}

#[test]
fn waiters_of_several_workers_get_what_they_accept() {
    let site = site().spread().workers(2).start();
    let body = text(100_000);
    site.backend.set("/x", page(&body).delay(ms(200)));
    let crowd = crowd(site.address(), 40, |number| mixed(number, "/x"));
    assert_each(&crowd.answers(), &body);
    assert_eq!(site.backend.hits("/x"), 1);
}

#[test]
fn machines_that_fill_once_share_the_compressed_record() {
    let site_a = site().location("redis_cache_lock_scope store;");
    let a = site_a.start();
    let port = Port::take();
    let b = Nginx::start(
        &site_a.conf(port.address(), &a.redis, &a.backend),
        port.address(),
    );
    let body = text(100_000);
    let gate = Gate::new();
    a.backend.set("/x", page(&body).gate(&gate));
    thread::scope(|scope| {
        let first = scope.spawn(|| a.get("/x"));
        wait_for("the fill of one machine", PATIENCE, || {
            a.backend.hits("/x") == 1
        });
        let waiters: Vec<_> = (0..4)
            .map(|number| {
                let b = &b;
                scope.spawn(move || b.client().ask(&mixed(number, "/x")))
            })
            .collect();
        assert!(holds_for(ms(100), || a.backend.hits("/x") == 1));
        gate.open();
        assert_plain(&first.join().unwrap(), &body, "the first");
        for (number, waiter) in waiters.into_iter().enumerate() {
            let answer = waiter.join().unwrap();
            if number % 2 == 0 {
                assert_gzip(&answer, &body, "a waiter of the other machine");
            } else {
                assert_plain(&answer, &body, "another");
            }
        }
    });
    assert_eq!(a.backend.hits("/x"), 1);
}

/// Whatever the store is, the record is the same.
#[test]
fn a_location_as_the_store_has_the_compressed_body() {
    let redis = Redis::start();
    let bridge = Bridge::start(&redis.address());
    let site = site()
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 10s;")
        .locations(&bridge.locations())
        .start_with(redis);
    let body = text(200_000);
    site.backend.set("/x", page(&body));
    assert_plain(&site.fill("/x"), &body, "the first");
    let record = site.redis.wait_for_record("/x");
    assert!(record.body.len() < body.len() / 2 && unzipped(&record.body) == body);
    assert_gzip(&site.ask(&gzip("/x")), &body, "accepts gzip");
    assert_plain(&site.get("/x"), &body, "doesn't");
    damage(&site, "/x", "20");
    let answer = site.get("/x");
    assert_eq!(answer.word(), "STORE");
    assert_plain(&answer, &body, "a miss");
}

#[test]
fn a_cut_fill_leaves_nothing_compressed() {
    let site = site().start();
    let body = text(200_000);
    for (name, answer) in [
        ("/length", page(&body).cut_at(120_000)),
        ("/chunked", page(&body).chunked().cut_at(120_000)),
        ("/reset", page(&body).chunked().reset_at(120_000)),
    ] {
        site.backend.set(name, answer);
        for request in [Request::get(name), gzip(name)] {
            if let Ok(answer) = site.client().exchange(&request) {
                assert!(!answer.complete || answer.status == 502, "{name}");
            }
            site.backend.wait_until_idle(name);
        }
    }
    assert!(holds_for(ms(100), || site.redis.keys().is_empty()));
    // A refill that is cut leaves the record.
    site.backend.set("/x", page(&body));
    site.fill_and_age("/x");
    site.backend
        .set("/x", page(&text(200_001)).chunked().cut_at(120_000));
    assert_gzip(&site.ask(&gzip("/x")), &body, "stale");
    wait_for("the refill", PATIENCE, || site.backend.hits("/x") == 2);
    site.backend.wait_until_idle("/x");
    assert!(unzipped(&site.redis.wait_for_record("/x").body) == body);
}

#[test]
fn a_stale_record_is_served_in_both_forms_and_refilled() {
    let site = site().start();
    let (old, new, gate) = (text(50_000), text(60_000), Gate::new());
    site.backend.set("/x", page(&old));
    site.fill_and_age("/x");
    site.backend.set("/x", page(&new).gate(&gate));
    for (request, is_gzip) in [(gzip("/x"), true), (Request::get("/x"), false)] {
        let answer = site.ask(&request);
        assert_eq!(answer.word(), "STALE");
        if is_gzip {
            assert_gzip(&answer, &old, "stale");
        } else {
            assert_plain(&answer, &old, "stale");
        }
    }
    gate.open();
    site.wait_for_hit("/x");
    assert_gzip(&site.ask(&gzip("/x")), &new, "refilled");
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn the_memory_tier_and_a_store_of_memory_alone_have_the_compressed_body() {
    let tier = site().workers(1).store("memory 8m min_uses=1;");
    let alone = site().workers(2).memory_alone("memory 8m;");
    for (name, site) in [("tier", tier), ("alone", alone)] {
        let site = site.start();
        for (target, bytes) in [("/small", 3000), ("/large", 400_000)] {
            let body = text(bytes);
            site.backend.set(target, page(&body));
            assert_plain(&site.get(target), &body, name);
            site.wait_for_fill(target);
            // Of a store in shared memory alone all hits are from there.
            let from_memory = |request: &Request| {
                let found = eventually(PATIENCE, || {
                    let answer = site.ask(request);
                    let source = answer.header("x-source");
                    (name == "alone" || source.as_deref() == Some("memory")).then_some(answer)
                });
                found.unwrap_or_else(|| panic!("{name}: {target} is never from memory"))
            };
            assert_gzip(&from_memory(&gzip(target)), &body, name);
            assert_plain(&from_memory(&Request::get(target)), &body, name);
            let part = from_memory(&gzip(target).header("Range", "bytes=1000-1999"));
            assert_eq!(part.status, 206, "{name}");
            assert!(part.body == body[1000..2000], "{name}");
            let head = from_memory(&Request::head(target).header("Accept-Encoding", "gzip"));
            assert_eq!(head.header("content-encoding").as_deref(), Some("gzip"));
            let unchanged = from_memory(&gzip(target).header("If-None-Match", "\"abc\""));
            assert_eq!(unchanged.status, 304, "{name}");
            assert_eq!(site.backend.hits(target), 1, "{name}");
        }
    }
}

#[test]
fn what_is_damaged_is_a_miss_from_memory_too() {
    let site = site().workers(1).store("memory 8m min_uses=1;").start();
    let body = text(3000);
    site.backend.set("/x", page(&body));
    site.fill("/x");
    damage(&site, "/x", "20");
    // In whatever form it is read first: that of gzip isn't looked into.
    wait_for("the record in memory", PATIENCE, || {
        let answer = site.ask(&gzip("/x"));
        assert_eq!(answer.word(), "HIT");
        answer.header("x-source").as_deref() == Some("memory") && unzipped(&answer.body) != body
    });
    let answer = site.get("/x");
    assert_eq!(answer.word(), "STORE");
    assert_plain(&answer, &body, "a miss");
    let said = "\"/x\" in store \"main\" can't be inflated; it is deleted";
    let log = site.nginx.log();
    assert!(
        log.wait_for(Position::default(), said, PATIENCE).is_some(),
        "{}",
        log.tail(20)
    );
    site.wait_for_hit("/x");
    assert_gzip(&site.ask(&gzip("/x")), &body, "anew");
    assert_plain(&site.get("/x"), &body, "anew");
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn a_large_body_that_is_damaged_behind_its_beginning_is_cut() {
    let site = site().start();
    let body = text(2_000_000);
    site.backend.set("/x", page(&body));
    site.fill("/x");
    damage(&site, "/x", "math.floor(#body / 2)");
    if let Ok(answer) = site.client().exchange(&Request::get("/x")) {
        assert!(!answer.complete);
        assert!(body.starts_with(&answer.body[..100_000]));
    }
    // It is gone.
    wait_for("another fill", PATIENCE, || {
        let answer = site.get("/x");
        answer.complete && answer.body == body
    });
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn many_slow_readers_of_a_large_body_cost_little_memory() {
    let site = site()
        .workers(1)
        .location("redis_cache_max_size 64m; redis_cache_capture_memory 128m;")
        .start();
    let size = 40_000_000;
    site.backend.set("/x", page(&vec![b'0'; size]));
    site.fill("/x");
    let pid = site.get("/x").header("x-worker").unwrap().parse().unwrap();
    let before = Vitals::of(pid).unwrap();
    let mut readers: Vec<(Client, Response)> = (0..20)
        .map(|_| {
            let mut client = Client::connect_narrow(site.address(), 8 * 1024).unwrap();
            client.send(&Request::get("/x")).unwrap();
            let answer = client.receive_header().unwrap();
            (client, answer)
        })
        .collect();
    for (client, answer) in &mut readers {
        client.receive_until(answer, 1_000_000).unwrap();
    }
    let after = Vitals::of(pid).unwrap();
    println!("before {before:?}, after {after:?}");
    // 20 states of zlib, pieces under way, and the record once for each.
    after.assert_grown_less(&before, 16 * 1024);
    drop(readers);
    let whole = site.get("/x");
    assert!(whole.complete && whole.body.len() == size);
}
