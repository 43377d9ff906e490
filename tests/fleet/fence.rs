//! A fill under way on one machine while another invalidates its key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use testbed::{
    Answer, Ending, Gate, PATIENCE, Proxy, Redis, Request, Rule, Site, Step, Way, ms, wait_for,
};

use super::{Machines, PATIENT, put};

/// The first answer is old and waits at the gate; later ones are new.
fn old_then_new(
    gate: &Gate,
) -> impl Fn(&testbed::Received, usize) -> Answer + Send + Sync + 'static {
    let gate = gate.clone();
    move |request, nth| match (request.method.as_str(), nth) {
        ("GET", 1) => Answer::ok("old").gate_at(1, &gate),
        ("GET", _) => Answer::ok("new"),
        _ => Answer::of(204, ""),
    }
}

/// Keys whose fences have names of each kind.
const PATHS: [&str; 3] = ["/x", "/x{tag}y", "/x}"];

#[test]
fn what_it_brings_is_not_stored_and_nobody_joins_it() {
    for (store, machines) in Machines::of_each_store() {
        for path in PATHS {
            let name = format!("{store} {path}");
            let gate = Gate::new();
            machines.a.backend.script(path, old_then_new(&gate));
            let mut first = machines.client_of_b();
            first.send(&Request::get(path)).unwrap();
            machines.a.backend.wait_for_hits(path, 1);
            let hears = machines.bridge.is_none();
            if hears {
                machines.wait_for_listeners(1);
            }
            assert_eq!(machines.a.ask(&put(path)).status, 204, "{name}");
            if hears {
                machines.wait_until_b_is_free();
                assert_eq!(machines.client_of_b().get(path).text(), "new", "{name}");
            }
            assert_eq!(machines.a.get(path).text(), "new", "{name}");
            wait_for("the new record", PATIENCE, || {
                machines.stored(path).as_deref() == Some(b"new")
            });
            gate.open();
            assert_eq!(first.receive().unwrap().text(), "old", "{name}");
            machines.wait_for_fill_of_b(path, "invalidated meanwhile");
            assert_eq!(
                machines.stored(path).as_deref(),
                Some(&b"new"[..]),
                "{name}"
            );
            assert_eq!(machines.a.get(path).text(), "new", "{name}");
            assert_eq!(machines.client_of_b().get(path).text(), "new", "{name}");
        }
        machines.finish();
    }
}

#[test]
fn nor_is_it_where_nothing_is_stored_since() {
    for (store, machines) in Machines::of_each_store() {
        let gate = Gate::new();
        machines.a.backend.script("/x", old_then_new(&gate));
        let mut first = machines.client_of_b();
        first.send(&Request::get("/x")).unwrap();
        machines.a.backend.wait_for_hits("/x", 1);
        assert_eq!(machines.a.ask(&put("/x")).status, 204);
        gate.open();
        assert_eq!(first.receive().unwrap().text(), "old");
        machines.wait_for_fill_of_b("/x", "invalidated meanwhile");
        assert_eq!(machines.stored("/x"), None, "{store}");
        assert_eq!(machines.client_of_b().get("/x").text(), "new", "{store}");
        machines.wait_for_fill_of_b("/x", "stored");
        assert_eq!(machines.a.get("/x").text(), "new", "{store}");
        // And once more: the fence of before permits it.
        assert_eq!(
            machines.stored("/x").as_deref(),
            Some(&b"new"[..]),
            "{store}"
        );
        machines.finish();
    }
}

#[test]
fn what_it_has_stored_before_is_gone() {
    for (store, machines) in Machines::of_each_store() {
        let gate = Gate::new();
        gate.open();
        machines.a.backend.script("/x", old_then_new(&gate));
        assert_eq!(machines.client_of_b().get("/x").text(), "old");
        machines.wait_for_fill_of_b("/x", "stored");
        assert_eq!(machines.a.get("/x").text(), "old");
        assert_eq!(machines.a.ask(&put("/x")).status, 204);
        assert_eq!(machines.stored("/x"), None, "{store}");
        assert_eq!(machines.client_of_b().get("/x").text(), "new", "{store}");
        assert_eq!(machines.a.get("/x").text(), "new", "{store}");
        machines.finish();
    }
}

/// The write is on its way from B when the invalidation by A overtakes it.
#[test]
fn a_write_that_was_overtaken_is_refused() {
    let redis = Redis::start();
    let proxy = Proxy::start(&redis.address());
    let a = Site::new().store(PATIENT);
    let b = a.clone().store(&format!("server {};", proxy.address()));
    let machines = Machines::with(&a, &b, redis);
    let (gate, held) = (Gate::new(), Gate::new());
    proxy.set(Way::Commands, {
        let (gate, held) = (gate.clone(), held.clone());
        Rule::new(move |piece| {
            let send = Step::Send(piece.bytes.to_vec());
            if piece.bytes.windows(4).any(|word| word == b"HSET") {
                held.open();
                vec![Step::Hold(gate.clone()), send]
            } else {
                vec![send]
            }
        })
    });
    assert_eq!(machines.client_of_b().get("/x").word(), "STORE");
    wait_for("the write to be on its way", PATIENCE, || held.is_open());
    assert_eq!(machines.a.ask(&put("/x")).status, 200);
    gate.open();
    machines.wait_for_fill_of_b("/x", "invalidated meanwhile");
    assert_eq!(machines.stored("/x"), None);
    machines.finish();
}

#[test]
fn nor_is_a_refill_behind_a_client() {
    let machines = Machines::start(&Site::new().store(PATIENT));
    machines.a.fill_and_age("/x");
    machines.a.backend.forget();
    let gate = Gate::new();
    machines.a.backend.script("/x", old_then_new(&gate));
    assert_eq!(machines.client_of_b().get("/x").word(), "STALE");
    machines.a.backend.wait_for_hits("/x", 1);
    assert_eq!(machines.a.ask(&put("/x")).status, 204);
    gate.open();
    machines.wait_for_fill_of_b("/x", "invalidated meanwhile");
    assert_eq!(machines.stored("/x"), None);
    machines.finish();
}

