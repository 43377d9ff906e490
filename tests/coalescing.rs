//! Many clients, one fill: who asks for a key that is being filled shares its answer, and never waits in vain.

use std::thread;
use std::time::Instant;

use testbed::{
    Answer, Gate, PATIENCE, Request, Site, crowd, eventually, holds_for, ms, pattern, wait_for,
};

#[test]
fn two_hundred_clients_on_a_missing_key_cost_one_backend_request() {
    for (form, site) in Site::forms() {
        let site = site.spread().start();
        let body = pattern(20_000, 1);
        site.backend
            .set("/x", Answer::ok(body.clone()).delay(ms(300)));
        let crowd = site.crowd(200, "/x");
        let words = crowd.words();
        assert_eq!(
            words,
            [("HIT".to_owned(), 199), ("STORE".to_owned(), 1)].into(),
            "{form}"
        );
        assert_eq!(crowd.statuses(), [(200, 200)].into(), "{form}");
        assert_eq!(crowd.bodies(), [(body, 200)].into(), "{form}");
        assert_eq!(crowd.workers().len(), 2, "{form}: {:?}", crowd.workers());
        assert!(crowd.slowest() < PATIENCE, "{form}: {:?}", crowd.slowest());
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
        site.nginx.finish();
    }
}

#[test]
fn waiters_are_woken_not_polled() {
    let site = Site::new().spread().start();
    let mut times = Vec::new();
    for number in 0..5 {
        let path = format!("/{number}");
        let gate = Gate::new();
        site.backend.set(&path, Answer::ok("x").gate(&gate));
        let before = site.redis.calls("hmget");
        thread::scope(|scope| {
            let crowd = scope.spawn(|| site.crowd(20, &path));
            site.wait_for_waiters(19);
            // Who finds that a lock was released meanwhile, that of the round before, looks once more.
            assert!(
                holds_for(ms(200), || site.redis.calls("hmget") <= before + 22),
                "waiters look again and again"
            );
            let start = Instant::now();
            gate.open();
            assert_eq!(crowd.join().unwrap().statuses(), [(200, 20)].into());
            times.push(start.elapsed());
        });
        assert_eq!(site.backend.hits(&path), 1);
        site.wait_for_hit(&path);
    }
    // The best time tells, on a busy machine too.
    let best = times.iter().min().unwrap();
    assert!(*best < ms(150), "{times:?} behind the backend");
}

#[test]
fn a_large_body_is_shared_by_the_clients_of_both_workers() {
    let site = Site::new().spread().start();
    let body = pattern(3_000_000, 2);
    let answer = Answer::ok(body.clone())
        .delay(ms(100))
        .pause_at(1_000_000, ms(100));
    site.backend.set("/x", answer);
    let crowd = site.crowd(20, "/x");
    assert!(crowd.answers().iter().all(|response| response.body == body));
    assert_eq!(site.backend.hits("/x"), 1);
}

#[test]
fn a_waiter_of_the_same_worker_reads_along_as_the_answer_streams() {
    for (form, site) in Site::forms() {
        let site = site.workers(1).start();
        let gate = Gate::new();
        let body = pattern(200_000, 3);
        site.backend
            .set("/x", Answer::ok(body.clone()).gate_at(100_000, &gate));
        let (mut first, mut second) = (site.client(), site.client());
        first.send(&Request::get("/x")).unwrap();
        let mut answer = first.receive_header().unwrap();
        first.receive_until(&mut answer, 50_000).unwrap();
        second.send(&Request::get("/x")).unwrap();
        let mut shared = second.receive_header().unwrap();
        second.receive_until(&mut shared, 50_000).unwrap();
        assert!(!gate.is_open() && !shared.complete, "{form}");
        gate.open();
        first.receive_rest(&mut answer).unwrap();
        second.receive_rest(&mut shared).unwrap();
        assert!(answer.body == body && shared.body == body, "{form}");
        assert_eq!(
            (answer.word().as_str(), shared.word().as_str()),
            ("STORE", "HIT"),
            "{form}"
        );
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
    }
}

#[test]
fn an_answer_that_cannot_be_stored_releases_its_waiters_side_by_side() {
    let answers = [
        (
            "no-store",
            Answer::ok("x").header("Cache-Control", "no-store"),
        ),
        (
            "private",
            Answer::ok("x").header("Cache-Control", "private"),
        ),
        ("cookie", Answer::ok("x").header("Set-Cookie", "a=1")),
        ("404", Answer::of(404, "x")),
        ("500", Answer::of(500, "x")),
    ];
    let site = Site::new().spread().start();
    for (name, answer) in answers {
        let path = format!("/{name}");
        let status = name.parse().unwrap_or(200);
        let (first, others) = (Gate::new(), Gate::new());
        let gates = [first.clone(), others.clone()];
        site.backend.script(&path, move |_, nth| {
            answer.clone().gate(&gates[usize::from(nth > 1)])
        });
        let crowd = thread::scope(|scope| {
            let crowd = scope.spawn(|| site.crowd(50, &path));
            site.wait_for_waiters(49);
            site.backend.wait_for_hits(&path, 1);
            assert_eq!(site.backend.hits(&path), 1, "{name}");
            first.open();
            // One or two may have come too late to be released with the others.
            wait_for("the others side by side", PATIENCE, || {
                site.backend.under_way(&path) > 40
            });
            others.open();
            crowd.join().unwrap()
        });
        assert_eq!(crowd.statuses(), [(status, 50)].into(), "{name}");
        assert_eq!(crowd.words(), [("SKIP".to_owned(), 50)].into(), "{name}");
        assert_eq!(crowd.bodies(), [(b"x".to_vec(), 50)].into(), "{name}");
        assert!(site.redis.keys().is_empty(), "{name}");
    }
}

