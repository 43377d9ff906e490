//! Clients and workers that go while an exchange with the store is under way.

use std::thread;

use testbed::{Answer, Gate, PATIENCE, Redis, Request, ms, wait_for};

use crate::{forms, over, start};

#[test]
fn a_client_that_leaves_stops_neither_its_fill_nor_the_store() {
    let (site, _bridge) = start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("whole").gate(&gate));
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    client.reset();
    gate.open();
    assert_eq!(site.redis.wait_for_record("/x").body, b"whole");
    assert_eq!(site.get("/x").word(), "HIT");
}

#[test]
fn a_client_that_leaves_ends_its_lookup() {
    let (site, bridge) = start();
    let gate = Gate::new();
    bridge.hold_at(&gate);
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    wait_for("the lookup", PATIENCE, || bridge.under_way() == 1);
    client.reset();
    // Long before nginx gives up a store that says nothing.
    wait_for("the end of the lookup", ms(5000), || {
        bridge.under_way() == 0
    });
    gate.open();
    assert_eq!(site.backend.all_hits(), 0);
    site.nginx.finish();
}

#[test]
fn a_reload_and_a_quit_wait_for_the_store() {
    let (mut site, bridge) = start();
    for round in 0..2 {
        let path = format!("/{round}");
        let gate = Gate::new();
        let backend = Gate::new();
        site.backend.set(&path, Answer::ok("x").gate(&backend));
        let mut client = site.client();
        client.send(&Request::get(&path)).unwrap();
        site.backend.wait_for_hits(&path, 1);
        bridge.hold_at(&gate);
        backend.open();
        assert_eq!(client.receive().unwrap().word(), "STORE");
        drop(client);
        wait_for("the store", PATIENCE, || bridge.under_way() >= 1);
        let opener = thread::spawn({
            let gate = gate.clone();
            move || {
                thread::sleep(ms(300));
                gate.open();
            }
        });
        if round == 0 {
            let old = site.nginx.reload();
            site.nginx.wait_for_exit(&old, PATIENCE);
        } else {
            site.nginx.quit();
            assert!(site.nginx.wait(PATIENCE).is_some());
        }
        opener.join().unwrap();
        assert!(site.redis.get(&path).is_some(), "{path}");
    }
}

#[test]
fn exchanges_leave_no_connection_behind() {
    let [(_, site), _] = forms();
    let status = "location = /status { stub_status; }";
    let (site, bridge) = over(&site.workers(1).locations(status), Redis::start());
    let active = || {
        let text = site.get("/status").text();
        let number = text.split_whitespace().nth(2).map(str::parse::<usize>);
        number.and_then(Result::ok).unwrap()
    };
    // The connection by which the bed saw that nginx is up may not have ended yet.
    wait_for("the only connection", PATIENCE, || active() == 1);
    for number in 0..300 {
        assert_eq!(site.get(&format!("/{}", number % 150)).status, 200);
    }
    let gate = Gate::new();
    bridge.hold_at(&gate);
    for number in 0..50 {
        let mut client = site.client();
        client.send(&Request::get(&format!("/{number}"))).unwrap();
        wait_for("the lookup", PATIENCE, || bridge.under_way() == 1);
        client.reset();
        wait_for("its end", PATIENCE, || bridge.under_way() == 0);
    }
    gate.open();
    wait_for("the end of all connections", PATIENCE, || active() == 1);
    site.nginx.finish();
}
