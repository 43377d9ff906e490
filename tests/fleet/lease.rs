//! Machines that share a store and fill each key once (`redis_cache_lock_scope store`).

use std::any::Any;
use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Backend, Bridge, Client, Gate, Nginx, PATIENCE, Port, Proxy, Record, Redis,
    RedisCluster, Request, Response, Rule, Sentinels, Site, Step, Way, Zone, ms, page, redis_users,
    wait_for,
};

use super::PATIENT;

/// Long enough for a machine that is busy: nobody is elected meanwhile.
const SCOPE: &str = "redis_cache_lock_scope store; redis_cache_lock_timeout 60s;";

/// No wait that takes longer than this is one for a message, or for the end of a lease.
const LATE: Duration = Duration::from_secs(30);

/// Several nginx of two workers each with one store and one backend.
struct Fleet {
    machines: Vec<Nginx>,
    redis: Redis,
    backend: Backend,
    /// What the store and the way to it consist of besides.
    servers: Box<dyn Any + Sync>,
    _ports: Vec<Port>,
}

impl Fleet {
    #[track_caller]
    fn with(count: usize, site: &Site, servers: Box<dyn Any + Sync>) -> Fleet {
        let (redis, backend) = (Redis::start(), Backend::start());
        Fleet::of(count, site, redis, backend, servers)
    }

    #[track_caller]
    fn of(
        count: usize,
        site: &Site,
        redis: Redis,
        backend: Backend,
        servers: Box<dyn Any + Sync>,
    ) -> Fleet {
        let ports: Vec<Port> = (0..count).map(|_| Port::take()).collect();
        let start = |port: &Port| {
            let conf = site.conf(port.address(), &redis, &backend);
            Nginx::start(&conf, port.address())
        };
        Fleet {
            machines: ports.iter().map(start).collect(),
            redis,
            backend,
            servers,
            _ports: ports,
        }
    }

    #[track_caller]
    fn start(count: usize) -> Fleet {
        Fleet::with(count, &site(), Box::new(()))
    }

    #[track_caller]
    fn cluster(count: usize) -> Fleet {
        let cluster = RedisCluster::options().replicas(0).start();
        let site = site().store(&cluster.directives());
        Fleet::with(count, &site, Box::new(cluster))
    }

    #[track_caller]
    fn sentinel(count: usize) -> Fleet {
        let sentinels = Sentinels::start();
        let site = site().store(&sentinels.directives());
        Fleet::with(count, &site, Box::new(sentinels))
    }

    #[track_caller]
    fn location(count: usize) -> Fleet {
        let (redis, backend) = (Redis::start(), Backend::start());
        let bridge = Bridge::start(&redis.address());
        let site = site()
            .location("redis_cache_pass /redis; redis_cache_pass_timeout 5s;")
            .locations(&bridge.locations());
        Fleet::of(count, &site, redis, backend, Box::new(bridge))
    }

    /// So many clients at each machine ask at the same moment.
    #[track_caller]
    fn crowd(&self, each: usize, request: &Request) -> Vec<Response> {
        let ready = &Barrier::new(each * self.machines.len());
        thread::scope(|scope| {
            let ask = |machine: &Nginx| {
                let mut client = machine.client();
                let run = move || {
                    ready.wait();
                    client.ask(request)
                };
                let thread = thread::Builder::new().stack_size(512 * 1024);
                thread.spawn_scoped(scope, run).unwrap()
            };
            let all = self.machines.iter().flat_map(|m| (0..each).map(move |_| m));
            let threads: Vec<_> = all.map(ask).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        })
    }

    fn client(&self, machine: usize) -> Client {
        self.machines[machine].client()
    }

    /// How many subscriptions to channels of leases there are: one for each machine that waits.
    fn listeners(&self) -> i64 {
        let words = ["PUBSUB", "CHANNELS", "redis_cache:lock:*"];
        let channels: Vec<String> = self.redis.command(&words);
        let count = |channel: &String| {
            let told: (String, i64) = self.redis.command(&["PUBSUB", "NUMSUB", channel]);
            told.1
        };
        channels.iter().map(count).sum()
    }

    #[track_caller]
    fn finish(self) {
        self.machines.into_iter().for_each(Nginx::finish);
        drop(self.servers);
    }
}

fn site() -> Site {
    Site::new().store(PATIENT).location(SCOPE)
}

/// Keys whose leases have names of each kind.
const PATHS: [&str; 3] = ["/x", "/x{tag}y", "/x}"];

