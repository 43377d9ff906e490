//! Redis in trouble of every kind: clients never notice more than SKIP, the backend is still asked once for many equal
//! requests, the log says it once, and Redis is used again within a second of its return.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Gate, PATIENCE, Port, Position, Proxy, Record, Redis, Request, Rule, Running, Site,
    Way, eventually, holds_for, ms, pattern, wait_for,
};

/// Short, but not so short that a busy machine is taken for a Redis in trouble.
const TIMEOUTS: &str = "connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms; ";

/// Until when a worker must use a Redis again that is back: a second is promised, a busy machine has its own.
const BACK: Duration = ms(4000);

fn site() -> Site {
    Site::new().store(TIMEOUTS)
}

/// What the log may hold of one trouble: a line or two for each of two workers.
const LINES: usize = 4;

/// Clients notice nothing but `word`; the backend is asked once for many; the log says it once.
#[track_caller]
fn survives(name: &str, site: &Running, word: &str) {
    let position = site.nginx.log().end();
    let mut client = site.client();
    for number in 0..20 {
        let path = format!("/{name}/{number}");
        let answer = client.get(&path);
        assert_eq!(
            (answer.status, answer.text()),
            (200, format!("GET {path} #1\n")),
            "{name}"
        );
        assert_eq!(answer.word(), word, "{name}: {number}");
        assert!(
            answer.last_byte < ms(4000),
            "{name}: {:?}",
            answer.last_byte
        );
    }
    let path = format!("/{name}/crowd");
    site.backend
        .set(&path, Answer::ok(pattern(10_000, 1)).delay(ms(1000)));
    let crowd = site.crowd(50, &path);
    assert_eq!(crowd.bodies(), [(pattern(10_000, 1), 50)].into(), "{name}");
    assert_eq!(crowd.statuses(), [(200, 50)].into(), "{name}");
    let hits = site.backend.hits(&path);
    assert!(
        hits <= 4,
        "{name}: {hits} requests for 50 equal ones of two workers"
    );
    let lines = site.nginx.log().serious(position);
    assert!(
        lines.len() <= LINES,
        "{name}: {} lines:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

/// How long it takes until each of the two workers stores again. Back-off is a worker's own.
#[track_caller]
fn used_again(site: &Running) -> Duration {
    let start = Instant::now();
    let (mut number, mut workers) = (0, BTreeSet::new());
    wait_for("Redis to be used again by both workers", PATIENCE, || {
        number += 1;
        let path = format!("/again/{}/{number}", site.backend.all_hits());
        let first = site.get(&path);
        assert_eq!(first.status, 200);
        let key = site.key(&path);
        if first.word() == "STORE" && eventually(ms(300), || site.redis.get(&key)).is_some() {
            workers.insert(first.header("x-worker"));
        }
        workers.len() == 2
    });
    start.elapsed()
}

#[test]
fn redis_down_from_the_start() {
    let mut site = site().spread().start_with(Redis::stopped(&[]));
    let answer = site.get("/first");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    survives("down", &site, "SKIP");
    assert!(
        !site.nginx.log().serious(Position::default()).is_empty(),
        "the log says that Redis is down"
    );
    site.redis.run();
    let took = used_again(&site);
    assert!(took < BACK, "{took:?}");
    site.nginx.finish();
}

#[test]
fn redis_stopped_in_the_middle_and_started_again() {
    for (form, site) in Site::forms() {
        let mut site = site.store(TIMEOUTS).spread().start();
        for round in 0..2 {
            site.fill(&format!("/{round}"));
            site.redis.stop();
            survives(&format!("round{round}"), &site, "SKIP");
            assert_eq!(site.get(&format!("/{round}")).word(), "SKIP", "{form}");
            site.redis.run();
            let took = used_again(&site);
            assert!(took < BACK, "{form}: {took:?}");
        }
    }
}

#[test]
fn redis_lost_between_lookup_and_store() {
    let mut site = site().spread().start();
    let gate = Gate::new();
    site.backend
        .set("/x", Answer::ok(pattern(50_000, 2)).gate_at(10_000, &gate));
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    let mut answer = client.receive_header().unwrap();
    let position = site.nginx.log().end();
    site.redis.stop();
    gate.open();
    client.receive_rest(&mut answer).unwrap();
    assert!(answer.complete && answer.body == pattern(50_000, 2));
    assert_eq!((answer.status, answer.word().as_str()), (200, "STORE"));
    let logged = eventually(PATIENCE, || {
        (!site.nginx.log().serious(position).is_empty()).then_some(())
    });
    assert!(logged.is_some(), "a store that failed is logged");
    assert_eq!(client.get("/x").word(), "SKIP");
    site.redis.run();
    used_again(&site);
    assert_eq!(site.wait_for_hit("/x").body, pattern(50_000, 2));
}

#[test]
fn a_hung_redis_costs_one_read_timeout_not_one_for_each_request() {
    let mut site = site().spread().start();
    site.fill("/x");
    site.redis.freeze();
    let first = site.get("/x");
    assert_eq!((first.status, first.word().as_str()), (200, "SKIP"));
    assert!(first.last_byte < ms(4000), "{:?}", first.last_byte);
    survives("hung", &site, "SKIP");
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(site.get("/x").status, 200);
    }
    assert!(
        start.elapsed() < ms(6000),
        "{:?} for 20 requests",
        start.elapsed()
    );
    site.redis.thaw();
    let took = used_again(&site);
    assert!(took < BACK, "{took:?}");
    site.wait_for_hit("/x");
}

/// Without a store the workers can't share an answer: each asks the backend once, and nobody waits for two answers.
#[test]
fn while_redis_is_down_no_worker_waits_for_the_other() {
    for (form, site) in Site::forms() {
        let mut site = site.store(TIMEOUTS).spread().start();
        site.redis.stop();
        // Both know it.
        for number in 0..20 {
            assert_eq!(site.get(&format!("/{number}")).status, 200, "{form}");
        }
        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("x").gate(&gate));
        let crowd = thread::scope(|scope| {
            let crowd = scope.spawn(|| site.crowd(60, "/x"));
            // Side by side.
            site.backend.wait_for_hits("/x", 2);
            // One that comes later would find no record.
            site.wait_for_waiters(58);
            gate.open();
            crowd.join().unwrap()
        });
        assert_eq!(crowd.bodies(), [(b"x".to_vec(), 60)].into(), "{form}");
        assert_eq!(crowd.workers().len(), 2, "{form}");
        assert_eq!(site.backend.hits("/x"), 2, "{form}");
    }
}

