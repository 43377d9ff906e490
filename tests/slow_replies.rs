//! Replies that come slowly, and large ones that nobody waits for any more: nobody pays for them but those who asked.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use testbed::{
    Ending, Port, Position, Proxy, Record, Redis, Request, Rule, Running, Site, Way, ms, pattern,
};

/// Much less than a reply takes whose bytes come one by one.
const TIMEOUTS: &str =
    "connect_timeout 200ms; send_timeout 200ms; read_timeout 200ms; max_fails 1;";

fn behind(store: &str) -> (Running, Proxy) {
    Site::new().workers(1).store(store).start_behind_a_proxy()
}

/// Each byte comes in time, the whole doesn't.
#[test]
fn a_reply_that_drips_is_given_up_as_a_whole() {
    for (what, cut) in [("a lookup", false), ("a greeting", true)] {
        let (site, proxy) = behind(TIMEOUTS);
        site.fill("/x");
        proxy.set(Way::Replies, Rule::trickle(1, ms(150)));
        if cut {
            proxy.cut();
        }
        let answer = site.get("/x");
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "SKIP"),
            "{what}"
        );
        // Five times 200 ms, and as much again for a busy machine.
        assert!(
            answer.last_byte < ms(2500),
            "{what}: {:?}",
            answer.last_byte
        );
        let lines = site.nginx.log().serious(Position::default());
        assert_eq!(lines.len(), 1, "{what}: {lines:#?}");
        assert!(
            lines[0].contains("is down: reading a reply took too long"),
            "{what}: {lines:#?}"
        );
        proxy.heal();
        site.wait_for_hit("/x");
        site.nginx.finish();
    }
}

/// The same where the store is a location.
#[test]
fn a_location_whose_answer_drips_is_given_up_as_a_whole() {
    let (port, dripping) = (Port::take(), AtomicUsize::new(0));
    let listener = port.listen();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            for byte in b":-2\r\n*6\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n" {
                thread::sleep(ms(150));
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
            }
            dripping.fetch_add(1, Ordering::SeqCst);
        }
    });
    let location = format!(
        "location /redis {{ internal; proxy_buffering off; proxy_pass http://{}; }}",
        port.address()
    );
    let site = Site::new()
        .workers(1)
        .location("redis_cache_pass /redis;")
        .locations(&location)
        .start();
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    assert!(answer.last_byte < ms(2500), "{:?}", answer.last_byte);
    site.nginx.finish();
}

/// A slow link may take its time for a large record.
#[test]
fn a_large_record_on_a_slow_link_is_a_hit() {
    let (site, proxy) = behind("connect_timeout 2s; send_timeout 2s; read_timeout 400ms;");
    let body = pattern(600_000, 3);
    let record = Record::lua("200", "{}", body.clone());
    site.redis.put("/x", &record, 600);
    proxy.set(Way::Replies, Rule::trickle(8_000, ms(50)));
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "HIT"));
    assert!(answer.body == body);
    // Longer than five times 400 ms.
    assert!(answer.last_byte > ms(2500), "{:?}", answer.last_byte);
    assert_eq!(site.nginx.log().serious(Position::default()), [""; 0]);
    site.nginx.finish();
}

/// Clients that ask for large records and are gone at once are no trouble of the store, and of nobody else.
#[test]
fn large_records_that_nobody_waits_for_any_more_hold_up_no_others() {
    for (what, keys) in [("one record", 1), ("several records", 4)] {
        let redis = Redis::start();
        let site = Site::new()
            .workers(1)
            .store("connect_timeout 1s; send_timeout 1s; read_timeout 1s;")
            .start_with(redis);
        for number in 0..keys {
            let record = Record::lua("200", "{}", pattern(24 << 20, number));
            site.redis.put(&format!("/big/{number}"), &record, 600);
        }
        site.fill("/small");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _ending = Ending::raises(&over);
            for thread in 0..4 {
                let (site, over) = (&site, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let mut client = site.client();
                        let path = format!("/big/{}", thread % keys);
                        client.send(&Request::get(&path)).unwrap();
                        thread::sleep(ms(2));
                        client.reset();
                    }
                });
            }
            let mut words = std::collections::BTreeMap::new();
            let mut slowest = ms(0);
            for _ in 0..200 {
                let answer = site.get("/small");
                slowest = slowest.max(answer.last_byte);
                *words.entry(answer.word()).or_insert(0) += 1;
                thread::sleep(ms(5));
            }
            println!("{what}: {words:?}, slowest {slowest:?}");
            assert_eq!(
                words,
                [(String::from("HIT"), 200)].into(),
                "{what}: {slowest:?}"
            );
        });
        let lines = site.nginx.log().serious(Position::default());
        assert!(lines.is_empty(), "{what}: {lines:#?}");
        site.nginx.finish();
    }
}
