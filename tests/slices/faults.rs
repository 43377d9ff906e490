//! Slices that are lost, or come in part, or not at all.

use testbed::{Answer, Client, Gate, PATIENCE, RedisCluster, Request};

use crate::file::{File, asked};
use crate::{MIB, part, sliced};

const SIZE: usize = 5 * MIB;

#[test]
fn a_lost_slice_is_fetched_alone() {
    let (site, file) = (sliced().start(), File::new(SIZE));
    file.serve(&site.backend, "/film");
    let _ = site.get("/film");
    site.wait_for_fills(5);
    let keys = site.redis.keys();
    let third = keys.iter().find(|key| key.ends_with(":2}")).unwrap();
    site.redis.command::<()>(&["DEL", third]);
    let fourth = keys.iter().find(|key| key.ends_with(":3}")).unwrap();
    site.redis.command::<()>(&["HSET", fourth, "body", "short"]);
    site.backend.forget();
    assert!(site.get("/film").body == *file.body());
    let wanted = vec![(2 * MIB, 3 * MIB - 1), (3 * MIB, 4 * MIB - 1)];
    assert_eq!(asked(&site.backend, "/film"), wanted);
}

/// As where any fill is waited for: see `tests/delivery/half_closed.rs`.
#[test]
fn a_client_that_leaves_while_a_slice_comes_is_noticed() {
    let (site, file, gate) = (sliced().workers(1).start(), File::new(SIZE), Gate::new());
    let (served, held) = (file.clone(), gate.clone());
    site.backend.script("/film", move |request, nth| {
        let answer = served.answer(request);
        if nth == 1 { answer } else { answer.gate(&held) }
    });
    let _ = site.ask(&part("/film", "bytes=0-0"));
    site.wait_for_fills(1);
    let mut client = Client::connect_http1(site.address());
    client
        .send(&part("/film", "bytes=3000000-3000009"))
        .unwrap();
    site.backend.wait_for_hits("/film", 2);
    client.half_close().unwrap();
    assert!(client.is_closed_within(PATIENCE));
    gate.open();
}

#[test]
fn a_slice_that_is_cut_is_asked_for_again() {
    let (site, file) = (sliced().start(), File::new(SIZE));
    let served = file.clone();
    site.backend.script("/film", move |request, nth| {
        let answer = served.answer(request);
        // One in the middle of the slices, and the first of all.
        if nth == 1 || nth == 4 {
            answer.cut_at(MIB / 2)
        } else {
            answer
        }
    });
    let answer = site.get("/film");
    assert!(answer.complete && answer.body == *file.body());
}

#[test]
fn a_backend_that_fails_ends_the_response() {
    let (site, file) = (sliced().start(), File::new(SIZE));
    let served = file.clone();
    site.backend.script("/film", move |request, _| {
        match request.header("Range").as_deref() {
            Some("bytes=2097152-3145727") => Answer::of(500, "no"),
            _ => served.answer(request),
        }
    });
    let mut client = site.client();
    let answer = client.exchange(&Request::get("/film")).unwrap();
    assert_eq!((answer.status, answer.complete), (200, false));
    assert!(answer.body == file.body()[..2 * MIB]);
    // Other parts can still be had, and who has got nothing is told.
    let last = site.ask(&part("/film", "bytes=-5"));
    assert!(last.status == 206 && last.body == file.body()[SIZE - 5..]);
    let none = site.ask(&part("/film", "bytes=2097152-3145727"));
    assert_eq!((none.status, none.word().as_str()), (500, "SKIP"));
    let none = site.ask(&part("/film", "bytes=2097152-2097153"));
    assert_eq!((none.status, none.word().as_str()), (206, "SKIP"));
    assert!(none.body == file.body()[2 * MIB..2 * MIB + 2]);
}

#[test]
fn redis_that_goes_away_costs_nothing_but_the_cache() {
    let (mut site, file) = (sliced().start(), File::new(SIZE));
    file.serve(&site.backend, "/film");
    let _ = site.get("/film");
    site.wait_for_fills(5);
    site.redis.stop();
    let answer = site.get("/film");
    assert!(answer.complete && answer.body == *file.body());
}

