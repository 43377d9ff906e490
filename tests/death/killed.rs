//! kill -9 of the worker that owns a fill.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use testbed::{
    Answer, Client, Ending, Gate, PATIENCE, Request, Rule, Site, Way, Zone, holds_for, ms, pattern,
    wait_for,
};

use crate::{LOCKS, SOON, no_lock_stays, sides};

#[test]
fn waiters_take_over_from_a_worker_that_was_killed() {
    for (form, site) in Site::forms() {
        let mut site = site.spread().location(LOCKS).start();
        let started = pattern(100_000, 1);
        let fates = [
            (
                "before the header",
                Answer::ok("never").hang_at(0).delay(ms(60_000)),
            ),
            ("after the header", Answer::ok(started.clone()).hang_at(0)),
            (
                "within the body",
                Answer::ok(started.clone()).hang_at(50_000),
            ),
        ];
        for (fate, first) in fates {
            let path = format!("/{}", fate.replace(' ', "-"));
            site.backend
                .set_each(&path, vec![first, Answer::ok(started.clone())]);
            let mut sides = sides(&site, 12);
            let mut filler = sides.ours.pop().unwrap();
            filler.send(&Request::get(&path)).unwrap();
            site.backend.wait_for_hits(&path, 1);
            for client in &mut sides.theirs {
                client.send(&Request::get(&path)).unwrap();
            }
            site.wait_for_waiters(12);
            let start = Instant::now();
            site.nginx.kill_worker(sides.owner);
            for client in &mut sides.theirs {
                let answer = client.receive().unwrap();
                assert!(
                    answer.status == 200 && answer.body == started,
                    "{form} {fate}"
                );
            }
            let took = start.elapsed();
            println!("{form}, killed {fate}: waiters answered after {took:?}");
            assert!(took < SOON, "{form} {fate}: {took:?}");
            assert_eq!(site.backend.hits(&path), 2, "{form} {fate}");
            wait_for("another worker", PATIENCE, || {
                site.nginx.workers().len() == 2
            });
            site.backend.set(&path, Answer::ok(started.clone()));
            no_lock_stays(fate, &site, &path);
        }
    }
}

#[test]
fn a_worker_killed_during_its_store_leaves_no_lock() {
    let (mut site, proxy) = Site::new()
        .spread()
        .location(LOCKS)
        .store("read_timeout 20s; send_timeout 20s;")
        .start_behind_a_proxy();
    let body = pattern(500_000, 2);
    let mut sides = sides(&site, 8);
    let gate = Gate::new();
    site.backend
        .set("/x", Answer::ok(body.clone()).gate_at(100_000, &gate));
    let mut filler = sides.ours.pop().unwrap();
    filler.send(&Request::get("/x")).unwrap();
    let mut answer = filler.receive_header().unwrap();
    for client in &mut sides.theirs {
        client.send(&Request::get("/x")).unwrap();
    }
    site.wait_for_waiters(8);
    // The store's first bytes reach Redis, the rest doesn't.
    let held = Gate::new();
    let holding = held.clone();
    proxy.set(
        Way::Commands,
        Rule::new(move |piece| {
            let first = piece.bytes.len().min(100);
            vec![
                testbed::Step::Send(piece.bytes[..first].to_vec()),
                testbed::Step::Hold(holding.clone()),
            ]
        }),
    );
    let before = proxy.passed(Way::Commands);
    gate.open();
    filler.receive_rest(&mut answer).unwrap();
    assert!(answer.complete && answer.body == body);
    proxy.wait_for_bytes(Way::Commands, before, 1000);
    let start = Instant::now();
    proxy.set(Way::Commands, Rule::pass());
    site.nginx.kill_worker(sides.owner);
    for client in &mut sides.theirs {
        let answer = client.receive().unwrap();
        assert!(answer.status == 200 && answer.body == body);
    }
    let took = start.elapsed();
    println!("killed during the store: {took:?}");
    assert!(took < SOON, "{took:?}");
    held.open();
    wait_for("another worker", PATIENCE, || {
        site.nginx.workers().len() == 2
    });
    no_lock_stays("store", &site, "/x");
}