#[track_caller]
fn one_request_to_the_backend_fills_all(fleet: Fleet) {
    for path in PATHS {
        fleet.backend.set(path, Answer::ok("all").delay(ms(300)));
        let begun = Instant::now();
        for answer in fleet.crowd(50, &Request::get(path)) {
            assert_eq!((answer.status, answer.text()), (200, "all".into()));
        }
        assert_eq!(fleet.backend.hits(path), 1, "{path}");
        assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    }
    fleet.finish();
}

#[test]
fn one_request_to_the_backend_fills_four_machines() {
    one_request_to_the_backend_fills_all(Fleet::start(4));
}

#[test]
fn one_fills_all_with_a_cluster() {
    one_request_to_the_backend_fills_all(Fleet::cluster(4));
}

#[test]
fn one_fills_all_with_sentinels() {
    one_request_to_the_backend_fills_all(Fleet::sentinel(4));
}

#[test]
fn one_fills_all_with_a_location_as_the_store() {
    one_request_to_the_backend_fills_all(Fleet::location(4));
}

#[test]
fn each_machine_fills_for_itself_by_default() {
    let site = Site::new().store(PATIENT);
    let fleet = Fleet::with(2, &site, Box::new(()));
    let gate = Gate::new();
    fleet.backend.set("/x", Answer::ok("x").gate(&gate));
    let mut clients = [fleet.client(0), fleet.client(1)];
    for client in &mut clients {
        client.send(&Request::get("/x")).unwrap();
    }
    fleet.backend.wait_for_hits("/x", 2);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().text(), "x");
    }
    fleet.finish();
}

#[test]
fn those_who_wait_are_told() {
    let fleet = Fleet::start(2);
    let gate = Gate::new();
    fleet.backend.set("/x", Answer::ok("x").gate(&gate));
    let (mut owner, mut waiter) = (fleet.client(0), fleet.client(1));
    owner.send(&Request::get("/x")).unwrap();
    fleet.backend.wait_for_hits("/x", 1);
    waiter.send(&Request::get("/x")).unwrap();
    wait_for("a subscription", PATIENCE, || fleet.listeners() == 1);
    gate.open();
    assert_eq!(owner.receive().unwrap().word(), "STORE");
    assert_eq!(waiter.receive().unwrap().word(), "HIT");
    wait_for("no subscription", PATIENCE, || fleet.listeners() == 0);
    assert_eq!(fleet.backend.hits("/x"), 1);
    assert!(!fleet.redis.keys().contains(&"{/x}:l".to_owned()));
    fleet.finish();
}

/// A fill may take longer than a lease lasts.
#[test]
fn a_lease_is_kept_while_its_fill_lives() {
    let fleet = Fleet::start(2);
    let gate = Gate::new();
    fleet.backend.set("/x", Answer::ok("x").gate(&gate));
    let (mut owner, mut waiter) = (fleet.client(0), fleet.client(1));
    owner.send(&Request::get("/x")).unwrap();
    fleet.backend.wait_for_hits("/x", 1);
    waiter.send(&Request::get("/x")).unwrap();
    let extensions = || fleet.redis.calls("pexpire");
    let before = extensions();
    wait_for("extensions", PATIENCE, || extensions() >= before + 5);
    assert_eq!(fleet.backend.hits("/x"), 1);
    gate.open();
    assert_eq!(owner.receive().unwrap().word(), "STORE");
    assert_eq!(waiter.receive().unwrap().word(), "HIT");
    fleet.finish();
}

#[test]
fn exactly_one_takes_over_from_a_machine_that_has_died() {
    let mut fleet = Fleet::start(4);
    let gate = Gate::new();
    fleet.backend.script("/x", {
        let gate = gate.clone();
        move |_, nth| match nth {
            1 => Answer::ok("lost").gate(&gate),
            _ => Answer::ok("new").delay(ms(300)),
        }
    });
    let mut owner = fleet.client(0);
    owner.send(&Request::get("/x")).unwrap();
    fleet.backend.wait_for_hits("/x", 1);
    let mut dead = fleet.machines.remove(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        let crowd = scope.spawn(|| fleet.crowd(20, &Request::get("/x")));
        wait_for("those who wait", PATIENCE, || fleet.listeners() == 3);
        for worker in dead.workers() {
            dead.kill_worker(worker);
        }
        for answer in crowd.join().unwrap() {
            assert_eq!((answer.status, answer.text()), (200, "new".into()));
        }
    });
    assert_eq!(fleet.backend.hits("/x"), 2);
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    gate.open();
    dead.finish();
    fleet.finish();
}

