//! Replies in odd pieces, with nonsense in them, late, or too many.

use std::time::{Duration, Instant};
use testbed::{Answer, PATIENCE, Request, Rule, Site, Way, ms, pattern, wait_for};

use crate::{TIMEOUTS, behind, is_whole, recovers};

#[test]
fn replies_split_in_two_at_every_byte() {
    let (site, proxy) = behind(Site::new().workers(1), "connections 1;");
    let answer = Answer::ok("the body\r\n$5\r\nof it").header("X-Own", "yes");
    site.backend.set("/x", answer);
    let stored = site.fill("/x");
    let mut client = site.client();
    wait_for("one that hears of invalidations", PATIENCE, || {
        let clients: String = site.redis.command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        clients.lines().count() == 1
    });
    let before = proxy.passed(Way::Replies);
    assert_eq!(client.get("/x").word(), "HIT");
    let length = proxy.passed(Way::Replies) - before;
    assert!(length > 50, "{length}");
    for at in 1..length {
        proxy.set(Way::Replies, Rule::split(at, ms(1)));
        let hit = client.get("/x");
        assert_eq!(hit.word(), "HIT", "split at {at}");
        is_whole(&format!("split at {at}"), &hit, &stored.body);
        assert_eq!(hit.header("x-own").as_deref(), Some("yes"), "split at {at}");
    }
    assert_eq!(site.backend.hits("/x"), 1);
    assert_eq!(proxy.accepted(), 2, "no connection was given up");
}

#[test]
fn replies_and_commands_byte_by_byte() {
    for way in [Way::Replies, Way::Commands] {
        let (site, proxy) = behind(Site::new(), "");
        proxy.set(way, Rule::trickle(1, Duration::ZERO));
        for size in [0, 1, 20_000] {
            let path = format!("/{size}");
            let body = pattern(size, 1);
            site.backend.set(&path, Answer::ok(body.clone()));
            is_whole(&path, &site.fill(&path), &body);
            let hit = site.get(&path);
            assert_eq!(hit.word(), "HIT", "{way:?} {size}");
            is_whole(&path, &hit, &body);
            assert_eq!(site.backend.hits(&path), 1, "{way:?} {size}");
        }
    }
}

#[test]
fn pipelined_replies_in_odd_pieces_reach_whom_they_belong_to() {
    let (site, proxy) = behind(Site::new().workers(1), "connections 1;");
    for number in 0..20 {
        let body = pattern(500 + number * 997, number as u64);
        site.backend.set(&format!("/{number}"), Answer::ok(body));
        site.fill(&format!("/{number}"));
    }
    for size in [7, 61, 1000] {
        proxy.set(Way::Replies, Rule::trickle(size, Duration::ZERO));
        let crowd = testbed::crowd(site.address(), 60, |number| {
            Request::get(&format!("/{}", number % 20))
        });
        for (number, answer) in crowd.answers().into_iter().enumerate() {
            let number = number % 20;
            let body = pattern(500 + number * 997, number as u64);
            is_whole(&format!("pieces of {size}, /{number}"), answer, &body);
            assert_eq!(answer.word(), "HIT");
        }
    }
}

#[test]
fn garbage_instead_of_replies() {
    let deep = b"*1\r\n".repeat(100_000);
    let garbage: Vec<(&str, Vec<u8>)> = vec![
        ("error", b"-ERR whatever\r\n".to_vec()),
        ("number", b":5\r\n".to_vec()),
        ("numbers", b":1\r\n:1\r\n:1\r\n".to_vec()),
        ("ok", b"+OK\r\n".to_vec()),
        ("nil", b"$-1\r\n*-1\r\n".to_vec()),
        (
            "few fields",
            b":50000\r\n*2\r\n$3\r\n200\r\n$2\r\n{}\r\n".to_vec(),
        ),
        (
            "many fields",
            [b":50000\r\n*9\r\n".to_vec(), b"$1\r\nx\r\n".repeat(9)].concat(),
        ),
        (
            "nested fields",
            b":50000\r\n*6\r\n*1\r\n:1\r\n$2\r\n{}\r\n$1\r\nx\r\n$-1\r\n$-1\r\n$-1\r\n".to_vec(),
        ),
        ("number of fields", b":50000\r\n*4000000000\r\n".to_vec()),
        ("negative", b":50000\r\n*-7\r\n".to_vec()),
        ("huge", b":50000\r\n*6\r\n$999999999999\r\nx".to_vec()),
        ("overflow", b"$99999999999999999999999999\r\n".to_vec()),
        ("no digits", b"$abc\r\n".to_vec()),
        ("bare lf", b":1\n*0\n".to_vec()),
        ("nul", vec![0; 1000]),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        ),
        ("endless line", vec![b'+'; 300_000]),
        ("deep", deep),
        ("noise", pattern(10_000, 7)),
    ];
    let (site, proxy) = behind(Site::new().workers(1), TIMEOUTS);
    for (name, bytes) in garbage {
        let path = format!("/{}", name.replace(' ', "-"));
        let before = site.fill(&path);
        proxy.set(Way::Replies, Rule::replace(bytes));
        for turn in 0..4 {
            let start = Instant::now();
            let answer = site.get(&path);
            assert_eq!(answer.status, 200, "{name}");
            let hits = site.backend.hits(&path);
            let fresh = format!("GET {path} #{hits}\n");
            assert!(
                answer.body == before.body || answer.text() == fresh,
                "{name}, turn {turn}: {}",
                answer.text()
            );
            assert!(start.elapsed() < ms(4000), "{name}: {:?}", start.elapsed());
            is_whole(name, &site.get(&format!("{path}/other")), &{
                let hits = site.backend.hits(&format!("{path}/other"));
                format!("GET {path}/other #{hits}\n").into_bytes()
            });
        }
        recovers(name, &site, &proxy, &path);
    }
    site.nginx.finish();
}

