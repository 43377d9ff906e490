//! Reload, quit and death of workers: fills and stores under way are brought to their end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use testbed::{
    Answer, Client, Ending, Gate, PATIENCE, Request, Site, holds_for, ms, pattern, wait_for,
};

#[test]
fn a_reload_lets_a_fill_end_and_the_old_worker_leave() {
    for (form, site) in Site::forms() {
        let mut site = site.start();
        let gate = Gate::new();
        site.backend
            .set("/x", Answer::ok(pattern(100_000, 1)).gate_at(1000, &gate));
        let mut client = site.client();
        client.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 1);
        let old = site.nginx.reload();
        gate.open();
        let answer = client.receive().unwrap();
        assert!(
            answer.body == pattern(100_000, 1) && answer.complete,
            "{form}"
        );
        assert_eq!(answer.word(), "STORE", "{form}");
        assert!(
            site.redis.wait_for_record(&site.key("/x")).body == pattern(100_000, 1),
            "{form}"
        );
        drop(client);
        let took = site.nginx.wait_for_exit(&old, PATIENCE);
        assert!(took < ms(10_000), "{form}: {took:?}");
        assert_eq!(site.get("/x").word(), "HIT", "{form}");
        site.nginx.finish();
    }
}

#[test]
fn a_refill_without_any_client_survives_a_reload() {
    let mut site = Site::new().start();
    site.fill_and_age("/x");
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("new").gate(&gate));
    assert_eq!(site.get("/x").word(), "STALE");
    site.backend.wait_for_hits("/x", 2);
    let old = site.nginx.reload();
    assert!(
        holds_for(ms(300), || site.backend.under_way("/x") == 1),
        "the reload ended the refill"
    );
    gate.open();
    wait_for("the refilled record", PATIENCE, || {
        site.redis.get("/x").unwrap().body == b"new"
    });
    site.nginx.wait_for_exit(&old, PATIENCE);
    assert_eq!(
        (site.get("/x").word().as_str(), site.backend.hits("/x")),
        ("HIT", 2)
    );
}

#[test]
fn a_store_in_flight_survives_a_reload_and_a_quit() {
    for quit in [false, true] {
        let mut site = Site::new()
            .store("read_timeout 10s; send_timeout 10s;")
            .start();
        site.fill("/warm");
        let (body, gate) = (pattern(5_000_000, 2), Gate::new());
        site.backend
            .set("/x", Answer::ok(body.clone()).gate_at(4_000_000, &gate));
        let mut client = site.client();
        client.send(&Request::get("/x")).unwrap();
        let mut answer = client.receive_header().unwrap();
        site.redis.freeze();
        gate.open();
        client.receive_rest(&mut answer).unwrap();
        assert!(answer.body == body);
        drop(client);
        // Client and backend are done: nothing but the store is under way.
        let old = site.nginx.workers();
        if quit {
            site.nginx.quit();
        } else {
            site.nginx.reload();
        }
        let left =
            |site: &testbed::Running| old.iter().any(|pid| site.nginx.workers().contains(pid));
        assert!(
            holds_for(ms(300), || left(&site)),
            "quit {quit}: the store was given up"
        );
        site.redis.thaw();
        assert!(site.redis.wait_for_record("/x").body == body, "quit {quit}");
        if quit {
            assert!(site.nginx.wait(PATIENCE).unwrap().success());
        } else {
            site.nginx.wait_for_exit(&old, PATIENCE);
        }
    }
}

#[test]
fn a_fill_of_an_old_worker_is_waited_for_by_the_new_ones() {
    let mut site = Site::new().start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("x").gate(&gate));
    let mut first = site.client();
    first.send(&Request::get("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    let old = site.nginx.reload();
    let mut second = site.client();
    second.send(&Request::get("/x")).unwrap();
    assert!(
        holds_for(ms(200), || site.backend.hits("/x") == 1),
        "the zone, and the lock in it, survive"
    );
    gate.open();
    assert_eq!(first.receive().unwrap().word(), "STORE");
    assert_eq!(second.receive().unwrap().word(), "HIT");
    site.nginx.wait_for_exit(&old, PATIENCE);
}

#[test]
fn waiters_of_an_old_worker_are_answered() {
    let mut site = Site::new().spread().start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("x").gate(&gate));
    let mut clients: Vec<_> = (0..20).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send(&Request::get("/x")).unwrap();
    }
    // All of them have been let in, and wait.
    site.wait_for_waiters(19);
    site.backend.wait_for_hits("/x", 1);
    let old = site.nginx.reload();
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().text(), "x");
    }
    site.nginx.wait_for_exit(&old, PATIENCE);
    assert_eq!(site.backend.hits("/x"), 1);
}