/// The store goes down while a machine fills: the others don't wait for it any longer.
#[test]
fn without_the_store_each_machine_fills_once() {
    let mut fleet = Fleet::start(3);
    let gate = Gate::new();
    fleet.backend.set("/x", Answer::ok("x").gate(&gate));
    let mut owner = fleet.client(0);
    owner.send(&Request::get("/x")).unwrap();
    fleet.backend.wait_for_hits("/x", 1);
    let mut waiters = [fleet.client(1), fleet.client(2)];
    for waiter in &mut waiters {
        waiter.send(&Request::get("/x")).unwrap();
    }
    wait_for("those who wait", PATIENCE, || fleet.listeners() == 2);
    fleet.redis.stop();
    fleet.backend.wait_for_hits("/x", 3);
    gate.open();
    assert_eq!(owner.receive().unwrap().status, 200);
    for waiter in &mut waiters {
        assert_eq!(waiter.receive().unwrap().text(), "x");
    }
    assert_eq!(fleet.backend.hits("/x"), 3);
    for machine in &mut fleet.machines {
        machine.allow("is down");
    }
    fleet.finish();
}

/// What isn't for others releases those who wait at once, and what is known to be so for others, too.
#[test]
fn what_is_not_for_others_releases_them() {
    let large = "x".repeat(4096);
    let cases: [(&str, Answer, usize); 4] = [
        (
            "private",
            Answer::ok("x").header("Cache-Control", "private"),
            2,
        ),
        ("set-cookie", Answer::ok("x").header("Set-Cookie", "a=b"), 2),
        ("too large", Answer::ok(large).chunked(), 2),
        ("status", Answer::of(404, "x"), 2),
    ];
    for (name, answer, hits) in cases {
        let site = site().location("redis_cache_max_size 1k;");
        let fleet = Fleet::with(2, &site, Box::new(()));
        let gate = Gate::new();
        fleet.backend.script("/x", {
            let gate = gate.clone();
            move |_, nth| match nth {
                1 => answer.clone().gate(&gate),
                _ => answer.clone(),
            }
        });
        let (mut owner, mut waiter) = (fleet.client(0), fleet.client(1));
        owner.send(&Request::get("/x")).unwrap();
        fleet.backend.wait_for_hits("/x", 1);
        waiter.send(&Request::get("/x")).unwrap();
        wait_for("one who waits", PATIENCE, || fleet.listeners() == 1);
        gate.open();
        assert_ne!(owner.receive().unwrap().status, 502, "{name}");
        assert_ne!(waiter.receive().unwrap().status, 502, "{name}");
        assert_eq!(fleet.backend.hits("/x"), hits, "{name}");
        fleet.finish();
    }
}

/// A fill that fails is nobody's answer: exactly one of the others tries.
#[test]
fn after_a_failed_fill_one_other_tries() {
    let mut fleet = Fleet::start(3);
    let gate = Gate::new();
    fleet.backend.script("/x", {
        let gate = gate.clone();
        move |_, nth| match nth {
            1 => Answer::ok("cut off here").cut_at(3).gate(&gate),
            _ => Answer::ok("whole").delay(ms(200)),
        }
    });
    let mut owner = fleet.client(0);
    owner.send(&Request::get("/x")).unwrap();
    fleet.backend.wait_for_hits("/x", 1);
    let mut waiters = [fleet.client(1), fleet.client(2)];
    for waiter in &mut waiters {
        waiter.send(&Request::get("/x")).unwrap();
    }
    wait_for("those who wait", PATIENCE, || fleet.listeners() == 2);
    gate.open();
    let _ = owner.receive();
    for waiter in &mut waiters {
        assert_eq!(waiter.receive().unwrap().text(), "whole");
    }
    assert_eq!(fleet.backend.hits("/x"), 2);
    for machine in &mut fleet.machines {
        machine.allow("upstream prematurely closed");
        machine.allow("truncated");
    }
    fleet.finish();
}

#[test]
fn each_variant_is_filled_once() {
    let fleet = Fleet::start(3);
    let answer = |kind: &str| Answer::ok(kind).header("Vary", "X-Kind").delay(ms(300));
    fleet.backend.script("/x", move |request, _| {
        answer(&request.header("x-kind").unwrap_or_default())
    });
    // The first tells what the responses vary on.
    let of = |kind: &str| Request::get("/x").header("X-Kind", kind);
    assert_eq!(fleet.client(0).ask(&of("one")).text(), "one");
    wait_for("the record", PATIENCE, || fleet.redis.get("/x").is_some());
    for (number, kind) in ["two", "three"].into_iter().enumerate() {
        for answer in fleet.crowd(10, &of(kind)) {
            assert_eq!(answer.text(), kind);
        }
        assert_eq!(fleet.backend.hits("/x"), number + 2, "{kind}");
    }
    fleet.finish();
}

