//! Connections that stop or end: in a lookup, in a store, at any moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use testbed::{Answer, Gate, PATIENCE, Request, Rule, Site, Way, holds_for, ms, pattern, wait_for};

use crate::{TIMEOUTS, behind, is_whole, recovers};

#[test]
fn a_reply_that_stops_in_its_middle() {
    let (site, proxy) = behind(Site::new().workers(1), TIMEOUTS);
    let body = pattern(500_000, 4);
    site.backend.set("/x", Answer::ok(body.clone()));
    for bytes in [0_usize, 1, 5, 60, 1000, 250_000, 500_000] {
        site.fill("/x");
        let gate = Gate::new();
        let passed = AtomicUsize::new(0);
        let held = gate.clone();
        proxy.set(
            Way::Replies,
            Rule::new(move |piece| {
                let before = passed.fetch_add(piece.bytes.len(), Ordering::SeqCst);
                let now = bytes.saturating_sub(before).min(piece.bytes.len());
                vec![
                    testbed::Step::Send(piece.bytes[..now].to_vec()),
                    testbed::Step::Hold(held.clone()),
                ]
            }),
        );
        let answer = site.get("/x");
        is_whole(&format!("stopped after {bytes}"), &answer, &body);
        assert!(answer.last_byte < ms(4000), "{:?}", answer.last_byte);
        gate.open();
        recovers(&format!("stopped after {bytes}"), &site, &proxy, "/x");
        let _: i64 = site.redis.command(&["DEL", "/x"]);
    }
}

#[test]
fn a_connection_cut_in_the_middle_of_a_record() {
    let (site, proxy) = behind(Site::new().workers(1), "");
    let body = pattern(1_000_000, 5);
    site.backend.set("/x", Answer::ok(body.clone()));
    for bytes in [0, 1, 4, 30, 200, 70_000, 999_000] {
        for (name, rule) in [
            ("cut", Rule::cut_once(bytes)),
            ("reset", Rule::reset_once(bytes)),
        ] {
            site.fill("/x");
            proxy.set(Way::Replies, rule);
            let answer = site.get("/x");
            is_whole(&format!("{name} at {bytes}"), &answer, &body);
            recovers(&format!("{name} at {bytes}"), &site, &proxy, "/x");
            let _: i64 = site.redis.command(&["DEL", "/x"]);
        }
    }
}

#[test]
fn a_connection_cut_in_the_middle_of_a_store() {
    let (site, proxy) = behind(Site::new().spread(), "");
    let body = pattern(2_000_000, 6);
    for bytes in [0, 100, 700, 65_536, 1_000_000, 1_999_000] {
        let path = format!("/{bytes}");
        let gate = Gate::new();
        let answer = Answer::ok(body.clone()).gate_at(1_000_000, &gate);
        site.backend.set(&path, answer);
        let (mut client, mut other) = (site.client(), site.client());
        client.send(&Request::get(&path)).unwrap();
        let mut answer = client.receive_header().unwrap();
        let before = site.redis.calls("hmget");
        other.send(&Request::get(&path)).unwrap();
        wait_for("the other one's lookup", PATIENCE, || {
            site.redis.calls("hmget") > before
        });
        proxy.set(Way::Commands, Rule::reset_once(bytes));
        gate.open();
        client.receive_rest(&mut answer).unwrap();
        is_whole(&path, &answer, &body);
        is_whole(&path, &other.receive().unwrap(), &body);
        if let Some(record) = site.redis.get(&path) {
            assert!(record.body == body, "{path}: half a record");
        }
        recovers(&path, &site, &proxy, &path);
        assert!(site.redis.get(&path).unwrap().body == body, "{path}");
    }
}