#[test]
fn a_backend_that_gives_up_ranges() {
    let (site, file) = (sliced().start(), File::new(SIZE));
    file.serve(&site.backend, "/film");
    let _ = site.ask(&part("/film", "bytes=0-0"));
    site.wait_for_fills(1);
    site.backend.set(
        "/film",
        Answer::ok(vec![b'x'; SIZE]).header("ETag", "\"v1\""),
    );
    // Who has the first slice already is cut off; the next one has all.
    let cut = site.client().exchange(&Request::get("/film")).unwrap();
    assert!(!cut.complete && cut.body == file.body()[..MIB]);
    let answer = site.get("/film");
    assert!(answer.body == vec![b'x'; SIZE]);
}

#[test]
fn only_if_cached_has_no_slice_fetched() {
    let site = sliced().location("redis_cache_honor_request on;").start();
    let file = File::new(SIZE);
    file.serve(&site.backend, "/film");
    let _ = site.ask(&part("/film", "bytes=0-0"));
    site.wait_for_fills(1);
    let only = |range| part("/film", range).header("Cache-Control", "only-if-cached");
    assert_eq!(site.ask(&only("bytes=5-6")).status, 206);
    assert_eq!(site.ask(&only("bytes=2000000-2000001")).status, 504);
    assert_eq!(site.backend.hits("/film"), 1);
}

#[test]
fn purges_by_tag_and_a_cluster() {
    let cluster = RedisCluster::options().replicas(0).start();
    let site = sliced()
        .store(&cluster.directives())
        .location("redis_cache_lock_scope store; redis_cache_tags xkey; redis_cache_purge_style varnish; redis_cache_purge_allow 127.0.0.1;")
        .start();
    let file = File::new(SIZE).with("xkey", "films");
    let key = "/film{a}b}?x";
    for path in ["/film", key] {
        file.serve(&site.backend, path);
        assert!(site.get(path).body == *file.body(), "{path}");
        assert!(site.get(path).body == *file.body(), "{path}");
        assert_eq!(site.backend.hits(path), 5, "{path}");
    }
    // A purge of others leaves it alone.
    let purge = |tag| {
        site.ask(&Request::new("PURGE", "/").header("xkey", tag))
            .status
    };
    assert_eq!(purge("songs"), 200);
    assert!(site.get("/film").body == *file.body());
    assert_eq!(site.backend.hits("/film"), 5);
    assert_eq!(purge("films"), 200);
    file.change(SIZE);
    for path in ["/film", key] {
        assert!(site.get(path).body == *file.body(), "{path}");
    }
}

#[test]
fn redis_that_goes_away_while_a_client_reads() {
    let mut site = sliced().workers(1).start();
    let file = File::new(48 * MIB + 1);
    file.serve(&site.backend, "/film");
    let _ = site.get("/film");
    site.wait_for_fills(49);
    let mut client = site.client();
    client.send(&Request::get("/film")).unwrap();
    let mut answer = client.receive_header().unwrap();
    assert_eq!(answer.word(), "HIT");
    client.receive_until(&mut answer, MIB).unwrap();
    site.redis.stop();
    client.receive_rest(&mut answer).unwrap();
    assert!(answer.complete && answer.body == *file.body());
    assert!(site.backend.hits("/film") > 50);
}

#[test]
fn clients_that_leave_break_nothing() {
    let (site, file) = (sliced().workers(1).start(), File::new(32 * MIB));
    file.serve(&site.backend, "/film");
    for number in 0..30 {
        let mut client = site.client();
        client.send(&Request::get("/film")).unwrap();
        if number % 3 > 0 {
            let mut answer = client.receive_header().unwrap();
            client.receive_until(&mut answer, number * MIB / 2).unwrap();
        }
        if number % 2 > 0 {
            client.reset();
        }
    }
    let answer = site.get("/film");
    assert!(answer.complete && answer.body == *file.body());
    assert_eq!(asked(&site.backend, "/film").len(), 32);
    site.nginx.finish();
}