#[test]
fn a_stale_record_is_refilled_once() {
    let fleet = Fleet::start(3);
    let gate = Gate::new();
    fleet.backend.script("/x", {
        let gate = gate.clone();
        move |_, nth| match nth {
            1 => Answer::ok("old"),
            _ => Answer::ok("new").gate(&gate),
        }
    });
    assert_eq!(fleet.client(0).get("/x").text(), "old");
    fleet.redis.wait_for_record("/x");
    // 60 s fresh, 100 s stale.
    fleet.redis.expire_in("/x", 90_000);
    assert_eq!(fleet.client(0).get("/x").word(), "STALE");
    fleet.backend.wait_for_hits("/x", 2);
    let (claims, begun) = (fleet.redis.calls("eval"), Instant::now());
    for _ in 0..50 {
        for machine in [1, 2] {
            let answer = fleet.client(machine).get("/x");
            assert_eq!(
                (answer.word(), answer.text()),
                ("STALE".into(), "old".into())
            );
        }
    }
    assert_eq!(fleet.backend.hits("/x"), 2);
    // Not one claim a hit: of each of four workers one in 250 ms, and as many extensions at most.
    let claims = fleet.redis.calls("eval") - claims;
    let pauses = usize::try_from(begun.elapsed().as_millis() / 250).unwrap();
    let most = 8 * (pauses + 2);
    assert!(claims <= most, "{claims} commands in {pauses} pauses");
    gate.open();
    wait_for("the new record", PATIENCE, || {
        fleet.client(1).get("/x").text() == "new"
    });
    assert_eq!(fleet.backend.hits("/x"), 2);
    fleet.finish();
}

/// An invalidation ends the wait for a fill from before: it is worth nothing.
#[test]
fn nobody_waits_for_a_fill_from_before_an_invalidation() {
    let fleet = Fleet::start(2);
    let gate = Gate::new();
    fleet.backend.script("/x", {
        let gate = gate.clone();
        move |request, nth| match (request.method.as_str(), nth) {
            ("GET", 1) => Answer::ok("old").gate(&gate),
            ("GET", _) => Answer::ok("new"),
            _ => Answer::of(204, ""),
        }
    });
    let mut owner = fleet.client(0);
    owner.send(&Request::get("/x")).unwrap();
    fleet.backend.wait_for_hits("/x", 1);
    assert_eq!(fleet.client(1).ask(&super::put("/x")).status, 204);
    assert_eq!(fleet.client(1).get("/x").text(), "new");
    gate.open();
    assert_eq!(owner.receive().unwrap().text(), "old");
    wait_for("the new record", PATIENCE, || {
        fleet.client(0).get("/x").text() == "new"
    });
    fleet.finish();
}

/// Without the right to the channels nobody is told, and those who wait ask.
#[test]
fn without_rights_to_channels_or_claims_all_are_served() {
    for (rights, hits) in [(&["resetchannels"][..], 1), (&["-pexpire"][..], 2)] {
        let mut fleet = Fleet::start(2);
        let user = [&["ACL", "SETUSER", "default"], rights].concat();
        let _: () = fleet.redis.command(&user);
        let gate = Gate::new();
        fleet.backend.set("/x", Answer::ok("x").gate(&gate));
        let (mut one, mut other) = (fleet.client(0), fleet.client(1));
        one.send(&Request::get("/x")).unwrap();
        fleet.backend.wait_for_hits("/x", 1);
        other.send(&Request::get("/x")).unwrap();
        if hits == 1 {
            let line = "what becomes of fills on other machines isn't heard";
            let log = fleet.machines[1].log();
            let said = log.wait_for(Default::default(), line, PATIENCE);
            assert!(said.is_some(), "{}", log.tail(20));
        } else {
            fleet.backend.wait_for_hits("/x", 2);
        }
        gate.open();
        assert_eq!(one.receive().unwrap().text(), "x");
        assert_eq!(other.receive().unwrap().text(), "x");
        assert_eq!(fleet.backend.hits("/x"), hits, "{rights:?}");
        for machine in &mut fleet.machines {
            machine.allow("refuses claims of fills");
        }
        fleet.finish();
    }
}