#[test]
fn a_backend_that_fails_releases_its_waiters() {
    let mut site = Site::new().spread().start();
    site.backend
        .set("/reset", Answer::ok("").delay(ms(200)).reset());
    let crowd = site.crowd(20, "/reset");
    assert_eq!(crowd.statuses(), [(502, 20)].into());
    assert!(
        crowd.answers().iter().all(|answer| !answer.body.is_empty()),
        "nginx's own error page"
    );
    site.backend.stop();
    let crowd = site.crowd(20, "/down");
    assert_eq!(crowd.statuses(), [(502, 20)].into());
    assert!(crowd.slowest() < ms(10_000), "{:?}", crowd.slowest());
    assert!(site.redis.keys().is_empty());
}

#[test]
fn one_waiter_goes_to_the_backend_for_each_lock_timeout() {
    for (form, site) in [
        (
            "directive",
            Site::new().location("redis_cache_lock_timeout 400ms;"),
        ),
        // It wins over the directive, which says 20 s.
        (
            "variable",
            Site::seed().location("set $cache_lock_timeout 0.4;"),
        ),
    ] {
        let site = site.spread().start();
        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("x").gate(&gate));
        thread::scope(|scope| {
            let start = Instant::now();
            let waiting = scope.spawn(|| site.crowd(20, "/x"));
            site.backend.wait_for_hits("/x", 4);
            gate.open();
            let crowd = waiting.join().unwrap();
            let requests = site.backend.requests("/x");
            for (turn, request) in (0..).zip(&requests) {
                let (passed, due) = (request.at - start, ms(400) * turn);
                // nginx's clock has ticks of some milliseconds.
                assert!(
                    passed + ms(20) >= due && passed < due + ms(10_000),
                    "{form}: one waiter for each timeout: turn {turn} after {passed:?}, due at {due:?}"
                );
            }
            let words = crowd.words();
            assert_eq!(words.get("STORE"), Some(&1), "{form}: {words:?}");
            assert_eq!(words["SKIP"], requests.len() - 1, "{form}: {words:?}");
            assert_eq!(words.values().sum::<usize>(), 20, "{form}: {words:?}");
            assert_eq!(crowd.bodies(), [(b"x".to_vec(), 20)].into(), "{form}");
        });
    }
}

#[test]
fn a_subscriber_that_has_its_header_never_times_out() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_lock_timeout 200ms;")
        .start();
    let gate = Gate::new();
    site.backend
        .set("/x", Answer::ok(pattern(100_000, 4)).gate_at(50_000, &gate));
    let (mut first, mut second) = (site.client(), site.client());
    first.send(&Request::get("/x")).unwrap();
    let mut answer = first.receive_header().unwrap();
    second.send(&Request::get("/x")).unwrap();
    let mut shared = second.receive_header().unwrap();
    assert!(holds_for(ms(700), || site.backend.hits("/x") == 1));
    gate.open();
    first.receive_rest(&mut answer).unwrap();
    second.receive_rest(&mut shared).unwrap();
    assert!(answer.body == shared.body && shared.complete && shared.word() == "HIT");
}

#[test]
fn keys_do_not_wait_for_each_other() {
    let site = Site::new().start();
    let gate = Gate::new();
    site.backend.set("/held", Answer::ok("held").gate(&gate));
    let mut held = site.client();
    held.send(&Request::get("/held")).unwrap();
    site.backend.wait_for_hits("/held", 1);
    let others = crowd(site.address(), 50, |number| {
        Request::get(&format!("/{number}"))
    });
    assert_eq!(others.words(), [("STORE".to_owned(), 50)].into());
    assert!(others.slowest() < ms(10_000), "{:?}", others.slowest());
    gate.open();
    assert_eq!(held.receive().unwrap().text(), "held");
}

#[test]
fn waiters_that_leave_hurt_nobody() {
    let site = Site::new().spread().start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("x").gate(&gate));
    let mut clients: Vec<_> = (0..40).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send(&Request::get("/x")).unwrap();
    }
    site.backend.wait_for_hits("/x", 1);
    // Whoever filled is among those that leave, or not: it makes no difference.
    let rest = clients.split_off(20);
    clients.into_iter().for_each(testbed::Client::reset);
    assert!(holds_for(ms(100), || site.backend.hits("/x") == 1));
    gate.open();
    for mut client in rest {
        let answer = client.receive().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "x"));
    }
    assert_eq!(
        (
            site.backend.hits("/x"),
            site.wait_for_hit("/x").text().as_str()
        ),
        (1, "x")
    );
    site.nginx.finish();
}

#[test]
fn a_lock_whose_worker_was_killed_is_free_whatever_its_age() {
    let settings = "redis_cache_lock_age 60s; redis_cache_lock_timeout 60s;";
    let mut site = Site::new().location(settings).start();
    site.backend
        .set_each("/x", vec![Answer::ok("x").hang_at(0), Answer::ok("x")]);
    let probe = site.get("/probe");
    let worker = probe.header("x-worker").unwrap().parse().unwrap();
    // The worker that accepts is the kernel's choice: the fill is somebody's, and both are killed.
    let mut first = site.client();
    first.send(&Request::get("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    let workers = site.nginx.workers();
    assert!(workers.contains(&worker));
    for worker in workers {
        site.nginx.kill_worker(worker);
    }
    let answer = eventually(PATIENCE, || {
        let answer = site.client().exchange(&Request::get("/x")).ok()?;
        (answer.status == 200).then_some(answer)
    });
    let answer = answer.expect("an answer, since the lock is free");
    assert_eq!(answer.text(), "x");
    assert!(answer.last_byte < ms(8000), "{:?}", answer.last_byte);
}
