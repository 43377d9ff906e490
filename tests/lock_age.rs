//! The age of a lock: that of a worker which lives, but does nothing, is free after it and not before; a fill that goes on
//! keeps its lock young.

use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Client, Gate, PATIENCE, Request, Running, Site, holds_for, ms, pattern, wait_for,
};

/// A lock's age in the tests. Its holder renews it three times as often.
const AGE: Duration = ms(3000);

/// Both forms with that age, and a lock timeout that nobody reaches.
fn forms() -> [(&'static str, Site); 2] {
    [
        (
            "directives",
            Site::new().location("redis_cache_lock_age 3s; redis_cache_lock_timeout 60s;"),
        ),
        (
            "variables",
            Site::seed().location("set $cache_lock_exptime 3; set $cache_lock_timeout 60;"),
        ),
    ]
}

/// A client of this worker, or of any other.
#[track_caller]
fn client(site: &Running, worker: i32, same: bool) -> Client {
    let mut found = None;
    wait_for("a client of the right worker", PATIENCE, || {
        let mut client = site.client();
        let its = client.get("/probe").header("x-worker").unwrap();
        if (its == worker.to_string()) == same {
            found = Some(client);
        }
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn the_lock_of_a_worker_that_stands_still_is_free_after_its_age() {
    for (form, site) in forms() {
        let site = site.spread().start();
        let owner = site.nginx.workers()[0];
        let (mut first, mut second) = (client(&site, owner, true), client(&site, owner, false));
        let gate = Gate::new();
        let answers = vec![Answer::ok("first").gate(&gate), Answer::ok("second")];
        site.backend.set_each("/x", answers);
        first.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 1);

        let before = Instant::now();
        let frozen = site.nginx.freeze_worker(owner);
        let answer = second.get("/x");
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("STORE", "second"),
            "{form}"
        );
        let waited = site.backend.requests("/x")[1].at - before;
        println!("{form}: taken over after {waited:?}");
        // It was renewed a third of its age before at the earliest. nginx's clock has ticks of some milliseconds.
        assert!(
            waited + ms(50) >= AGE * 2 / 3 && waited < AGE + ms(10_000),
            "{form}: taken over after {waited:?}"
        );

        drop(frozen);
        gate.open();
        assert_eq!(first.receive().unwrap().text(), "first", "{form}");
        site.wait_for_quiet_zone();
        assert_eq!(site.backend.hits("/x"), 2, "{form}");
        site.wait_for_hit("/x");
        site.nginx.finish();
    }
}

#[test]
fn a_fill_that_goes_on_keeps_its_lock() {
    for (form, site) in forms() {
        let site = site.spread().start();
        let owner = site.nginx.workers()[0];
        let (mut filler, mut late) = (client(&site, owner, true), client(&site, owner, false));
        let (gate, body) = (Gate::new(), pattern(20_000, 1));
        let answer = Answer::ok(body.clone()).gate(&gate);
        site.backend.set("/x", answer);
        filler.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 1);
        thread::scope(|scope| {
            let crowd = scope.spawn(|| site.crowd(20, "/x"));
            assert!(
                holds_for(AGE * 2, || site.backend.hits("/x") == 1),
                "{form}: somebody took over"
            );
            // Who comes only now finds a lock that is young.
            late.send(&Request::get("/x")).unwrap();
            assert!(
                holds_for(ms(300), || site.backend.hits("/x") == 1),
                "{form}"
            );
            gate.open();
            let crowd = crowd.join().unwrap();
            assert_eq!(crowd.bodies(), [(body.clone(), 20)].into(), "{form}");
            assert_eq!(crowd.workers().len(), 2, "{form}");
        });
        for client in [&mut filler, &mut late] {
            assert!(client.receive().unwrap().body == body, "{form}");
        }
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
        site.nginx.finish();
    }
}