/// Those who have come to the same worker while its first request waited for another machine read the answer as it comes.
#[test]
fn those_who_wait_behind_a_claim_join_its_fill() {
    let fleet = Fleet::with(1, &site().workers(1), Box::new(()));
    let gate = Gate::new();
    fleet.backend.set("/x", Answer::ok("xyz").gate_at(1, &gate));
    // Another machine has it, which does nothing more for it.
    let lease = ["HSET", "{/x}:l", "token", "0123456789abcdef", "fence", ""];
    let _: () = fleet.redis.command(&lease);
    let _: () = fleet.redis.command(&["PEXPIRE", "{/x}:l", "60000"]);
    let mut clients: Vec<Client> = (0..3).map(|_| fleet.client(0)).collect();
    for client in &mut clients {
        client.send(&Request::get("/x")).unwrap();
    }
    wait_for("all to wait", PATIENCE, || {
        let zone = fleet.machines[0].workers().into_iter().find_map(Zone::of);
        zone.is_some_and(|zone| zone.waiting == 2)
    });
    assert_eq!(fleet.backend.hits("/x"), 0);
    let _: () = fleet.redis.command(&["DEL", "{/x}:l"]);
    let mut answers: Vec<Response> = clients
        .iter_mut()
        .map(|client| client.receive_header().unwrap())
        .collect();
    assert!(!gate.is_open());
    gate.open();
    for (client, answer) in clients.iter_mut().zip(&mut answers) {
        client.receive_rest(answer).unwrap();
        assert_eq!(answer.text(), "xyz");
    }
    let joined = answers.iter().filter(|it| it.word() == "HIT").count();
    assert_eq!(joined, 2);
    assert_eq!(fleet.backend.hits("/x"), 1);
    fleet.finish();
}

/// A store that doesn't reply to claims costs its timeout, and no more.
#[test]
fn a_claim_without_reply_is_given_up() {
    let (redis, backend) = (Redis::start(), Backend::start());
    let proxy = Proxy::start(&redis.address());
    let store = format!(
        "server {}; read_timeout 300ms; max_fails 60;",
        proxy.address()
    );
    let site = Site::new().store(&store).location(SCOPE);
    let never = Gate::new();
    proxy.set(Way::Commands, {
        let never = never.clone();
        Rule::new(move |piece| {
            let is_claim = piece.bytes.windows(6).any(|word| word == b"'held'");
            let send = Step::Send(piece.bytes.to_vec());
            if is_claim {
                vec![Step::Hold(never.clone()), send]
            } else {
                vec![send]
            }
        })
    });
    let mut fleet = Fleet::of(2, &site, redis, backend, Box::new(proxy));
    let begun = Instant::now();
    for answer in fleet.crowd(10, &Request::get("/x")) {
        assert_eq!(answer.status, 200);
    }
    assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
    never.open();
    for machine in &mut fleet.machines {
        machine.allow("redis store");
    }
    fleet.finish();
}

/// A fill whose lease another machine has by now leaves the store as it is.
#[test]
fn what_has_lost_its_lease_is_not_stored() {
    let plain = || Answer::ok("new");
    let old = || Some(Answer::ok("old").header("ETag", "\"1\""));
    let confirmed = || Answer::of(304, "").header("ETag", "\"1\"");
    let lost = "fill of \"/x\": claim lost";
    let cases: [(&str, Option<Answer>, Answer, &str); 4] = [
        ("plain", None, plain(), lost),
        ("variant", None, plain().header("Vary", "X-Kind"), lost),
        ("confirmed", old(), confirmed().header("X-New", "1"), lost),
        // What isn't fit to be kept by what the backend says now goes by the fill of the other machine.
        (
            "unfit",
            old(),
            confirmed().header("Cache-Control", "no-store"),
            "\"/x\" was not stored in \"main\": another machine may fill the key",
        ),
    ];
    for (name, first, then, line) in cases {
        let fleet = Fleet::start(1);
        let gate = Gate::new();
        let begun = usize::from(first.is_some());
        fleet.backend.script("/x", {
            let gate = gate.clone();
            move |_, nth| match &first {
                Some(first) if nth == 1 => first.clone(),
                _ => then.clone().gate(&gate),
            }
        });
        if begun == 1 {
            assert_eq!(fleet.client(0).get("/x").text(), "old", "{name}");
            fleet.redis.wait_for_record("/x");
            fleet.redis.expire_in("/x", 90_000);
        }
        let mut client = fleet.client(0);
        client.send(&Request::get("/x")).unwrap();
        fleet.backend.wait_for_hits("/x", begun + 1);
        let lease = ["HSET", "{/x}:l", "token", "0123456789abcdef"];
        let _: () = fleet.redis.command(&lease);
        gate.open();
        assert_eq!(client.receive().unwrap().status, 200, "{name}");
        let log = fleet.machines[0].log();
        let said = log.wait_for(Default::default(), line, PATIENCE);
        assert!(said.is_some(), "{name}: {}", log.tail(20));
        match fleet.redis.get("/x") {
            None => assert_eq!(begun, 0, "{name}"),
            Some(record) => assert_eq!(record.body, b"old", "{name}"),
        }
        if begun == 1 {
            let headers: String = fleet.redis.command(&["HGET", "/x", "headers"]);
            assert!(!headers.contains("X-New"), "{name}: {headers}");
        }
        let token: String = fleet.redis.command(&["HGET", "{/x}:l", "token"]);
        assert_eq!(token, "0123456789abcdef", "{name}");
        fleet.finish();
    }
}

