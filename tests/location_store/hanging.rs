//! A location that hangs for longer than anybody should wait: its own timeouts are nginx's defaults here.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use testbed::{
    Answer, Gate, Nginx, PATIENCE, Port, Position, Redis, Request, Site, ms, pattern, wait_for,
};

/// A location `/redis` that the backend answers.
const BY_BACKEND: &str =
    "location /redis { internal; proxy_http_version 1.1; proxy_pass http://BACKEND; }
    location = /status { stub_status; }";

/// What Redis says where there is no record.
const NONE: &str = ":-2\r\n*6\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n";

fn site(timeout: &str) -> Site {
    Site::new()
        .location(&format!("redis_cache_pass /redis; {timeout}"))
        .locations(BY_BACKEND)
}

#[test]
fn a_lookup_that_hangs_costs_its_timeout_and_no_more() {
    for (what, timeout, answer) in [
        ("before the answer", "", Answer::ok("").gate(&Gate::new())),
        ("in the answer", "", Answer::ok(NONE).hang_at(3)),
        (
            "longer",
            "redis_cache_pass_timeout 700ms;",
            Answer::ok(NONE).hang_at(3),
        ),
    ] {
        let site = site(timeout).workers(1).start();
        site.backend.set("/redis", answer);
        let first = site.get("/x");
        assert_eq!(
            (first.status, first.word().as_str()),
            (200, "SKIP"),
            "{what}"
        );
        assert_eq!(first.text(), "GET /x #1\n", "{what}");
        let least = if what == "longer" { 700 } else { 200 };
        // nginx's clock may lag behind by a few milliseconds.
        assert!(first.first_byte > ms(least - 20), "{what}: {first:?}");
        assert!(first.last_byte < ms(least + 1500), "{what}: {first:?}");
        let lines = site.nginx.log().serious(Position::default());
        assert_eq!(lines.len(), 1, "{what}: {lines:#?}");
        assert!(
            lines[0].contains("is down: reading a reply timed out"),
            "{what}: {lines:#?}"
        );
        // The exchange has left no connection behind: the only one is that of the question.
        wait_for("the end of the exchange", PATIENCE, || {
            site.get("/status")
                .text()
                .starts_with("Active connections: 1 ")
        });
        site.backend.set("/redis", Answer::ok(NONE));
        wait_for("the store to be used again", PATIENCE, || {
            site.get(&format!("/y{}", site.backend.all_hits())).word() == "STORE"
        });
        site.nginx.finish();
    }
}

#[test]
fn a_store_that_hangs_keeps_neither_the_client_nor_the_worker() {
    let mut site = site("").workers(1).start();
    site.backend.set("/redis?n=2", Answer::ok(NONE));
    site.backend
        .set("/redis?n=1", Answer::ok(":1\r\n").gate(&Gate::new()));
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "STORE"));
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "fill of \"/x\"", PATIENCE);
    assert!(
        line.as_ref()
            .is_some_and(|line| line.ends_with("store failed")),
        "{line:?}"
    );
    let old = site.nginx.reload();
    let took = site.nginx.wait_for_exit(&old, ms(10_000));
    assert!(took < ms(2000), "{took:?}");
}

/// Takes what a location sends it, slowly where it is much, and answers as Redis does that has no record.
fn slow_reader(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || read_slowly(stream));
        }
    });
}

fn read_slowly(mut stream: UnixStream) -> std::io::Result<()> {
    let (mut seen, mut bytes) = (Vec::new(), vec![0; 50_000]);
    let head = loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => seen.extend_from_slice(&bytes[..count]),
        }
        let text = String::from_utf8_lossy(&seen);
        if let Some(end) = text.find("\r\n\r\n") {
            break text[..end + 4].to_owned();
        }
    };
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut left = length - (seen.len() - head.len());
    while left > 0 {
        if length > 1_000_000 {
            thread::sleep(ms(20));
        }
        left -= stream.read(&mut bytes)?.min(left);
    }
    let body = if head.contains("?n=2") {
        NONE
    } else {
        ":1\r\n"
    };
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_long_way_is_no_hanging() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.sock");
    slow_reader(&path);
    let location = format!(
        "location /redis {{ internal; proxy_pass http://unix:{}:; }}",
        path.display()
    );
    let site = Site::new()
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 500ms;")
        .locations(&location)
        .start();
    // At 50 kB per 20 ms it takes more than a second to take it all.
    site.backend.set("/big", Answer::ok(pattern(3_000_000, 1)));
    assert_eq!(site.get("/big").word(), "STORE");
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "fill of \"/big\"", PATIENCE);
    assert!(
        line.as_ref().is_some_and(|line| line.ends_with(": stored")),
        "{line:?}"
    );
}

#[test]
fn worker_shutdown_timeout_ends_an_exchange() {
    for storing in [false, true] {
        let (port, redis, backend) = (Port::take(), Redis::stopped(&[]), testbed::Backend::start());
        let conf = site("redis_cache_pass_timeout 60s;")
            .conf(port.address(), &redis, &backend)
            .replace(
                "worker_shutdown_timeout 20s;",
                "worker_shutdown_timeout 1s;",
            );
        let gate = Gate::new();
        if storing {
            backend.set("/redis?n=2", Answer::ok(NONE));
            let gate = gate.clone();
            backend.script("/redis?n=1", move |_, nth| match nth {
                // the fence
                1 => Answer::ok("$-1\r\n"),
                _ => Answer::ok(":1\r\n").gate(&gate),
            });
        } else {
            backend.set("/redis", Answer::ok(NONE).gate(&gate));
        }
        let mut nginx = Nginx::start(&conf, port.address());
        let mut client = nginx.client();
        client.send(&Request::get("/x")).unwrap();
        if storing {
            assert_eq!(client.receive().unwrap().word(), "STORE");
            backend.wait_for_hits("/redis?n=1", 2);
        } else {
            backend.wait_for_hits("/redis?n=2", 1);
        }
        let old = nginx.reload();
        let took = nginx.wait_for_exit(&old, ms(10_000));
        assert!(took < ms(3500), "{storing}: {took:?}");
        let log = nginx.log();
        let lines = log.serious(Position::default());
        assert!(lines.is_empty(), "{storing}: {lines:#?}");
        let stored = log.matching(Position::default(), "fill of \"/x\": stored");
        assert!(stored.is_empty(), "{stored:#?}");
        gate.open();
        nginx.finish();
    }
}
