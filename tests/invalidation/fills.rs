//! Fills that were on their way when their key was invalidated: what they bring is not stored.

use testbed::{Answer, Gate, PATIENCE, Request, Rule, Site, Step, Way, holds_for, ms, wait_for};

use crate::put;

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

#[test]
fn a_fill_on_its_way_is_not_stored_and_nobody_joins_it() {
    for (form, site) in Site::forms() {
        for workers in [1, 2] {
            let site = site.clone().spread().workers(workers).start();
            let gate = Gate::new();
            site.backend.script("/x", old_then_new(&gate));
            let mut first = site.client();
            first.send(&Request::get("/x")).unwrap();
            site.backend.wait_for_hits("/x", 1);
            assert_eq!(site.ask(&put("/x")).status, 204);
            for _ in 0..8 {
                assert_eq!(site.get("/x").text(), "new", "{form} {workers}");
            }
            let key = site.key("/x");
            assert_eq!(site.redis.wait_for_record(&key).body, b"new");
            gate.open();
            assert_eq!(first.receive().unwrap().text(), "old", "{form} {workers}");
            let line = format!("fill of \"{key}\": invalidated meanwhile");
            let said = site
                .nginx
                .log()
                .wait_for(Default::default(), &line, PATIENCE);
            assert!(
                said.is_some(),
                "{form} {workers}: {}",
                site.nginx.log().tail(20)
            );
            assert_eq!(
                site.redis.get(&key).unwrap().body,
                b"new",
                "{form} {workers}"
            );
            assert_eq!(site.backend.hits("/x"), 3, "{form} {workers}");
        }
    }
}

#[test]
fn nor_is_a_refill_behind_a_client() {
    let site = Site::new().spread().start();
    let gate = Gate::new();
    site.fill_and_age("/x");
    site.backend.forget();
    site.backend.script("/x", old_then_new(&gate));
    assert_eq!(site.get("/x").word(), "STALE");
    site.backend.wait_for_hits("/x", 1);
    assert_eq!(site.ask(&put("/x")).status, 204);
    assert_eq!(site.redis.get("/x"), None);
    let position = site.nginx.log().end();
    gate.open();
    let line = "fill of \"/x\": invalidated meanwhile";
    assert!(
        site.nginx
            .log()
            .wait_for(position, line, PATIENCE)
            .is_some()
    );
    assert_eq!(site.redis.get("/x"), None);
    assert_eq!(site.get("/x").text(), "new");
}

#[test]
fn nor_is_one_without_a_lock() {
    let site = Site::new()
        .spread()
        .location("redis_cache_bypass $http_x_fresh;")
        .start();
    let gate = Gate::new();
    site.backend.script("/x", {
        let gate = gate.clone();
        move |request, _| match request.method.as_str() {
            "GET" => Answer::ok("old").gate_at(1, &gate),
            _ => Answer::of(204, ""),
        }
    });
    let fresh = Request::get("/x").header("X-Fresh", "1");
    let mut clients: Vec<_> = (0..5).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send(&fresh).unwrap();
    }
    site.backend.wait_for_hits("/x", 5);
    assert_eq!(site.ask(&put("/x")).status, 204);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().text(), "old");
    }
    wait_for("all fills to end", PATIENCE, || {
        let line = "invalidated meanwhile";
        site.nginx.log().matching(Default::default(), line).len() == 5
    });
    assert_eq!(site.redis.get("/x"), None);
}

#[test]
fn variants_go_with_their_key_and_those_on_their_way_are_not_joined() {
    let site = Site::new().workers(1).start();
    let gate = Gate::new();
    let of = |kind: &str| Request::get("/x").header("X-Kind", kind);
    site.backend.script("/x", {
        let gate = gate.clone();
        let puts = std::sync::Mutex::new(0);
        move |request, _| {
            if request.method == "PUT" {
                *puts.lock().unwrap() += 1;
                return Answer::of(204, "");
            }
            let (kind, turn) = (request.header("x-kind").unwrap(), *puts.lock().unwrap());
            let answer = Answer::ok(format!("{kind} {turn}")).header("Vary", "X-Kind");
            if (kind.as_str(), turn) == ("slow", 0) {
                answer.gate_at(1, &gate)
            } else {
                answer
            }
        }
    });
    let get = |kind: &str| site.ask(&of(kind)).text();
    assert_eq!((get("one"), get("two")), ("one 0".into(), "two 0".into()));
    wait_for("both variants", PATIENCE, || {
        ["one", "two"]
            .iter()
            .all(|kind| site.ask(&of(kind)).word() == "HIT")
    });
    let mut slow = site.client();
    let before = site.backend.hits("/x");
    slow.send(&of("slow")).unwrap();
    site.backend.wait_for_hits("/x", before + 1);
    assert_eq!(site.ask(&put("/x")).status, 204);
    assert_eq!((get("one"), get("two")), ("one 1".into(), "two 1".into()));
    wait_for("the new variants", PATIENCE, || {
        ["one", "two"]
            .iter()
            .all(|kind| site.ask(&of(kind)).word() == "HIT")
    });
    // Its lock is still that of the fill that began before the change.
    let mut late = site.client();
    late.send(&of("slow")).unwrap();
    assert!(holds_for(ms(100), || !gate.is_open()));
    gate.open();
    assert_eq!(slow.receive().unwrap().text(), "slow 0");
    assert_eq!(late.receive().unwrap().text(), "slow 1");
    assert_eq!((get("one"), get("slow")), ("one 1".into(), "slow 1".into()));
}

#[test]
fn another_key_is_filled_as_ever() {
    let site = Site::new().workers(1).start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("xyz").gate_at(1, &gate));
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    assert_eq!(site.ask(&put("/y")).status, 200);
    gate.open();
    assert_eq!(client.receive().unwrap().text(), "xyz");
    assert_eq!(site.redis.wait_for_record("/x").body, b"xyz");
}

/// The write of the record is on its way to Redis when the deletion overtakes it: it is taken back.
#[test]
fn a_record_whose_write_was_overtaken_is_taken_back() {
    let (site, proxy) = Site::new().spread().start_behind_a_proxy();
    let gate = Gate::new();
    let held = Gate::new();
    proxy.set(Way::Commands, {
        let (gate, held) = (gate.clone(), held.clone());
        Rule::new(move |piece| {
            let send = Step::Send(piece.bytes.to_vec());
            let writes = piece.bytes.windows(4).any(|word| word == b"HSET");
            if writes {
                held.open();
                vec![Step::Hold(gate.clone()), send]
            } else {
                vec![send]
            }
        })
    });
    let stored = site.ask(&Request::get("/x"));
    assert_eq!(stored.word(), "STORE");
    wait_for("the write to be on its way", PATIENCE, || held.is_open());
    // By another worker: in the same the deletion keeps its place behind the write.
    let worker = stored.header("x-worker").unwrap();
    let elsewhere = Request::new("OPTIONS", "/none");
    let mut other = (0..100)
        .map(|_| site.client())
        .find_map(|mut client| {
            let is_other = client.ask(&elsewhere).header("x-worker").unwrap() != worker;
            is_other.then_some(client)
        })
        .expect("the other worker");
    assert_eq!(other.ask(&put("/x")).status, 200);
    assert_eq!(site.redis.get("/x"), None);
    gate.open();
    let line = "fill of \"/x\": invalidated meanwhile";
    let said = site
        .nginx
        .log()
        .wait_for(Default::default(), line, PATIENCE);
    assert!(said.is_some(), "{}", site.nginx.log().tail(20));
    assert_eq!(site.redis.get("/x"), None);
}
