//! worker_connections exhausted, the zone full.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};
use testbed::{Answer, Client, Gate, PATIENCE, Request, Response, Site, ms, wait_for};

use crate::{LOCKS, SOON, narrow};

#[test]
fn without_connections_misses_pass_and_stale_records_are_not_refilled() {
    let mut site = narrow(Site::new().location(LOCKS));
    site.nginx.allow("worker_connections are not enough");
    site.fill("/warm");
    site.fill_and_age("/stale");
    site.fill("/fresh");
    let mut taken = site.take_all_connections();
    let all_taken = taken.len();
    // What nginx alone makes of it: one connection is the client's, one is the upstream's.
    let mut plain = narrow(Site::plain());
    plain.nginx.allow("worker_connections are not enough");
    let mut others = plain.take_all_connections();
    others.truncate(others.len() - 2);
    plain.wait_until_noticed();
    assert_eq!(plain.get("/x").status, 200, "proxy_pass needs two");
    drop(others);
    for left in [0, 1, 2, 3, 4] {
        let all = all_taken - left - 1;
        taken.truncate(all);
        site.wait_until_noticed();
        let ask = |path: &str| -> Option<Response> {
            let mut client = site.client();
            let answer = client.exchange(&Request::get(path)).ok();
            drop(client);
            site.wait_until_noticed();
            site.wait_for_quiet_zone();
            answer
        };
        let fresh = ask("/fresh").expect("a hit needs no other connection");
        assert_eq!(
            (fresh.status, fresh.word().as_str()),
            (200, "HIT"),
            "{left} left"
        );
        let _: i64 = site.redis.command(&["PEXPIRE", "/stale", "50000"]);
        let stale = ask("/stale").expect("a stale answer needs no other connection");
        assert_eq!(
            (stale.status, stale.word().as_str()),
            (200, "STALE"),
            "{left} left"
        );
        // Should there be a refill, it has given back its connections by the time it is said to be over.
        thread::sleep(ms(100));
        wait_for("the end of refills", PATIENCE, || {
            let log = site.nginx.log();
            let over = log.matching(testbed::Position::default(), "fill of \"/stale\"");
            over.len() >= site.backend.hits("/stale")
        });
        if left > 0 {
            for turn in 0..3 {
                let path = format!("/miss/{left}/{turn}");
                let miss = ask(&path).expect("an answer");
                assert_eq!(
                    miss.status, 200,
                    "{left} left: plain proxy_pass would get through"
                );
                assert_eq!(miss.text(), format!("GET {path} #1\n"), "{left} left");
            }
        }
    }
    drop(taken);
    site.wait_until_noticed();
    for path in ["/a", "/b"] {
        site.fill(path);
    }
    assert!(site.wait_for_hit("/stale").status == 200);
    site.nginx.finish();
}

#[test]
fn connections_that_come_and_go_at_the_limit_crash_nothing() {
    let mut site = narrow(Site::new().location(LOCKS));
    site.nginx.allow("worker_connections are not enough");
    site.backend.set_otherwise(Answer::ok("x").delay(ms(30)));
    site.fill("/warm");
    let worker = site.nginx.workers();
    for round in 0..5 {
        let crowd = testbed::crowd(site.address(), 150, |number| {
            Request::get(&format!("/{round}/{}", number % 30)).header("Connection", "close")
        });
        for answer in crowd.results.iter().flatten() {
            assert!(answer.complete, "a cut answer");
            assert!(
                [200, 500, 502].contains(&answer.status),
                "{}",
                answer.status
            );
        }
    }
    assert_eq!(site.nginx.workers(), worker, "the same worker");
    for number in 0..30 {
        let answer = site.get(&format!("/4/{number}"));
        assert_eq!(answer.status, 200);
        assert!(answer.last_byte < SOON, "a lock: {:?}", answer.last_byte);
    }
    site.nginx.finish();
}

fn small_zone() -> Site {
    Site::new()
        .location(LOCKS)
        .http("redis_cache_zone locks 64k;")
}

#[test]
fn thousands_of_keys_in_the_smallest_zone() {
    let site = small_zone().start();
    let address = site.address();
    thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                let mut connection = Client::connect(address);
                for number in 0..700 {
                    if number % 90 == 89 {
                        connection = Client::connect(address);
                    }
                    let path = format!("/{client}/{number}");
                    let answer = connection.get(&path);
                    assert_eq!(
                        (answer.status, answer.word().as_str()),
                        (200, "STORE"),
                        "{path}"
                    );
                }
            });
        }
    });
    assert_eq!(site.backend.all_hits(), 2800);
    site.backend.set("/crowd", Answer::ok("x").delay(ms(200)));
    let crowd = site.crowd(50, "/crowd");
    assert_eq!(crowd.bodies(), [(b"x".to_vec(), 50)].into());
    assert_eq!(site.backend.hits("/crowd"), 1, "locks still work");
    assert!(
        site.nginx
            .log()
            .serious(testbed::Position::default())
            .is_empty()
    );
    site.nginx.finish();
}

#[test]
fn more_fills_at_once_than_the_smallest_zone_has_room_for() {
    let site = small_zone().start();
    let gate = Gate::new();
    site.backend.set_otherwise(Answer::ok("x").gate(&gate));
    let mut clients: Vec<_> = (0..900).map(|_| site.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&Request::get(&format!("/{number}"))).unwrap();
    }
    wait_for("all requests at the backend", PATIENCE * 2, || {
        site.backend.all_hits() == 900
    });
    gate.open();
    let mut words = BTreeSet::new();
    for client in &mut clients {
        let answer = client.receive().unwrap();
        assert!(answer.status == 200 && answer.text() == "x");
        words.insert(answer.word());
    }
    println!("{words:?}");
    let lines = site.nginx.log().serious(testbed::Position::default());
    assert_eq!(lines.len(), 1, "once a minute:\n{}", lines.join("\n"));
    for word in ["\"locks\"", "no room", "redis_cache_zone"] {
        assert!(
            lines[0].contains(word),
            "which, what, and the remedy: {}",
            lines[0]
        );
    }
    let zone = site.wait_for_quiet_zone();
    assert!(zone.keys <= zone.room && zone.room < 900, "{zone:?}");
    // All of them let go again.
    let start = Instant::now();
    for number in (0..900).step_by(9) {
        let answer = site.get(&format!("/{number}"));
        assert!(answer.last_byte < SOON, "{:?}", answer.last_byte);
    }
    assert!(start.elapsed() < Duration::from_secs(30));
    site.nginx.finish();
}
