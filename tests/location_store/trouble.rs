//! Redis in trouble behind a location: the same outcomes as over connections of the module's own.

use std::collections::BTreeSet;
use std::time::Instant;

use testbed::{
    Answer, Backend, Bridge, Conf, Nginx, PATIENCE, Port, Position, Redis, Request, Running, Site,
    eventually, holds_for, ms, wait_for,
};

use crate::{forms, over, start};

/// Clients notice nothing but SKIP; the backend is asked once for many; the log says it once in each of two workers.
#[track_caller]
fn survives(name: &str, site: &Running) {
    let position = site.nginx.log().end();
    let mut client = site.client();
    for number in 0..20 {
        let answer = client.get(&format!("/{name}/{number}"));
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "SKIP"),
            "{name}"
        );
        assert!(
            answer.last_byte < ms(5000),
            "{name}: {:?}",
            answer.last_byte
        );
    }
    let path = format!("/{name}/crowd");
    site.backend.set(&path, Answer::ok("same").delay(ms(1000)));
    let crowd = site.crowd(50, &path);
    assert_eq!(crowd.bodies(), [(b"same".to_vec(), 50)].into(), "{name}");
    assert!(
        site.backend.hits(&path) <= 4,
        "{name}: {}",
        site.backend.hits(&path)
    );
    let lines = site.nginx.log().serious(position);
    let ours: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("redis store"))
        .collect();
    assert!((1..=2).contains(&ours.len()), "{name}: {ours:#?}");
    assert!(
        ours[0].contains("\"/redis\"") && ours[0].contains("is down"),
        "{name}: {ours:#?}"
    );
}

/// Until both workers store again.
#[track_caller]
fn used_again(name: &str, site: &Running) {
    let start = Instant::now();
    let mut workers = BTreeSet::new();
    wait_for("the store to be used again", PATIENCE, || {
        let path = format!("/again/{}", site.backend.all_hits());
        let answer = site.get(&path);
        assert_eq!(answer.status, 200);
        if answer.word() == "STORE" && eventually(ms(300), || site.redis.get(&path)).is_some() {
            workers.insert(answer.header("x-worker"));
        }
        workers.len() == 2
    });
    // A second is promised; a busy machine has its own.
    assert!(start.elapsed() < ms(4000), "{name}: {:?}", start.elapsed());
}

#[test]
fn redis_that_is_down_or_hangs() {
    for hang in [false, true] {
        let (mut site, _bridge) = start();
        let name = if hang { "hangs" } else { "down" };
        site.fill("/x");
        if hang {
            site.redis.freeze();
        } else {
            site.redis.stop();
        }
        survives(name, &site);
        if hang {
            site.redis.thaw();
        } else {
            site.redis.run();
        }
        used_again(name, &site);
        site.nginx.finish();
    }
}

/// A store behind a location is asked again by a request, if it has been left alone for long enough.
#[test]
fn a_store_that_is_back_is_used_within_a_second() {
    let timeout = "redis_cache_pass /redis; redis_cache_pass_timeout 200ms;";
    let (mut site, bridge) = over(&Site::new().workers(1).location(timeout), Redis::start());
    let times = [(); 3].map(|()| {
        site.wait_for_hit("/x");
        site.redis.freeze();
        // By then as much time is between two attempts as ever is, and the last was a moment ago.
        let attempts = bridge.requests().len() + 6;
        wait_for("attempts", PATIENCE, || {
            let skipped = site.get("/x").word() == "SKIP";
            skipped && bridge.requests().len() >= attempts && bridge.under_way() == 0
        });
        site.redis.thaw();
        wait_for("the store to be used again", PATIENCE, || {
            site.get("/x").word() == "HIT"
        })
    });
    println!("frozen: {times:?}");
    // Of what the module itself takes the best time tells, on a busy machine too.
    assert!(times.iter().min() < Some(&ms(1000)), "{times:?}");
}

