//! `redis_cache_compress` where requests come together: joined fills, waiters, machines that share a store, slow readers, cuts.
//! All of it in each coding.

mod changes;
mod forms;
mod room;
mod zstd;

use std::thread;

use forms::{
    a_client_that_wants_no_transformation_gets_the_plain_form,
    an_etag_without_quotes_is_not_sent_with_the_coded_form, if_range_with_a_date_gets_the_whole,
};
use room::{
    a_body_that_needs_the_room_of_another_ones_compressor_is_stored,
    a_body_that_needs_the_room_of_its_compressor_is_stored_as_it_is,
};
use testbed::{
    Answer, Bridge, Client, Gate, Nginx, PATIENCE, Port, Position, Redis, Request, Response,
    Running, Site, Vitals, crowd, decoded, eventually, holds_for, ms, wait_for,
};

/// Each of these tests in each coding.
macro_rules! in_each_coding {
    ($($name:ident),* $(,)?) => {
        mod in_gzip {
            $(#[test] fn $name() { super::$name("gzip"); })*
        }
        mod in_zstd {
            $(#[test] fn $name() { super::$name("zstd"); })*
        }
    };
}

in_each_coding!(
    clients_who_join_while_the_fill_streams_get_the_plain_body,
    waiters_of_several_workers_get_what_they_accept,
    machines_that_fill_once_share_the_compressed_record,
    a_location_as_the_store_has_the_compressed_body,
    a_cut_fill_leaves_nothing_compressed,
    a_stale_record_is_served_in_both_forms_and_refilled,
    the_memory_tier_and_a_store_of_memory_alone_have_the_compressed_body,
    what_is_damaged_is_a_miss_from_memory_too,
    a_large_body_that_is_damaged_behind_its_beginning_is_cut,
    a_part_of_a_large_body_that_is_damaged_is_never_complete,
    many_slow_readers_of_a_large_body_cost_little_memory,
    if_range_with_a_date_gets_the_whole,
    an_etag_without_quotes_is_not_sent_with_the_coded_form,
    a_client_that_wants_no_transformation_gets_the_plain_form,
    a_body_that_needs_the_room_of_its_compressor_is_stored_as_it_is,
    a_body_that_needs_the_room_of_another_ones_compressor_is_stored,
);

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

/// A site whose records are stored in this coding.
fn site(coding: &str) -> Site {
    Site::new().location(&format!(
        "redis_cache_compress {coding}; add_header X-Source $redis_cache_source always;"
    ))
}

/// A request of a client that accepts this coding.
fn accepting(coding: &str, target: &str) -> Request {
    Request::get(target).header("Accept-Encoding", coding)
}

/// The request of one of many clients: every other one accepts the coding.
fn mixed(coding: &str, number: usize, target: &str) -> Request {
    if number.is_multiple_of(2) {
        accepting(coding, target)
    } else {
        Request::get(target)
    }
}

/// A whole response in a coding, of this body.
#[track_caller]
fn assert_coded(coding: &str, response: &Response, body: &[u8], what: &str) {
    let said = |name| response.header(name).unwrap_or_default();
    assert_eq!(said("content-encoding"), coding, "{what}");
    assert_eq!(said("etag"), "W/\"abc\"", "{what}");
    assert_eq!(said("vary"), "Accept-Encoding", "{what}");
    assert_eq!(
        said("content-length"),
        response.body.len().to_string(),
        "{what}"
    );
    assert!(
        response.complete && decoded(coding, &response.body) == body,
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
fn assert_each(coding: &str, answers: &[&Response], body: &[u8]) {
    for (number, answer) in answers.iter().enumerate() {
        let what = format!("{number}, {}", answer.word());
        if number.is_multiple_of(2) && answer.header("content-encoding").is_some() {
            assert_coded(coding, answer, body, &what);
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

fn clients_who_join_while_the_fill_streams_get_the_plain_body(coding: &str) {
    // Those of another worker can't join, but wait for the record.
    let site = site(coding).workers(1).start();
    let (body, gate) = (text(300_000), Gate::new());
    site.backend
        .set("/x", page(&body).chunked().gate_at(100_000, &gate));
    let mut readers: Vec<(Client, Response)> = (0..4)
        .map(|number| {
            let mut client = site.client();
            client.send(&mixed(coding, number, "/x")).unwrap();
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
    assert!(decoded(coding, &record.body) == body);
    assert_coded(
        coding,
        &site.ask(&accepting(coding, "/x")),
        &body,
        "accepts gzip",
    );
    assert_plain(&site.get("/x"), &body, "doesn't");
    assert_eq!(site.backend.hits("/x"), 1);
}

fn waiters_of_several_workers_get_what_they_accept(coding: &str) {
    let site = site(coding).spread().workers(2).start();
    let body = text(100_000);
    site.backend.set("/x", page(&body).delay(ms(200)));
    let crowd = crowd(site.address(), 40, |number| mixed(coding, number, "/x"));
    assert_each(coding, &crowd.answers(), &body);
    assert_eq!(site.backend.hits("/x"), 1);
}

fn machines_that_fill_once_share_the_compressed_record(coding: &str) {
    let site_a = site(coding).location("redis_cache_lock_scope store;");
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
                scope.spawn(move || b.client().ask(&mixed(coding, number, "/x")))
            })
            .collect();
        assert!(holds_for(ms(100), || a.backend.hits("/x") == 1));
        gate.open();
        assert_plain(&first.join().unwrap(), &body, "the first");
        for (number, waiter) in waiters.into_iter().enumerate() {
            let answer = waiter.join().unwrap();
            if number % 2 == 0 {
                assert_coded(coding, &answer, &body, "a waiter of the other machine");
            } else {
                assert_plain(&answer, &body, "another");
            }
        }
    });
    assert_eq!(a.backend.hits("/x"), 1);
}

/// Whatever the store is, the record is the same.
fn a_location_as_the_store_has_the_compressed_body(coding: &str) {
    let redis = Redis::start();
    let bridge = Bridge::start(&redis.address());
    let site = site(coding)
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 10s;")
        .locations(&bridge.locations())
        .start_with(redis);
    let body = text(200_000);
    site.backend.set("/x", page(&body));
    assert_plain(&site.fill("/x"), &body, "the first");
    let record = site.redis.wait_for_record("/x");
    assert!(record.body.len() < body.len() / 2 && decoded(coding, &record.body) == body);
    assert_coded(
        coding,
        &site.ask(&accepting(coding, "/x")),
        &body,
        "accepts gzip",
    );
    assert_plain(&site.get("/x"), &body, "doesn't");
    damage(&site, "/x", "20");
    let answer = site.get("/x");
    assert_eq!(answer.word(), "STORE");
    assert_plain(&answer, &body, "a miss");
}

fn a_cut_fill_leaves_nothing_compressed(coding: &str) {
    let site = site(coding).start();
    let body = text(200_000);
    for (name, answer) in [
        ("/length", page(&body).cut_at(120_000)),
        ("/chunked", page(&body).chunked().cut_at(120_000)),
        ("/reset", page(&body).chunked().reset_at(120_000)),
    ] {
        site.backend.set(name, answer);
        for request in [Request::get(name), accepting(coding, name)] {
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
    assert_coded(coding, &site.ask(&accepting(coding, "/x")), &body, "stale");
    wait_for("the refill", PATIENCE, || site.backend.hits("/x") == 2);
    site.backend.wait_until_idle("/x");
    assert!(decoded(coding, &site.redis.wait_for_record("/x").body) == body);
}

fn a_stale_record_is_served_in_both_forms_and_refilled(coding: &str) {
    let site = site(coding).start();
    let (old, new, gate) = (text(50_000), text(60_000), Gate::new());
    site.backend.set("/x", page(&old));
    site.fill_and_age("/x");
    site.backend.set("/x", page(&new).gate(&gate));
    for (request, is_coded) in [(accepting(coding, "/x"), true), (Request::get("/x"), false)] {
        let answer = site.ask(&request);
        assert_eq!(answer.word(), "STALE");
        if is_coded {
            assert_coded(coding, &answer, &old, "stale");
        } else {
            assert_plain(&answer, &old, "stale");
        }
    }
    gate.open();
    site.wait_for_hit("/x");
    assert_coded(
        coding,
        &site.ask(&accepting(coding, "/x")),
        &new,
        "refilled",
    );
    assert_eq!(site.backend.hits("/x"), 2);
}

fn the_memory_tier_and_a_store_of_memory_alone_have_the_compressed_body(coding: &str) {
    let tier = site(coding).workers(1).store("memory 8m min_uses=1;");
    let alone = site(coding).workers(2).memory_alone("memory 8m;");
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
            assert_coded(
                coding,
                &from_memory(&accepting(coding, target)),
                &body,
                name,
            );
            assert_plain(&from_memory(&Request::get(target)), &body, name);
            let part = from_memory(&accepting(coding, target).header("Range", "bytes=1000-1999"));
            assert_eq!(part.status, 206, "{name}");
            assert!(part.body == body[1000..2000], "{name}");
            let head = from_memory(&Request::head(target).header("Accept-Encoding", coding));
            assert_eq!(head.header("content-encoding").as_deref(), Some(coding));
            let unchanged =
                from_memory(&accepting(coding, target).header("If-None-Match", "\"abc\""));
            assert_eq!(unchanged.status, 304, "{name}");
            assert_eq!(site.backend.hits(target), 1, "{name}");
        }
    }
}

fn what_is_damaged_is_a_miss_from_memory_too(coding: &str) {
    let site = site(coding)
        .workers(1)
        .store("memory 8m min_uses=1;")
        .start();
    let body = text(3000);
    site.backend.set("/x", page(&body));
    site.fill("/x");
    damage(&site, "/x", "20");
    // In whatever form it is read first: the coded one isn't looked into.
    wait_for("the record in memory", PATIENCE, || {
        let answer = site.ask(&accepting(coding, "/x"));
        assert_eq!(answer.word(), "HIT");
        answer.header("x-source").as_deref() == Some("memory")
            && decoded(coding, &answer.body) != body
    });
    let answer = site.get("/x");
    assert_eq!(answer.word(), "STORE");
    assert_plain(&answer, &body, "a miss");
    let said = "\"/x\" in store \"main\" can't be decompressed; it is deleted";
    let log = site.nginx.log();
    assert!(
        log.wait_for(Position::default(), said, PATIENCE).is_some(),
        "{}",
        log.tail(20)
    );
    site.wait_for_hit("/x");
    assert_coded(coding, &site.ask(&accepting(coding, "/x")), &body, "anew");
    assert_plain(&site.get("/x"), &body, "anew");
    assert_eq!(site.backend.hits("/x"), 2);
}

fn a_large_body_that_is_damaged_behind_its_beginning_is_cut(coding: &str) {
    let site = site(coding).start();
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

/// Wherever the damage is: in the part, or behind it.
fn a_part_of_a_large_body_that_is_damaged_is_never_complete(coding: &str) {
    let site = site(coding).start();
    let body = text(2_000_000);
    site.backend.set("/x", page(&body));
    for (number, range) in [
        "0-9",
        "1000000-1000999",
        "1999990-1999999",
        "100000-1900000",
    ]
    .into_iter()
    .enumerate()
    {
        site.fill("/x");
        let (first, last) = range.split_once('-').unwrap();
        let span = first.parse::<usize>().unwrap()..=last.parse().unwrap();
        let request = accepting(coding, "/x").header("Range", format!("bytes={range}"));
        let part = site.ask(&request);
        assert_eq!((part.status, part.word().as_str()), (206, "HIT"));
        assert!(part.complete && part.body == body[span], "{range}");
        damage(&site, "/x", "math.floor(#body / 2)");
        if let Ok(answer) = site.client().exchange(&request) {
            assert!(!answer.complete, "{range}");
        }
        // It is gone.
        wait_for("the record to be deleted", PATIENCE, || {
            site.redis.keys().is_empty()
        });
        assert_eq!(site.backend.hits("/x"), number + 1);
    }
}

fn many_slow_readers_of_a_large_body_cost_little_memory(coding: &str) {
    let site = site(coding)
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
    // 20 decoders, pieces under way, and the record once for each.
    let kilobytes = if coding == "gzip" { 16 } else { 24 } * 1024;
    after.assert_grown_less(&before, kilobytes);
    drop(readers);
    let whole = site.get("/x");
    assert!(whole.complete && whole.body.len() == size);
}