/// What isn't storable is remembered for all machines, until it is.
#[test]
fn what_is_remembered_for_all_is_forgotten_for_all() {
    let fleet = Fleet::with(
        3,
        &site().location("redis_cache_uncacheable_ttl 1h;"),
        Box::new(()),
    );
    fleet.backend.script("/x", |_, nth| match nth {
        1 => Answer::ok("x").header("Cache-Control", "private"),
        _ => Answer::ok("x"),
    });
    let is_known = || fleet.redis.keys().contains(&"{/x}:l".to_owned());
    assert_eq!(fleet.client(0).get("/x").status, 200);
    wait_for("it to be remembered", PATIENCE, is_known);
    assert_eq!(fleet.client(1).get("/x").status, 200);
    fleet.redis.wait_for_record("/x");
    wait_for("it to be forgotten", PATIENCE, || !is_known());
    assert_eq!(fleet.backend.hits("/x"), 2);
    fleet.finish();
}

/// A server that pauses writes takes no claims for so long, and serves what it has.
#[test]
fn a_pause_of_writes_leaves_lookups_alone() {
    let times = "connect_timeout 5s; send_timeout 5s; read_timeout 1s; max_fails 2;\n";
    let site = Site::new().store(times).location(SCOPE);
    let mut fleet = Fleet::with(1, &site, Box::new(()));
    assert_eq!(fleet.client(0).get("/kept").word(), "STORE");
    fleet.redis.wait_for_record("/kept");
    let _: () = fleet.redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    for number in 0..4 {
        let path = format!("/{number}");
        assert_eq!(fleet.client(0).get(&path).status, 200, "{path}");
    }
    assert_eq!(fleet.client(0).get("/kept").word(), "HIT");
    let log = fleet.machines[0].log();
    let down = log.matching(Default::default(), ") is down: ");
    assert!(down.is_empty(), "{down:#?}");
    let _: () = fleet.redis.command(&["CLIENT", "UNPAUSE"]);
    fleet.machines[0].allow("refuses writes");
    fleet.finish();
}

/// A lease that the store has lost is taken again, if nobody else has filled meanwhile.
#[test]
fn a_lease_that_is_gone_is_taken_again() {
    let fleet = Fleet::start(1);
    let token = || -> Option<String> { fleet.redis.command(&["HGET", "{/x}:l", "token"]) };
    for (number, is_free) in [true, false].into_iter().enumerate() {
        let gate = Gate::new();
        fleet.backend.set("/x", Answer::ok("x").gate(&gate));
        let mut client = fleet.client(0);
        client.send(&Request::get("/x")).unwrap();
        fleet.backend.wait_for_hits("/x", number + 1);
        let before = token();
        assert!(before.is_some());
        if !is_free {
            // Another machine has filled.
            let _: () = fleet.redis.command(&["HSET", "/x", "status", "200"]);
        }
        let evals = fleet.redis.calls("eval");
        let _: () = fleet.redis.command(&["DEL", "{/x}:l"]);
        // It is asked for its extension first, and then claimed.
        wait_for("a claim", PATIENCE, || {
            fleet.redis.calls("eval") >= evals + 2
        });
        if is_free {
            wait_for("the lease", PATIENCE, || token() == before);
        } else {
            wait_for("no lease", PATIENCE, || token().is_none());
        }
        gate.open();
        assert_eq!(client.receive().unwrap().text(), "x");
        let line = if is_free { "stored" } else { "claim lost" };
        let (log, line) = (fleet.machines[0].log(), format!("fill of \"/x\": {line}"));
        let said = log.wait_for(Default::default(), &line, PATIENCE);
        assert!(said.is_some(), "{}", log.tail(20));
        let _: () = fleet.redis.command(&["DEL", "/x"]);
    }
    fleet.finish();
}

