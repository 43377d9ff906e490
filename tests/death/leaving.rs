//! Workers that are told to leave.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use testbed::{
    Answer, Client, Ending, PATIENCE, Request, Running, Site, Vitals, holds_for, ms, pattern,
    wait_for,
};

use crate::{LOCKS, SOON};

#[test]
fn sigterm_ends_at_once_whatever_is_under_way() {
    let mut site = Site::new()
        .location(LOCKS)
        .store("read_timeout 20s;")
        .start();
    site.backend
        .set("/x", Answer::ok(pattern(100_000, 4)).hang_at(50_000));
    let mut clients: Vec<_> = (0..10).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send(&Request::get("/x")).unwrap();
    }
    site.backend.wait_for_hits("/x", 1);
    let start = Instant::now();
    site.nginx.terminate();
    let status = site.nginx.wait(PATIENCE).expect("the end of nginx");
    let took = start.elapsed();
    assert!(status.success() && took < SOON, "{status} after {took:?}");
    assert!(site.redis.keys().is_empty(), "no half record");
    for client in &mut clients {
        assert!(
            !client.receive().is_ok_and(|answer| answer.complete),
            "a cut answer shows"
        );
    }
}

/// How many reloads; `RELOADS=200` for a longer proof.
fn reloads() -> usize {
    let asked = std::env::var("RELOADS").ok();
    asked.map_or(30, |number| number.parse().expect("a number"))
}

#[test]
fn thirty_reloads_under_load_cost_nothing() {
    let mut site = Site::new().location("redis_cache_age 1s;").start();
    let body = |path: &str| pattern(2000 + path.len() * 1000, path.len() as u64);
    site.backend.script("(otherwise)", move |request, _| {
        Answer::ok(body(request.path())).chunked()
    });
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = site.address();
    let first = after_some_requests(&mut site);
    let keys = site.wait_for_quiet_zone().keys;
    thread::scope(|scope| {
        let _ending = Ending::raises(&over);
        let load: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        let path = format!("/{}", number % 97);
                        let request = Request::get(&path).header("Connection", "close");
                        let answer = Client::connect(address).ask(&request);
                        assert!(answer.status == 200 && answer.body == body(&path), "{path}");
                    }
                })
            })
            .collect();
        for _ in 0..reloads() {
            let before = asked.load(Ordering::Relaxed);
            site.nginx.reload();
            wait_for("requests", PATIENCE, || {
                asked.load(Ordering::Relaxed) >= before + 60
                    || load.iter().any(|client| client.is_finished())
            });
        }
    });
    let last = after_some_requests(&mut site);
    let zone = site.wait_for_quiet_zone();
    let (reloads, answers) = (reloads(), asked.load(Ordering::Relaxed));
    println!("{first:?}, after {reloads} reloads and {answers} answers {last:?}");
    println!("{keys} keys in the zone, then {zone:?}");
    assert_eq!((keys, zone.keys), (97, 97), "one place for each key");
    assert!(zone.workers.len() <= 2, "{zone:?}");
    assert!(last.rss < first.rss + 3000, "{first:?}, {last:?}");
    assert!(
        last.descriptors <= first.descriptors + 10,
        "{first:?}, {last:?}"
    );
    assert!(
        site.nginx
            .log()
            .serious(testbed::Position::default())
            .is_empty()
    );
    site.nginx.finish();
}

/// The most that one of two new workers uses once both have answered a few hundred requests.
fn after_some_requests(site: &mut Running) -> Vitals {
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    for number in 0..300 {
        let _ = site.get(&format!("/{}", number % 97));
    }
    site.wait_for_quiet_zone();
    // How many idle connections to the backend are kept is chance: it ends them.
    site.backend.stop();
    site.backend.run();
    let workers = site.nginx.workers();
    let vitals = || workers.iter().filter_map(|pid| Vitals::of(*pid));
    let descriptors = || vitals().map(|vitals| vitals.descriptors).sum::<usize>();
    wait_for("the last connections to close", PATIENCE, || {
        let before = descriptors();
        holds_for(ms(200), || descriptors() == before)
    });
    vitals().max_by_key(|vitals| vitals.rss).unwrap()
}