#[test]
fn an_answer_that_is_none() {
    let answers: [(&str, u16, &[u8]); 9] = [
        ("empty", 200, b""),
        ("short", 200, b":-2\r\n"),
        ("cut", 200, b":-2\r\n*6\r\n$-1\r\n$-"),
        ("nonsense", 200, b"<html>"),
        ("other", 200, b"+OK\r\n+OK\r\n"),
        ("huge", 200, b":1\r\n*6\r\n$9999999999999\r\n"),
        (
            "status",
            404,
            b":-2\r\n*6\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
        ),
        ("nobody", 204, b""),
        (
            "loading",
            200,
            b"-LOADING Redis is loading\r\n-LOADING Redis is loading\r\n",
        ),
    ];
    for (name, status, body) in answers {
        let (site, bridge) = start();
        bridge.answer_instead(status, body);
        if name == "huge" {
            // The key's own trouble, as over a connection: nothing is said of the store.
            assert_eq!(site.get("/x").word(), "SKIP");
            continue;
        }
        survives(name, &site);
        bridge.answer();
        used_again(name, &site);
    }
}

#[test]
fn a_location_that_does_not_exist() {
    let site = Site::new()
        .location("redis_cache_pass /nowhere;")
        .locations("location /nowhere { internal; return 404; }")
        .start();
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
}

#[test]
fn a_key_of_another_type_is_left_alone() {
    let (site, _bridge) = start();
    let _: () = site.redis.command(&["RPUSH", "/list", "a"]);
    for _ in 0..5 {
        let answer = site.get("/list");
        assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    }
    assert_eq!(site.redis.pttl("/list"), -1, "an expiry isn't ours to give");
    let lines = site.nginx.log().serious(Position::default());
    assert!((1..=2).contains(&lines.len()), "{lines:#?}");
    site.fill("/x");
    assert_eq!(site.get("/x").word(), "HIT");
}

#[test]
fn a_redis_that_refuses_to_write() {
    let (site, _bridge) = start();
    site.fill("/before");
    let _: () = site
        .redis
        .command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let mut client = site.client();
    for number in 0..10 {
        assert_eq!(client.get(&format!("/{number}")).status, 200);
    }
    assert_eq!(client.get("/before").word(), "HIT");
    assert!(holds_for(ms(100), || site.redis.keys() == ["/before"]));
    let lines = site.nginx.log().serious(Position::default());
    assert!((1..=2).contains(&lines.len()), "{lines:#?}");
    assert!(lines[0].contains("refuses writes"), "{lines:#?}");
}

#[test]
fn without_a_free_connection_the_request_passes() {
    let (redis, backend, port) = (Redis::start(), Backend::start(), Port::take());
    let bridge = Bridge::start(&redis.address());
    let [(_, site), _] = forms();
    let site = site.workers(1).locations(&bridge.locations());
    let conf = site.conf(port.address(), &redis, &backend);
    let conf = Conf::new(
        conf.text()
            .replace("worker_connections 2048", "worker_connections 24"),
    );
    let mut nginx = Nginx::start(&conf, port.address());
    nginx.allow("worker_connections are not enough");
    nginx.allow("open socket");
    nginx.client().get("/x");
    redis.wait_for_record("/x");
    let (mut held, mut words) = (Vec::new(), Vec::new());
    for number in 0..24 {
        let Ok(answer) = nginx.client().exchange(&Request::get("/x")) else {
            break;
        };
        if answer.status == 500 {
            break;
        }
        assert_eq!(answer.status, 200, "with {number} connections held");
        words.push(answer.word());
        // Neither idle, which nginx would close for us, nor a request yet.
        let mut client = nginx.client();
        client.send_raw(b"GET /").unwrap();
        held.push(client);
    }
    words.dedup();
    assert_eq!(words, ["HIT", "SKIP"]);
    held.clear();
    wait_for("a hit", PATIENCE, || {
        nginx.client().get("/x").word() == "HIT"
    });
}