/// The users of Redis that the documentation gives, with what it says that claims need, and with few keys.
#[test]
fn documented_users_of_redis_may_claim() {
    let users = redis_users();
    assert_eq!(users.len(), 2);
    let also = "takes `+pexpire &redis_cache:lock:*` as well";
    assert!(page("docs/redis.md").contains(also));
    for words in users {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let words = words.strip_prefix(&["on", ">secret", "~*"]).unwrap();
        let (redis, backend) = (Redis::start(), Backend::start());
        let user = ["ACL", "SETUSER", "cache", "on", ">secret"];
        let keys = ["~/*", "~{*", "~redis_cache:purges"];
        let also = ["+pexpire", "&redis_cache:lock:*"];
        let _: () = redis.command(&[&user[..], &keys, words, &also].concat());
        let site = site().store("username cache; password secret;\n");
        let fleet = Fleet::of(2, &site, redis, backend, Box::new(()));
        let gate = Gate::new();
        fleet.backend.set("/x", Answer::ok("x").gate(&gate));
        let (mut owner, mut waiter) = (fleet.client(0), fleet.client(1));
        owner.send(&Request::get("/x")).unwrap();
        fleet.backend.wait_for_hits("/x", 1);
        waiter.send(&Request::get("/x")).unwrap();
        wait_for("a subscription", PATIENCE, || fleet.listeners() == 1);
        gate.open();
        assert_eq!(owner.receive().unwrap().word(), "STORE");
        assert_eq!(waiter.receive().unwrap().word(), "HIT");
        wait_for("no subscription", PATIENCE, || fleet.listeners() == 0);
        assert!(!fleet.redis.keys().contains(&"{/x}:l".to_owned()));
        let mut refused: Vec<HashMap<String, redis::Value>> = fleet.redis.command(&["ACL", "LOG"]);
        // It is there for a warning, and the documentation says so.
        let info = redis::Value::BulkString(b"info".to_vec());
        refused.retain(|entry| entry["object"] != info);
        assert!(refused.is_empty(), "{words:?}: {refused:?}");
        assert_eq!(fleet.backend.hits("/x"), 1);
        fleet.finish();
    }
}

/// A user without UNSUBSCRIBE leaves no more than a hundred channels or so behind.
#[test]
fn channels_that_cant_be_left_are_few() {
    const MANY: usize = 150;
    let fleet = Fleet::with(1, &site().workers(1), Box::new(()));
    let _: () = fleet
        .redis
        .command(&["ACL", "SETUSER", "default", "-unsubscribe"]);
    let lease = |number: usize| format!("{{/{number}}}:l");
    let mut clients = Vec::new();
    for number in 0..MANY {
        let name = lease(number);
        let fields = ["HSET", &name, "token", "0123456789abcdef", "fence", ""];
        let _: () = fleet.redis.command(&fields);
        let _: () = fleet.redis.command(&["PEXPIRE", &name, "60000"]);
        let mut client = fleet.client(0);
        client.send(&Request::get(&format!("/{number}"))).unwrap();
        clients.push(client);
    }
    wait_for("all to listen", PATIENCE, || {
        fleet.listeners() == i64::try_from(MANY).unwrap()
    });
    for number in 0..MANY {
        let _: () = fleet.redis.command(&["DEL", &lease(number)]);
    }
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().status, 200);
    }
    wait_for("few to be left", PATIENCE, || fleet.listeners() <= 100);
    fleet.finish();
}

/// What a user may not do leaves no lease behind that doesn't end.
#[test]
fn no_lease_is_left_without_an_end() {
    let cases: [(&[&str], bool); 4] = [
        (&["-pexpire"], false),
        (&["-pexpire", "-del"], false),
        (&["-pexpire", "-del", "-hdel"], false),
        (&["-del", "-hdel"], true),
    ];
    for (rights, claims) in cases {
        let mut fleet = Fleet::start(2);
        let user = [&["ACL", "SETUSER", "default"], rights].concat();
        let _: () = fleet.redis.command(&user);
        let gate = Gate::new();
        fleet.backend.set("/x", Answer::ok("x").gate(&gate));
        let (mut one, mut other) = (fleet.client(0), fleet.client(1));
        one.send(&Request::get("/x")).unwrap();
        fleet.backend.wait_for_hits("/x", 1);
        other.send(&Request::get("/x")).unwrap();
        if claims {
            wait_for("one who waits", PATIENCE, || fleet.listeners() == 1);
        } else {
            fleet.backend.wait_for_hits("/x", 2);
        }
        gate.open();
        assert_eq!(one.receive().unwrap().text(), "x");
        assert_eq!(other.receive().unwrap().text(), "x");
        assert_eq!(fleet.backend.hits("/x"), 2 - usize::from(claims));
        let endless = fleet.redis.keys_without_expiry();
        assert!(endless.is_empty(), "{rights:?}: {endless:?}");
        for machine in &mut fleet.machines {
            let position = Default::default();
            let said = machine.log().matching(position, "refuses claims of fills");
            assert_eq!(said.is_empty(), claims, "{rights:?}: {said:?}");
            machine.allow("refuses claims of fills");
        }
        fleet.finish();
    }
}