/// Every end of a greeting leaves the store down until the next attempt, which comes.
#[test]
fn a_greeting_that_is_too_large_is_no_end_of_the_attempts() {
    let (site, proxy) = behind(Site::new().workers(1), TIMEOUTS);
    site.fill("/x");
    let loading = b"-LOADING Redis is loading the dataset in memory\r\n";
    proxy.set(Way::Replies, Rule::replace(loading.to_vec()));
    assert_eq!(site.get("/x").word(), "SKIP");
    proxy.set(Way::Replies, Rule::replace(b"$999999999\r\n".to_vec()));
    let before = proxy.accepted();
    testbed::wait_for("another attempt", testbed::PATIENCE, || {
        proxy.accepted() >= before + 2
    });
    recovers("greeting", &site, &proxy, "/x");
    site.nginx.finish();
}

#[test]
fn a_reply_too_many_is_never_taken_for_the_next_one() {
    let (site, proxy) = behind(
        Site::new().workers(1),
        &format!("connections 1; {TIMEOUTS}"),
    );
    let bodies: Vec<Vec<u8>> = (0..4).map(|seed| pattern(300, seed)).collect();
    for (number, body) in bodies.iter().enumerate() {
        site.backend
            .set(&format!("/{number}"), Answer::ok(body.clone()));
        site.fill(&format!("/{number}"));
    }
    proxy.set(Way::Replies, Rule::change(|bytes| [bytes, bytes].concat()));
    for turn in 0..40 {
        let number = turn % 4;
        let answer = site.get(&format!("/{number}"));
        is_whole(&format!("/{number}"), &answer, &bodies[number]);
    }
    recovers("doubled", &site, &proxy, "/0");
}

#[test]
fn a_slow_redis_within_and_beyond_its_read_timeout() {
    let (site, proxy) = behind(Site::new().workers(1), TIMEOUTS);
    let stored = site.fill("/x");
    proxy.set(Way::Replies, Rule::delay(ms(100)));
    for _ in 0..3 {
        let hit = site.get("/x");
        assert_eq!(hit.word(), "HIT", "100 ms of 500 ms");
        is_whole("within", &hit, &stored.body);
    }
    proxy.set(Way::Replies, Rule::delay(ms(1500)));
    let position = site.nginx.log().end();
    let start = Instant::now();
    for number in 0..20 {
        let path = format!("/{number}");
        let answer = site.get(&path);
        is_whole("beyond", &answer, format!("GET {path} #1\n").as_bytes());
        assert!(answer.last_byte < ms(4000), "{:?}", answer.last_byte);
    }
    let took = start.elapsed();
    assert!(took < ms(6000), "20 requests took {took:?}");
    let lines = site.nginx.log().serious(position);
    assert!(lines.len() <= 4, "{}", lines.join("\n"));
    recovers("slow", &site, &proxy, "/x");
}

#[test]
fn a_large_record_may_take_longer_than_the_read_timeout_while_it_flows() {
    let (site, proxy) = behind(Site::new().workers(1), TIMEOUTS);
    let body = pattern(200_000, 3);
    site.backend.set("/x", Answer::ok(body.clone()));
    site.fill("/x");
    proxy.set(Way::Replies, Rule::trickle(10_000, ms(60)));
    let hit = site.get("/x");
    assert!(hit.last_byte > ms(1000), "{:?}", hit.last_byte);
    assert_eq!(hit.word(), "HIT", "500 ms is between two reads");
    is_whole("flowing", &hit, &body);
}