#[test]
fn twenty_reloads_under_load_lose_no_request() {
    let mut site = Site::new().location("redis_cache_age 1s;").start();
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = site.address();
    thread::scope(|scope| {
        let _ending = Ending::raises(&over);
        let load: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        // Some keys are warm, one in eight is new.
                        let key = if number.is_multiple_of(8) {
                            number
                        } else {
                            number % 8
                        };
                        let path = format!("/{key}");
                        let request = Request::get(&path).header("Connection", "close");
                        let answer = Client::connect(address).ask(&request);
                        assert_eq!(answer.status, 200, "{path}");
                        assert!(
                            answer.text().starts_with(&format!("GET {path} #")),
                            "{path}"
                        );
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            let before = asked.load(Ordering::Relaxed);
            site.nginx.reload();
            wait_for("a hundred requests", PATIENCE, || {
                asked.load(Ordering::Relaxed) >= before + 100
                    || load.iter().any(|client| client.is_finished())
            });
        }
    });
    wait_for("the old workers' exit", PATIENCE, || {
        site.nginx.workers().len() == 2
    });
    assert!(asked.load(Ordering::Relaxed) >= 2000);
    assert!(site.redis.keys_without_expiry().is_empty());
    site.nginx.finish();
}

#[test]
fn a_fast_stop_amid_all_kinds_of_work_is_clean() {
    for (form, site) in Site::forms() {
        let mut site = site.store("read_timeout 10s;").start();
        let gate = Gate::new();
        site.fill_and_age("/refill");
        site.backend.set("/refill", Answer::ok("new").gate(&gate));
        site.backend.set(
            "/fill",
            Answer::ok(pattern(1_000_000, 3)).gate_at(500_000, &gate),
        );
        site.backend.set("/header", Answer::ok("x").gate(&gate));
        site.backend.set("/skip", Answer::ok("x").gate(&gate));
        assert_eq!(site.get("/refill").word(), "STALE", "{form}");
        let mut clients: Vec<_> = (0..12).map(|_| site.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let request = match number % 3 {
                0 => Request::get("/fill"),
                1 => Request::get("/header"),
                _ => Request::new("PUT", "/skip").body("x"),
            };
            client.send(&request).unwrap();
        }
        for (path, hits) in [("/refill", 2), ("/fill", 1), ("/header", 1), ("/skip", 1)] {
            site.backend.wait_for_hits(path, hits);
        }
        // Lookups that Redis never answers, beside fills and waiters.
        site.redis.freeze();
        clients.push(site.client());
        clients
            .last_mut()
            .unwrap()
            .send(&Request::get("/lookup"))
            .unwrap();
        let position = site.nginx.log().end();
        site.nginx.terminate();
        let status = site.nginx.wait(PATIENCE).expect("the end of nginx");
        assert!(status.success(), "{form}: {status}");
        let lines = site.nginx.log().matching(position, "exited on signal");
        assert!(lines.is_empty(), "{form}: {lines:?}");
        gate.open();
        site.nginx.finish();
    }
}

#[test]
fn a_killed_worker_takes_only_its_own_clients_with_it() {
    let mut site = Site::new().start();
    site.fill("/x");
    for _ in 0..3 {
        let worker = site.nginx.workers()[0];
        site.nginx.kill_worker(worker);
        wait_for("another worker", PATIENCE, || {
            let workers = site.nginx.workers();
            workers.len() == 2 && !workers.contains(&worker)
        });
        assert_eq!(site.get("/x").word(), "HIT");
    }
    let again = site.crowd(50, "/y");
    assert_eq!(again.bodies().len(), 1);
    assert_eq!(site.backend.hits("/y"), 1);
}
