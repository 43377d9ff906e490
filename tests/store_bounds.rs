//! What a store's block bounds: how long connecting and sending may take, and how many connections there are. And what
//! writing takes of the server's memory beside records: a few scripts.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Ending, Gate, PATIENCE, Position, Proxy, Redis, Request, Rule, Site, Way, crowd, ms,
    pattern, wait_for,
};

/// A time that a test gives to what it is about; the others are `LONG`.
const SHORT: Duration = ms(500);
const LONG: &str = "20s";

/// More than all that kernels buffer between two sockets.
const LARGE: usize = 32 << 20;

/// Connects to a server that doesn't accept until no further connection can be made.
fn fill_backlog(address: &str) -> Vec<TcpStream> {
    let address = address.parse().unwrap();
    let mut waiting = Vec::new();
    loop {
        match TcpStream::connect_timeout(&address, ms(300)) {
            Ok(stream) => waiting.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                return waiting;
            }
        }
        assert!(waiting.len() < 100, "{} connections wait", waiting.len());
    }
}

#[test]
fn connecting_takes_no_longer_than_connect_timeout() {
    let mut redis = Redis::with_options(&["--tcp-backlog", "1"]);
    redis.freeze();
    let waiting = fill_backlog(&redis.address());
    let store = format!("connect_timeout 500ms; send_timeout {LONG}; read_timeout {LONG};");
    let mut site = Site::new().workers(1).store(&store).start_with(redis);
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    assert!(
        answer.last_byte + ms(20) >= SHORT && answer.last_byte < ms(10_000),
        "{:?}",
        answer.last_byte
    );
    let lines = site.nginx.log().serious(Position::default());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].contains("is down: connecting timed out"),
        "{lines:#?}"
    );
    drop(waiting);
    site.redis.thaw();
    site.wait_for_hit("/x");
}

#[test]
fn a_server_that_reads_nothing_is_given_up_after_send_timeout() {
    let store =
        format!("connect_timeout {LONG}; send_timeout 500ms; read_timeout {LONG}; max_fails 1;");
    let mut site = Site::new()
        .workers(1)
        .store(&store)
        .location("redis_cache_max_size 64m;")
        .start();
    let (gate, body) = (Gate::new(), pattern(LARGE, 1));
    site.backend
        .set("/x", Answer::ok(body.clone()).gate_at(LARGE - 1000, &gate));
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    let mut answer = client.receive_header().unwrap();
    client.receive_until(&mut answer, LARGE / 2).unwrap();

    // Its connection has been greeted, and has taken a lookup.
    let position = site.nginx.log().end();
    site.redis.freeze();
    let start = Instant::now();
    gate.open();
    client.receive_rest(&mut answer).unwrap();
    assert!(answer.complete && answer.body == body);
    let line =
        site.nginx
            .log()
            .wait_for(position, "is down: sending a command timed out", PATIENCE);
    assert!(line.is_some(), "{:#?}", site.nginx.log().since(position));
    let took = start.elapsed();
    assert!(took + ms(20) >= SHORT && took < ms(10_000), "{took:?}");
    site.wait_for_fills(1);

    site.redis.thaw();
    site.backend.set("/x", Answer::ok(body.clone()));
    assert!(site.wait_for_hit("/x").body == body);
    assert!(site.redis.keys_without_expiry().is_empty());
}

/// The time is that between two writes, not that of a command.
#[test]
fn a_server_that_reads_slowly_may_take_longer() {
    let timeouts = format!("connect_timeout {LONG}; send_timeout 2s; read_timeout {LONG};");
    let (site, proxy) = Site::new()
        .workers(1)
        .store(&timeouts)
        .location("redis_cache_max_size 64m;")
        .start_behind_a_proxy();
    let body = pattern(LARGE, 2);
    site.backend.set("/x", Answer::ok(body.clone()));
    // 256 kB at a time at most.
    proxy.set(Way::Commands, Rule::delay(ms(40)));
    let start = Instant::now();
    assert!(site.get("/x").body == body);
    site.wait_for_fills(1);
    let took = start.elapsed();
    assert!(took > ms(4000), "{took:?} is too short to tell");
    assert!(site.redis.wait_for_record("/x").body == body);
    let lines = site.nginx.log().serious(Position::default());
    assert!(lines.is_empty(), "{lines:#?}");
}