#[test]
fn a_worker_killed_during_a_refill_leaves_no_lock() {
    let mut site = Site::new().spread().location(LOCKS).start();
    site.fill_and_age("/x");
    site.backend
        .set_each("/x", vec![Answer::ok("old").hang_at(0), Answer::ok("new")]);
    let mut sides = sides(&site, 2);
    assert_eq!(sides.ours[0].get("/x").word(), "STALE");
    site.backend.wait_for_hits("/x", 2);
    assert_eq!(sides.theirs[0].get("/x").happened(), "UPDATING");
    site.nginx.kill_worker(sides.owner);
    let start = Instant::now();
    wait_for("the refill by another worker", PATIENCE, || {
        let answer = sides.theirs[0].get("/x");
        assert_eq!(answer.status, 200);
        answer.text() == "new"
    });
    let took = start.elapsed();
    println!("refilled after {took:?}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_lock_without_waiters_is_free_at_once_when_its_worker_was_killed() {
    let mut site = Site::new().spread().location(LOCKS).start();
    for turn in 0..3 {
        let path = format!("/{turn}");
        site.backend
            .set_each(&path, vec![Answer::ok("x").hang_at(0), Answer::ok("x")]);
        let mut sides = sides(&site, 1);
        sides.ours[0].send(&Request::get(&path)).unwrap();
        site.backend.wait_for_hits(&path, 1);
        site.nginx.kill_worker(sides.owner);
        let answer = sides.theirs[0].get(&path);
        assert_eq!(answer.text(), "x");
        println!("taken over after {:?}", answer.last_byte);
        assert!(answer.last_byte < SOON, "{:?}", answer.last_byte);
        wait_for("another worker", PATIENCE, || {
            site.nginx.workers().len() == 2
        });
    }
}

/// nginx's master frees the mutex of a worker that dies with it.
#[test]
fn a_worker_killed_while_it_holds_the_mutex_of_the_zone() {
    let mut site = Site::new().spread().location(LOCKS).start();
    site.fill("/hit");
    for turn in 0..3 {
        let sides = sides(&site, 3);
        let killed = site.nginx.freeze_worker(sides.owner);
        wait_for("the mutex", PATIENCE, || {
            Zone::lock_in_the_name_of(sides.owner)
        });
        let mut clients = sides.theirs;
        // A miss and a fill need the mutex: the other worker waits for it as it is.
        clients[0]
            .send(&Request::get(&format!("/miss/{turn}")))
            .unwrap();
        let waits = || site.backend.hits(&format!("/miss/{turn}")) == 0;
        assert!(holds_for(ms(200), waits), "{turn}: who has the mutex?");
        let start = Instant::now();
        site.nginx.kill_worker(sides.owner);
        drop(killed);
        clients[1].send(&Request::get("/hit")).unwrap();
        let miss = clients[0].receive().unwrap();
        assert_eq!((miss.status, miss.word().as_str()), (200, "STORE"));
        assert_eq!(clients[1].receive().unwrap().word(), "HIT");
        assert!(start.elapsed() < SOON, "{turn}: {:?}", start.elapsed());
        wait_for("another worker", PATIENCE, || {
            site.nginx.workers().len() == 2
        });
        // The new one can have it, too, and the table is as it was.
        for number in 0..10 {
            assert_eq!(site.get(&format!("/{turn}/{number}")).word(), "STORE");
        }
        no_lock_stays("mutex", &site, &format!("/miss/{turn}"));
        site.wait_for_quiet_zone();
    }
    site.nginx.finish();
}

#[test]
fn all_workers_killed_again_and_again_under_load() {
    let mut site = Site::new().location(LOCKS).start();
    site.backend
        .set_otherwise(Answer::ok(pattern(30_000, 3)).delay(ms(20)));
    let (address, over) = (site.address(), AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let _ending = Ending::raises(&over);
        for client in 0..6 {
            let (over, answered) = (&over, &answered);
            scope.spawn(move || {
                for turn in (client..).step_by(6) {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let request = Request::get(&format!("/{}", turn % 40));
                    // Connections of the killed end; nothing else may.
                    let Ok(mut client) = Client::try_connect(address) else {
                        continue;
                    };
                    let Ok(answer) = client.exchange(&request) else {
                        continue;
                    };
                    if answer.complete {
                        assert!(answer.status == 200 && answer.body == pattern(30_000, 3));
                        assert!(answer.last_byte < SOON, "{:?}", answer.last_byte);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        for round in 0..10 {
            let before = answered.load(Ordering::SeqCst);
            wait_for("fifty answers", PATIENCE, || {
                answered.load(Ordering::SeqCst) >= before + 50
            });
            let workers = site.nginx.workers();
            let _: i64 = site.redis.command(&["DEL", "/1", "/2", "/3", "/4"]);
            for worker in workers.into_iter().take(1 + round % 2) {
                site.nginx.kill_worker(worker);
            }
            wait_for("the workers", PATIENCE, || site.nginx.workers().len() == 2);
        }
    });
    let _: String = site.redis.command(&["FLUSHALL"]);
    for key in 0..40 {
        let answer = site.get(&format!("/{key}"));
        assert!(answer.last_byte < SOON, "/{key}: {:?}", answer.last_byte);
    }
    assert!(site.redis.keys_without_expiry().is_empty());
}