#[test]
fn a_store_that_is_never_acknowledged_holds_up_nobody() {
    let timeouts = "connect_timeout 3s; send_timeout 3s; read_timeout 3s;";
    let (site, proxy) = behind(Site::new().spread(), timeouts);
    let body = pattern(300_000, 7);
    let gate = Gate::new();
    let answer = Answer::ok(body.clone()).gate_at(100_000, &gate);
    site.backend.set("/x", answer);
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    let mut answer = client.receive_header().unwrap();
    let held = Gate::new();
    proxy.set(Way::Replies, Rule::hold(&held));
    let start = Instant::now();
    gate.open();
    client.receive_rest(&mut answer).unwrap();
    let took = start.elapsed();
    assert!(took < ms(2000), "the client waited for the store: {took:?}");
    is_whole("/x", &answer, &body);
    for _ in 0..6 {
        let answer = site.get("/x");
        is_whole("/x", &answer, &body);
        assert!(answer.last_byte < ms(8000), "{:?}", answer.last_byte);
    }
    held.open();
    recovers("unacknowledged", &site, &proxy, "/x");
}

#[test]
fn redis_back_in_the_middle_of_a_fill() {
    for (form, site) in Site::forms() {
        let (site, proxy) = behind(site.spread(), TIMEOUTS);
        proxy.refuse();
        assert_eq!(site.get("/warm").status, 200);
        for number in 0..5 {
            let path = format!("/{number}");
            let gate = Gate::new();
            let body = pattern(100_000, number);
            let answer = Answer::ok(body.clone()).gate_at(30_000, &gate);
            site.backend.set(&path, answer);
            let mut clients: Vec<_> = (0..6).map(|_| site.client()).collect();
            for client in &mut clients {
                client.send(&Request::get(&path)).unwrap();
            }
            site.backend.wait_for_hits(&path, 1);
            proxy.heal();
            thread::sleep(ms(number * 150));
            gate.open();
            for client in &mut clients {
                is_whole(form, &client.receive().unwrap(), &body);
            }
            let hits = site.backend.hits(&path);
            assert!(hits <= 4, "{form}: {hits} requests of two workers");
            recovers(form, &site, &proxy, &path);
            proxy.refuse();
        }
    }
}

#[test]
fn redis_lost_at_random_moments_of_a_load() {
    let (site, proxy) = behind(Site::new().spread(), TIMEOUTS);
    site.backend.script("/x", |_, nth| {
        Answer::ok(pattern(200_000, 8)).delay(ms(5 * (nth as u64 % 5)))
    });
    thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|client| {
                let site = &site;
                scope.spawn(move || {
                    for turn in 0..60 {
                        let path = format!("/x?{}", (turn * 7 + client) % 11);
                        let answer = site.get(&path);
                        is_whole(&path, &answer, &pattern(200_000, 8));
                        assert!(answer.last_byte < ms(8000), "{:?}", answer.last_byte);
                    }
                })
            })
            .collect();
        let mut turn = 0;
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            turn += 1;
            match turn % 4 {
                0 => proxy.cut(),
                1 => proxy.set(Way::Commands, Rule::reset_once(turn * 7919 % 300_000)),
                2 => proxy.set(Way::Replies, Rule::cut_once(turn * 104_729 % 300_000)),
                _ => proxy.refuse(),
            }
            thread::sleep(ms(60));
            proxy.heal();
            thread::sleep(ms(60));
        }
    });
    for key in 0..11 {
        recovers("afterwards", &site, &proxy, &format!("/x?{key}"));
    }
    site.nginx.finish();
}

#[test]
fn stale_records_during_trouble_of_their_refill() {
    let (site, proxy) = behind(Site::new(), TIMEOUTS);
    let body = pattern(400_000, 10);
    site.backend.set("/x", Answer::ok(body.clone()));
    site.fill_and_age("/x");
    for bytes in [0, 500, 100_000] {
        proxy.set(Way::Commands, Rule::pass());
        // The lookup is some 100 bytes: what comes after it is the store.
        proxy.set(Way::Commands, Rule::cut_once(300 + bytes));
        let answer = site.get("/x");
        assert_eq!(answer.word(), "STALE");
        is_whole("/x", &answer, &body);
        site.backend.wait_until_idle("/x");
        assert!(holds_for(ms(50), || site.redis.pttl("/x") != -1));
        let record = site.redis.get("/x").expect("the record");
        assert!(record.body == body);
        recovers("refill", &site, &proxy, "/x");
        site.make_stale("/x");
    }
}