#[test]
fn redis_hangs_while_a_crowd_waits() {
    let mut site = site().spread().start();
    site.fill("/warm");
    site.redis.freeze();
    site.backend.set("/x", Answer::ok("x").delay(ms(1000)));
    let crowd = site.crowd(100, "/x");
    assert_eq!(crowd.bodies(), [(b"x".to_vec(), 100)].into());
    assert!(crowd.slowest() < ms(8000), "{:?}", crowd.slowest());
    assert!(site.backend.hits("/x") <= 4, "{}", site.backend.hits("/x"));
    site.redis.thaw();
}

#[test]
fn a_password_that_is_missing_or_wrong() {
    for (name, store) in [("noauth", ""), ("wrongpass", "password wrong;")] {
        let site = site()
            .spread()
            .store(store)
            .start_with(Redis::with_password("secret"));
        survives(name, &site, "SKIP");
        let lines = site.nginx.log().serious(Position::default());
        assert!(!lines.is_empty(), "{name}: logged");
        assert!(
            !lines.iter().any(|line| line.contains("secret")),
            "{name}: {lines:?}"
        );
        assert!(site.redis.keys().is_empty(), "{name}");
    }
}

#[test]
fn a_redis_that_talks_nonsense() {
    let replies: [&[u8]; 3] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*-5\r\n$x\r\n", b""];
    for (number, reply) in replies.into_iter().enumerate() {
        let port = Port::take();
        let listener = port.listen();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    let _ = stream.read(&mut bytes);
                    let _ = stream.write_all(reply);
                });
            }
        });
        let server = format!("server {};", port.address());
        let site = site().spread().store(&server).start();
        survives(&format!("nonsense{number}"), &site, "SKIP");
    }
}