/// How many connections of the module Redis sees.
fn connections(redis: &Redis) -> usize {
    let list: String = redis.command(&["CLIENT", "LIST"]);
    list.lines()
        .filter(|line| line.contains(" user=cache "))
        .count()
}

/// Large bodies to be read and written over a slow way, so that every connection has much ahead of it.
#[test]
fn connections_are_never_more_than_allowed() {
    for (workers, most) in [(1, 1), (1, 3), (2, 2)] {
        let redis = Redis::start();
        let _: () = redis.command(&["ACL", "SETUSER", "cache", "on", ">secret", "~*", "+@all"]);
        let proxy = Proxy::start(&redis.address());
        let store = format!(
            "server {}; connections {most}; username cache; password secret;",
            proxy.address()
        );
        let site = Site::new()
            .spread()
            .workers(workers)
            .store(&store)
            .start_with(redis);
        let body = pattern(600_000, 3);
        site.backend.set_otherwise(Answer::ok(body.clone()));
        for number in 0..10 {
            site.fill(&format!("/there/{number}"));
        }
        for way in [Way::Commands, Way::Replies] {
            proxy.set(way, Rule::delay(ms(10)));
        }
        let (over, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let _ending = Ending::raises(&over);
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    seen.fetch_max(connections(&site.redis), Ordering::SeqCst);
                }
            });
            for round in 0..10 {
                // Once all are there it goes on for a while.
                if round >= 3 && seen.load(Ordering::SeqCst) >= workers * most {
                    break;
                }
                let load = crowd(site.address(), 60, |number| {
                    Request::get(&match number % 3 {
                        0 => format!("/new/{round}/{number}"),
                        _ => format!("/there/{}", number % 10),
                    })
                });
                assert_eq!(load.bodies(), [(body.clone(), 60)].into());
            }
        });
        assert_eq!(
            seen.into_inner(),
            workers * most,
            "{workers} workers with {most} connections each at most"
        );
        assert!(proxy.open() <= workers * most);
        site.nginx.finish();
    }
}

/// The number of scripts that a server keeps.
fn scripts(redis: &Redis) -> usize {
    let info: String = redis.command(&["INFO", "memory"]);
    let line = "number_of_cached_scripts:";
    let count = info.lines().find_map(|known| known.strip_prefix(line));
    count.and_then(|count| count.trim().parse().ok()).unwrap()
}

/// Each script is one constant text, whatever is written by it.
#[test]
fn a_thousand_writes_leave_as_many_scripts_as_there_are() {
    let site = Site::new()
        .spread()
        .http("keepalive_requests 1000000;")
        .start();
    let validated = "/validated";
    site.backend.script("/x", |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(language).header("Vary", "Accept-Language")
    });
    site.backend.script(validated, |request, _| {
        let status = if request.header("if-none-match").is_some() {
            304
        } else {
            200
        };
        let answer = if status == 304 {
            Answer::of(304, "")
        } else {
            Answer::ok("whole")
        };
        answer
            .header("ETag", "\"1\"")
            .header("Cache-Control", "max-age=60, must-revalidate")
    });
    assert_eq!(scripts(&site.redis), 0);
    let mut client = site.client();
    for number in 0..1000 {
        assert_eq!(client.get(&format!("/page/{number}")).word(), "STORE");
    }
    for language in ["en", "de", "fr"] {
        let request = Request::get("/x").header("Accept-Language", language);
        assert_eq!(client.ask(&request).word(), "STORE");
    }
    site.wait_for_fills(1003);
    site.fill_and_age(validated);
    assert_eq!(site.get(validated).happened(), "REVALIDATED");
    wait_for("all writes", PATIENCE, || site.redis.calls("eval") >= 1005);
    // One that stores, one for variants, one for what a 304 changes.
    assert_eq!(scripts(&site.redis), 3);
    assert_eq!(site.redis.keys().len(), 1000 + 3 + 1);
}
