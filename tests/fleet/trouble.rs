//! Users that may not do all of it, and listeners that die.

use testbed::{Answer, Gate, PATIENCE, Position, Request, Site, ms, wait_for};

use super::{Machines, PATIENT, put};

#[test]
fn where_there_is_no_right_to_a_fence_the_record_is_deleted_all_the_same() {
    let both: [&[&str]; 2] = [&["-eval"], &["resetkeys", "~/*", "%R~*"]];
    let forms = ["standalone", "location"];
    for (form, rights) in forms
        .iter()
        .flat_map(|form| both.map(|rights| (*form, rights)))
    {
        let each = Machines::of_each_store();
        let (_, machines) = each.into_iter().find(|(name, _)| *name == form).unwrap();
        machines.a.fill("/x");
        let user = [&["ACL", "SETUSER", "default"], rights].concat();
        let _: () = machines.a.redis.command(&user);
        assert_eq!(machines.a.ask(&put("/x")).status, 200);
        assert_eq!(machines.stored("/x"), None, "{form}, {rights:?}");
        let line = "was invalidated by PUT, but fills on other machines may store it: ";
        let log = machines.a.nginx.log();
        let said = log.wait_for(Default::default(), line, PATIENCE);
        assert!(said.is_some(), "{form}, {rights:?}: {}", log.tail(20));
        let serious = log.matching(Position::default(), "redis store \"");
        assert!(
            matches!(&serious[..], [line] if line.contains("refuses fences: NOPERM ")),
            "{form}, {rights:?}: {serious:#?}"
        );
    }
}

#[test]
fn a_full_server_deletes_all_the_same() {
    let machines = Machines::start(&Site::new().store(PATIENT));
    machines.a.fill("/x");
    for (name, value) in [("maxmemory-policy", "noeviction"), ("maxmemory", "1")] {
        let _: () = machines.a.redis.command(&["CONFIG", "SET", name, value]);
    }
    assert_eq!(machines.a.ask(&put("/x")).status, 200);
    assert_eq!(machines.stored("/x"), None);
    let fence: Option<String> = machines.a.redis.command(&["HGET", "{/x}:f", "token"]);
    assert!(fence.is_some(), "no fence");
    let expiry = machines.a.redis.pttl("{/x}:f");
    assert!((1..=3_600_000).contains(&expiry), "{expiry}");
}

/// A request that isn't looked up goes to the backend soon, however long the store's timeouts are.
#[test]
fn a_bypass_does_not_wait_for_a_store_that_hangs() {
    let site = Site::new()
        .store("connect_timeout 60s; send_timeout 60s; read_timeout 60s;\n")
        .location("redis_cache_bypass 1;");
    let mut site = site.start();
    site.redis.freeze();
    let answer = site.ask(&Request::get("/x"));
    site.redis.thaw();
    assert_eq!(answer.status, 200);
    assert!(answer.last_byte < ms(15_000), "{:?}", answer.last_byte);
}

/// The worker that hears for all is killed, and the server closes its connection: another hears.
#[test]
fn another_hears_in_the_place_of_one_that_is_gone() {
    let mut machines = Machines::start(&Site::new().store(PATIENT).spread());
    let clients: Vec<_> = {
        let mut workers = Vec::new();
        let mut number = 0;
        while workers.len() < 2 {
            number += 1;
            let mut client = machines.client_of_b();
            let answer = client.get(&format!("/{number}"));
            let worker: i32 = answer.header("x-worker").unwrap().parse().unwrap();
            if !workers.contains(&worker) {
                workers.push(worker);
            }
        }
        workers
    };
    machines.wait_for_listeners(1);
    machines.b.kill_worker(clients[0]);
    // Whichever it was: the other one has filled, too. Redis may not have noticed yet that a connection has ended.
    wait_for("one that hears", PATIENCE, || {
        let killed: i64 = machines
            .a
            .redis
            .command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        killed == 1
    });
    machines.wait_for_listeners(1);
    let gate = Gate::new();
    machines.a.backend.script("/x", {
        let gate = gate.clone();
        move |request, nth| match (request.method.as_str(), nth) {
            ("GET", 1) => Answer::ok("old").gate_at(1, &gate),
            ("GET", _) => Answer::ok("new"),
            _ => Answer::of(204, ""),
        }
    });
    let mut first = machines.client_of_b();
    first.send(&Request::get("/x")).unwrap();
    machines.a.backend.wait_for_hits("/x", 1);
    assert_eq!(machines.a.ask(&put("/x")).status, 204);
    machines.wait_until_b_is_free();
    assert_eq!(machines.client_of_b().get("/x").text(), "new");
    gate.open();
    assert_eq!(first.receive().unwrap().text(), "old");
}

/// A worker that shuts down and has clients still leaves it to those of the new configuration.
#[test]
fn a_worker_that_shuts_down_hears_no_more() {
    let mut machines = Machines::start(&Site::new().workers(1).store(PATIENT));
    let who = |machines: &Machines| -> Vec<String> {
        let command = ["CLIENT", "LIST", "TYPE", "pubsub"];
        let listed: String = machines.a.redis.command(&command);
        let first = |line: &str| line.split(' ').next().map(str::to_owned);
        listed.lines().filter_map(first).collect()
    };
    assert_eq!(machines.client_of_b().get("/1").status, 200);
    wait_for("those of both machines", PATIENCE, || {
        who(&machines).len() == 1
    });
    let before = who(&machines);
    let gate = Gate::new();
    machines
        .a
        .backend
        .set("/slow", Answer::ok("slow").gate_at(1, &gate));
    let mut slow = machines.client_of_b();
    slow.send(&Request::get("/slow")).unwrap();
    machines.a.backend.wait_for_hits("/slow", 1);
    let old = machines.b.reload();
    let mut fills = 1;
    wait_for("the new worker alone", PATIENCE, || {
        // One listens from its first fill on.
        fills += 1;
        assert_eq!(machines.client_of_b().get(&format!("/{fills}")).status, 200);
        let now = who(&machines);
        now.len() == 1 && now != before
    });
    assert!(machines.b.workers().contains(&old[0]));
    gate.open();
    assert_eq!(slow.receive().unwrap().text(), "slow");
}
