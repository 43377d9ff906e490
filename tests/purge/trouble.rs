//! Purges beside fills, with a Redis in trouble, and with senders that leave.

use std::sync::atomic::{AtomicBool, Ordering};

use testbed::{Answer, Bridge, Gate, PATIENCE, Redis, Request, Rule, Site, Way, ms, wait_for};

use crate::{fill, get, request, site, told};

const PURGE: [&str; 2] = ["PURGE /x", "Host: example.com"];
const PAGE: (&str, &str) = ("example.com", "/x");
const KEY: &str = "http://example.com/x";

#[test]
fn a_fill_on_its_way_is_not_stored_and_nobody_joins_it() {
    for workers in [1, 2] {
        let site = site("varnish").workers(workers).start();
        let gate = Gate::new();
        let behind = gate.clone();
        site.backend.script("/x", move |_, nth| match nth {
            1 => Answer::ok("old").gate_at(1, &behind),
            _ => Answer::ok("new"),
        });
        let mut first = site.client();
        let page = Request::get(PAGE.1).header("Host", PAGE.0);
        first.send(&page).unwrap();
        site.backend.wait_for_hits("/x", 1);
        assert_eq!(site.ask(&request(&PURGE)).text(), told(0, "key", "hard"));
        for _ in 0..8 {
            assert_eq!(get(&site, PAGE).text(), "new", "{workers}");
        }
        assert_eq!(site.redis.wait_for_record(KEY).body, b"new");
        gate.open();
        assert_eq!(first.receive().unwrap().text(), "old", "{workers}");
        let line = format!("fill of \"{KEY}\": invalidated meanwhile");
        let log = site.nginx.log();
        let said = log.wait_for(Default::default(), &line, PATIENCE);
        assert!(said.is_some(), "{workers}: {}", log.tail(20));
        assert_eq!(site.redis.get(KEY).unwrap().body, b"new", "{workers}");
    }
}

#[test]
fn a_store_that_does_not_take_it_is_a_503() {
    let mut site = site("varnish")
        .store("connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms; fail_timeout 200ms;")
        .start();
    fill(&site, PAGE);
    site.redis.stop();
    for _ in 0..3 {
        let answer = site.ask(&request(&PURGE));
        assert_eq!(
            (answer.status, answer.header("retry-after").as_deref()),
            (503, Some("1")),
            "{}",
            answer.text()
        );
        assert!(
            answer
                .text()
                .starts_with("{\"error\": \"the store \\\"main\\\" says: "),
            "{}",
            answer.text()
        );
    }
    site.redis.run();
    wait_for("a purge that is taken", PATIENCE, || {
        site.ask(&request(&PURGE)).status == 200
    });
    assert_eq!(site.backend.hits("/x"), 1, "none reaches the backend");
}

#[test]
fn a_sender_that_leaves_has_purged_nevertheless() {
    let (site, door) = site("varnish").workers(1).start_behind_a_proxy();
    fill(&site, PAGE);
    let gate = Gate::new();
    door.set(Way::Replies, Rule::hold(&gate));
    let mut client = site.client();
    client.send(&request(&PURGE)).unwrap();
    wait_for("the purge", PATIENCE, || site.redis.get(KEY).is_none());
    drop(client);
    gate.open();
    let line = format!("\"{KEY}\" in store \"main\" was purged by PURGE");
    let log = site.nginx.log();
    assert!(
        log.wait_for(Default::default(), &line, PATIENCE).is_some(),
        "{}",
        log.tail(20)
    );
}

#[test]
fn a_location_as_the_store() {
    let redis = Redis::start();
    let bridge = Bridge::start(&redis.address());
    let site = site("varnish")
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 2s;")
        .locations(&bridge.locations())
        .start_with(redis);
    fill(&site, PAGE);
    for purged in [1, 0] {
        let answer = site.ask(&request(&PURGE));
        assert_eq!(answer.text(), told(purged, "key", "hard"));
    }
    assert_eq!(get(&site, PAGE).word(), "STORE");
}

#[test]
fn many_at_once() {
    let site = site("varnish").start();
    std::thread::scope(|threads| {
        for number in 0..8 {
            let site = &site;
            threads.spawn(move || {
                let mut client = site.client();
                let path = format!("/{number}");
                for turn in 0..50 {
                    let body = format!("{turn}");
                    site.backend.set(&path, Answer::ok(body.clone()));
                    let purge = Request::new("PURGE", &path);
                    assert_eq!(client.ask(&purge).status, 200);
                    assert_eq!(client.get(&path).text(), body, "{path}");
                }
            });
        }
    });
}

/// The workers of a store in shared memory alone share its log: none writes over what another has put there, also when it is
/// stopped now and then for longer than others wait.
#[test]
fn workers_that_share_a_log_in_memory() {
    for stops in [false, true] {
        let site = Site::new()
            .workers(2)
            .spread()
            .memory_alone("memory 16m;")
            .server("redis_cache_purge_allow 127.0.0.1;")
            .location(&format!("{} redis_cache_purge_style varnish;", crate::KEY))
            .start();
        let of_example = |target: &str| Request::get(target).header("Host", "example.com");
        let mut clients = site.client_of_each("/probe");
        wait_for("the record", PATIENCE, || {
            site.ask(&of_example("/keep")).word() == "HIT"
        });
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            if stops {
                let (site, is_over, worker) = (&site, &is_over, clients[0].0);
                threads.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let stopped = site.nginx.freeze_worker(worker);
                        // As long as another waits for what this one has, and longer.
                        std::thread::sleep(ms(130));
                        drop(stopped);
                        std::thread::sleep(ms(7));
                    }
                });
            }
            let purging: Vec<_> = clients
                .iter_mut()
                .enumerate()
                .map(|(number, (_, client))| {
                    let site = &site;
                    threads.spawn(move || {
                        let path = format!("/{number}/a");
                        let purge = Request::new("PURGE", &format!("/{number}/*"))
                            .header("Host", "example.com");
                        for turn in 0..if stops { 20 } else { 100 } {
                            let body = format!("{turn}");
                            site.backend.set(&path, Answer::ok(body.clone()));
                            assert_eq!(client.ask(&purge).status, 200);
                            for _ in 0..3 {
                                assert_eq!(client.ask(&of_example(&path)).text(), body, "{path}");
                            }
                        }
                    })
                })
                .collect();
            for thread in purging {
                thread.join().unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        if !stops {
            assert_eq!(site.ask(&of_example("/keep")).word(), "HIT");
        }
    }
}