#[test]
fn a_key_of_another_type_is_left_alone() {
    let site = site().start();
    let _: () = site.redis.command(&["RPUSH", "/list", "a", "b"]);
    let _: () = site.redis.command(&["EXPIRE", "/list", "1000"]);
    let _: () = site.redis.command(&["SET", "/string", "text"]);
    let position = site.nginx.log().end();
    let mut client = site.client();
    for _ in 0..10 {
        for path in ["/list", "/string"] {
            let answer = client.get(path);
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "SKIP"),
                "{path}"
            );
        }
    }
    assert_eq!(
        site.redis
            .command::<Vec<String>>(&["LRANGE", "/list", "0", "-1"]),
        ["a", "b"]
    );
    assert!((900_000..=1_000_000).contains(&site.redis.pttl("/list")));
    assert_eq!(site.redis.command::<String>(&["GET", "/string"]), "text");
    assert_eq!(
        site.redis.pttl("/string"),
        -1,
        "an expiry isn't ours to give"
    );
    let lines = site.nginx.log().serious(position);
    assert!((1..=LINES).contains(&lines.len()), "{}", lines.join("\n"));
    // Other keys aren't affected.
    site.fill("/x");
    assert_eq!(client.get("/x").word(), "HIT");
}

#[test]
fn a_record_that_is_broken_is_a_miss_and_is_replaced() {
    let good = r#"{"Content-Type":"text\/plain"}"#;
    let site = site().start();
    let broken = [
        ("json", Record::lua("200", r#"{"Content-Type":"#, "old")),
        ("list", Record::lua("200", "[1,2]", "old")),
        ("empty", Record::lua("200", "", "old")),
        ("status", Record::lua("abc", good, "old")),
        ("status0", Record::lua("", good, "old")),
        ("status99", Record::lua("99", good, "old")),
        ("status1000", Record::lua("1000", good, "old")),
    ];
    for (name, record) in broken {
        let path = format!("/{name}");
        site.redis.put(&path, &record, 150);
        assert_eq!(
            site.fill(&path).text(),
            format!("GET {path} #1\n"),
            "{name}"
        );
        assert_eq!(site.get(&path).word(), "HIT", "{name}");
        assert_eq!(
            site.redis.get(&path).unwrap().header("content-type"),
            ["text/plain"],
            "{name}"
        );
    }
    for field in ["status", "headers", "body"] {
        let path = format!("/without-{field}");
        site.redis.put(&path, &Record::lua_text("old"), 150);
        let _: () = site.redis.command(&["HDEL", &path, field]);
        let answer = site.get(&path);
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "STORE"),
            "{field}"
        );
        assert_eq!(
            site.wait_for_hit(&path).text(),
            format!("GET {path} #1\n"),
            "{field}"
        );
    }
}

#[test]
fn a_redis_that_refuses_to_write_leaves_no_trace() {
    let refusals: [(&str, &[&[&str]]); 3] = [
        (
            "oom",
            &[
                &["CONFIG", "SET", "maxmemory", "1"],
                &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
            ],
        ),
        ("readonly", &[&["REPLICAOF", "127.0.0.1", "1"]]),
        (
            "noreplicas",
            &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
        ),
    ];
    for (name, commands) in refusals {
        let site = site().spread().start();
        site.fill("/before");
        for command in commands {
            let _: () = site.redis.command(command);
        }
        let position = site.nginx.log().end();
        let mut client = site.client();
        for number in 0..20 {
            let answer = client.get(&format!("/{number}"));
            assert_eq!(answer.status, 200, "{name}");
            assert!(
                ["STORE", "SKIP"].contains(&answer.word().as_str()),
                "{name}: {}",
                answer.word()
            );
        }
        assert_eq!(client.get("/before").word(), "HIT", "{name}: reading works");
        assert!(
            holds_for(ms(200), || site.redis.keys() == ["/before"]),
            "{name}: {:?}",
            site.redis.keys()
        );
        let lines = site.nginx.log().serious(position);
        assert!(
            (1..=LINES).contains(&lines.len()),
            "{name}: {} lines:\n{}",
            lines.len(),
            lines.join("\n")
        );
        let crowd = site.crowd(30, "/crowd");
        assert_eq!(crowd.statuses(), [(200, 30)].into(), "{name}");
        if name == "readonly" {
            let _: () = site.redis.command(&["REPLICAOF", "NO", "ONE"]);
            let took = used_again(&site);
            assert!(took < BACK, "{name}: {took:?}");
        }
    }
}