/// What another machine has just stored isn't looked for in memory, which may hear of it later.
#[test]
fn who_has_waited_looks_in_the_store() {
    let (redis, backend) = (Redis::start(), Backend::start());
    let proxy = Proxy::start(&redis.address());
    let store = format!(
        "server {};\n{PATIENT}memory 8m min_uses=1;",
        proxy.address()
    );
    let site = Site::new()
        .workers(1)
        .store(&store)
        .location(SCOPE)
        .location("add_header X-Source $redis_cache_source always;");
    let fleet = Fleet::of(1, &site, redis, backend, Box::new(()));
    let strict = Answer::ok("old").header("Cache-Control", "max-age=60, must-revalidate");
    fleet.backend.set("/x", strict.header("ETag", "\"1\""));
    assert_eq!(fleet.client(0).get("/x").text(), "old");
    fleet.redis.wait_for_record("/x");
    // 60 s fresh, 100 s stale.
    fleet.redis.expire_in("/x", 90_000);
    // What was pushed of that has come once this is kept.
    let other = Record::lua_text("other");
    fleet.redis.put("/other", &other, 600);
    wait_for("memory", PATIENCE, || {
        let source = fleet.client(0).get("/other").header("x-source");
        source.as_deref() == Some("memory")
    });
    let lease = ["HSET", "{/x}:l", "token", "0123456789abcdef", "fence", ""];
    let _: () = fleet.redis.command(&lease);
    let _: () = fleet.redis.command(&["PEXPIRE", "{/x}:l", "60000"]);
    let mut waiter = fleet.client(0);
    waiter.send(&Request::get("/x")).unwrap();
    wait_for("one who waits", PATIENCE, || fleet.listeners() == 1);
    let never = Gate::new();
    proxy.set(Way::Replies, {
        let never = never.clone();
        Rule::new(move |piece| {
            let is_push = piece.bytes.windows(10).any(|word| word == b"invalidate");
            let send = Step::Send(piece.bytes.to_vec());
            if is_push {
                vec![Step::Hold(never.clone()), send]
            } else {
                vec![send]
            }
        })
    });
    let _: () = fleet.redis.command(&["DEL", "/x"]);
    fleet.redis.put("/x", &Record::lua_text("new"), 600);
    let _: () = fleet.redis.command(&["DEL", "{/x}:l"]);
    let answer = waiter.receive().unwrap();
    assert_eq!((answer.word(), answer.text()), ("HIT".into(), "new".into()));
    assert_eq!(fleet.backend.hits("/x"), 1);
    never.open();
    fleet.finish();
    drop(proxy);
}

/// That another machine had a key a moment ago is nothing to a refill after a fill of one's own.
#[test]
fn a_refill_is_made_at_once_after_a_fill_of_ones_own() {
    let fleet = Fleet::with(1, &site().workers(1), Box::new(()));
    fleet.backend.set("/x", Answer::ok("x"));
    let fill = |word: &str| {
        assert_eq!(fleet.client(0).get("/x").word(), word);
        fleet.redis.wait_for_record("/x");
        // 60 s fresh, 100 s stale.
        fleet.redis.expire_in("/x", 90_000);
    };
    fill("STORE");
    let lease = ["HSET", "{/x}:l", "token", "0123456789abcdef", "fence", ""];
    let _: () = fleet.redis.command(&lease);
    let _: () = fleet.redis.command(&["PEXPIRE", "{/x}:l", "60000"]);
    let claims = fleet.redis.calls("eval");
    assert_eq!(fleet.client(0).get("/x").word(), "STALE");
    wait_for("a claim", PATIENCE, || fleet.redis.calls("eval") > claims);
    let _: () = fleet.redis.command(&["DEL", "{/x}:l", "/x"]);
    fill("STORE");
    assert_eq!(fleet.client(0).get("/x").word(), "STALE");
    fleet.backend.wait_for_hits("/x", 3);
    fleet.finish();
}