#[test]
fn nor_is_one_without_a_lock_or_of_a_variant() {
    let site = Site::new()
        .store(PATIENT)
        .location("redis_cache_bypass $http_x_fresh;");
    let machines = Machines::start(&site);
    let gate = Gate::new();
    machines.a.backend.script("/x", {
        let gate = gate.clone();
        move |request, _| match request.method.as_str() {
            "GET" => Answer::ok("old").header("Vary", "X-Kind").gate_at(1, &gate),
            _ => Answer::of(204, ""),
        }
    });
    let fresh = Request::get("/x").header("X-Fresh", "1");
    let kinds = ["one", "two", "three"];
    let mut clients: Vec<_> = kinds.iter().map(|_| machines.client_of_b()).collect();
    for (client, kind) in clients.iter_mut().zip(kinds) {
        client.send(&fresh.clone().header("X-Kind", kind)).unwrap();
    }
    machines.a.backend.wait_for_hits("/x", 3);
    assert_eq!(machines.a.ask(&put("/x")).status, 204);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().text(), "old");
    }
    wait_for("all fills to end", PATIENCE, || {
        let line = "invalidated meanwhile";
        machines.b.log().matching(Default::default(), line).len() == 3
    });
    assert_eq!(machines.stored("/x"), None);
    machines.finish();
}

#[test]
fn another_key_is_filled_as_ever() {
    let machines = Machines::start(&Site::new().store(PATIENT));
    let gate = Gate::new();
    machines
        .a
        .backend
        .set("/x", Answer::ok("xyz").gate_at(1, &gate));
    let mut client = machines.client_of_b();
    client.send(&Request::get("/x")).unwrap();
    machines.a.backend.wait_for_hits("/x", 1);
    assert_eq!(machines.a.ask(&put("/y")).status, 200);
    gate.open();
    assert_eq!(client.receive().unwrap().text(), "xyz");
    machines.wait_for_fill_of_b("/x", "stored");
    machines.finish();
}

/// Fills of both machines all the time, and changes on one of them: no record in the store is older than the last change
/// that was answered.
#[test]
fn no_record_is_older_than_the_last_change() {
    let site = Site::new()
        .store(PATIENT)
        .spread()
        .location("redis_cache_bypass $http_x_fresh;");
    let machines = Machines::start(&site);
    let version = Arc::new(AtomicUsize::new(0));
    machines.a.backend.script("/x", {
        let version = Arc::clone(&version);
        move |request, _| {
            if request.method == "PUT" {
                return Answer::ok((version.fetch_add(1, Ordering::SeqCst) + 1).to_string());
            }
            let now = version.load(Ordering::SeqCst).to_string();
            Answer::ok(now).delay(ms(5))
        }
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (over, _ending) = (&over, Ending::raises(&over));
        for number in 0..4 {
            let mut client = if number % 2 == 0 {
                machines.client_of_b()
            } else {
                machines.a.client()
            };
            scope.spawn(move || {
                let fresh = Request::get("/x").header("X-Fresh", "1");
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(client.ask(&fresh).status, 200);
                }
            });
        }
        let mut client = machines.a.client();
        for turn in 1..=60 {
            assert_eq!(client.ask(&put("/x")).text(), turn.to_string());
            for _ in 0..10 {
                if let Some(body) = machines.stored("/x") {
                    let stored = String::from_utf8(body).unwrap();
                    assert_eq!(stored, turn.to_string());
                }
                thread::sleep(ms(2));
            }
        }
    });
    machines.finish();
}

/// Slots that move have a key and its fence at two nodes.
#[test]
fn while_the_slot_moves_too() {
    for (name, machines) in Machines::of_each_store() {
        let Some(cluster) = &machines.cluster else {
            continue;
        };
        let path = cluster.key_at(0, "/moving/");
        let slot = testbed::slot_of(path.as_bytes());
        // With a record that has stayed behind, or none.
        for stays in [false, true] {
            let gate = Gate::new();
            machines.a.backend.forget();
            machines.a.backend.script(&path, old_then_new(&gate));
            if stays {
                cluster.put(&path, &testbed::Record::lua_text("old"), 600);
                cluster.command_for::<i64>(&path, &["PEXPIRE", &path, "50000"]);
            }
            let moving = cluster.moving(slot, 1);
            moving.open();
            let mut first = machines.client_of_b();
            first.send(&Request::get(&path)).unwrap();
            machines.a.backend.wait_for_hits(&path, 1);
            assert_eq!(machines.a.ask(&put(&path)).status, 204, "{name}");
            gate.open();
            assert_eq!(first.receive().unwrap().text(), "old");
            wait_for("the end of the fill", PATIENCE, || {
                let line = "invalidated meanwhile";
                let fills = machines.b.log().matching(Default::default(), line).len();
                fills == 1 + usize::from(stays)
            });
            assert_eq!(machines.a.get(&path).text(), "new", "{name}");
            wait_for("the new record", PATIENCE, || {
                machines.a.get(&path).word() == "HIT"
            });
            assert_eq!(machines.client_of_b().get(&path).text(), "new", "{name}");
            while moving.keys(10) > 0 {}
            moving.close();
            cluster.wait_until_agreed();
            assert_eq!(machines.client_of_b().get(&path).text(), "new", "{name}");
            cluster.move_slots(slot..=slot, 0);
            cluster.wait_until_agreed();
            cluster.flush_all();
        }
        machines.finish();
        return;
    }
}