#[test]
fn a_stale_record_is_kept_when_its_refill_cannot_be_stored() {
    let site = site().start();
    let before = site.fill_and_age("/x");
    let _: () = site
        .redis
        .command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    for _ in 0..3 {
        let answer = site.get("/x");
        assert_eq!(
            (answer.word().as_str(), answer.text()),
            ("STALE", before.text())
        );
        site.backend.wait_until_idle("/x");
    }
    assert!(site.redis.pttl("/x") <= 50_000);
}

/// What is promised of a store that is back: a second, with timeouts as they are by default.
const SOON: Duration = ms(1000);

/// How often a time is taken of which the best tells: a busy machine makes it longer, and nothing makes it shorter.
const ROUNDS: usize = 3;

/// After so many attempts in vain there is as much time between two as there ever is.
const ATTEMPTS: usize = 5;

/// Waits until the one worker stores again; gives how long that took.
#[track_caller]
fn idle_once_back(site: &Running) -> Duration {
    wait_for("the store to be used again", PATIENCE, || {
        let answer = site.get(&format!("/back/{}", site.backend.all_hits()));
        assert_eq!(answer.status, 200);
        answer.word() == "STORE"
    })
}

/// Waits until the one worker has tried in vain to reach the store, and a moment ago: no moment to come back is worse.
#[track_caller]
fn has_just_failed(site: &Running, proxy: &Proxy) {
    wait_for("the store to be known to be down", PATIENCE, || {
        site.get("/away").word() == "SKIP"
    });
    let before = proxy.accepted();
    wait_for("attempts", PATIENCE, || {
        proxy.accepted() >= before + ATTEMPTS
    });
    wait_for("the failure of the last", PATIENCE, || proxy.open() == 0);
}

/// Once what `begin` does is undone by `end`, however the moment is chosen, Redis is used again within a second.
#[track_caller]
fn is_used_soon(begin: fn(&mut Running, &Proxy), end: fn(&mut Running, &Proxy)) {
    let timeouts = "connect_timeout 200ms; send_timeout 200ms; read_timeout 200ms; max_fails 1;";
    let site = Site::new().workers(1).store(timeouts);
    let (mut site, proxy) = site.start_behind_a_proxy();
    let times = [(); ROUNDS].map(|()| {
        idle_once_back(&site);
        begin(&mut site, &proxy);
        has_just_failed(&site, &proxy);
        end(&mut site, &proxy);
        idle_once_back(&site)
    });
    println!("{times:?}");
    assert!(times.iter().min() < Some(&SOON), "{times:?}");
}

#[test]
fn a_redis_that_refused_connections_is_used_within_a_second() {
    is_used_soon(|_, proxy| proxy.refuse(), |_, proxy| proxy.heal());
}

#[test]
fn one_that_accepted_and_never_answered_is_used_within_a_second() {
    is_used_soon(
        |_, proxy| proxy.set(Way::Replies, Rule::hold(&Gate::new())),
        |_, proxy| proxy.heal(),
    );
}

#[test]
fn one_that_was_frozen_is_used_within_a_second() {
    is_used_soon(|site, _| site.redis.freeze(), |site, _| site.redis.thaw());
}
