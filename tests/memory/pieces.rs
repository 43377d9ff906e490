//! Large records that lie in memory in several pieces: they come out whole, to fast clients and to slow ones, whatever becomes
//! of the record meanwhile.

use std::fs;
use std::process::Command;

use testbed::{Answer, Client, PATIENCE, Record, Request, Running, Site, pattern, wait_for};

use super::{site, source, warm};

/// Bytes of a record that leaves a hole of its size when it goes.
const HOLE: usize = 60_000;

/// Bytes of a record that fits into no hole.
const LARGE: usize = 700_000;

const MODIFIED: &str = "Thu, 05 Feb 2026 12:00:00 GMT";

fn record(body: &[u8]) -> Record {
    let headers = format!(
        r#"{{"Content-Type":"text\/plain","Last-Modified":"{MODIFIED}","Content-Length":{}}}"#,
        body.len()
    );
    Record::lua("200", headers, body)
}

/// Puts a record into Redis, and reads it as often as it takes to be kept in memory.
#[track_caller]
fn put_and_read_twice(site: &Running, client: &mut Client, target: &str, body: &[u8]) {
    site.redis.put(&site.key(target), &record(body), 600);
    for _ in 0..2 {
        assert!(client.get(target).body == body, "{target}");
    }
}

/// Fills all of the memory, and frees a hole here and there.
fn riddle(site: &Running, client: &mut Client) {
    let body = pattern(HOLE, 1);
    for number in 0..140 {
        put_and_read_twice(site, client, &format!("/hole/{number}"), &body);
    }
    assert_eq!(source(client, "/hole/139"), "memory");
    for number in (0..140).step_by(2) {
        let _: usize = site
            .redis
            .command(&["DEL", &site.key(&format!("/hole/{number}"))]);
    }
    wait_for("the last hole", PATIENCE, || {
        client.get("/hole/138").body != body
    });
}

/// Puts a large record into a memory that is full of holes.
fn put_large(site: &Running, client: &mut Client, target: &str, body: &[u8]) {
    site.redis.put(&site.key(target), &record(body), 600);
    warm(client, target);
}

fn riddled(site: &Site) -> (Running, Client) {
    let site = site.start();
    let mut client = site.client();
    riddle(&site, &mut client);
    (site, client)
}

fn gunzip(site: &Running, bytes: &[u8]) -> Vec<u8> {
    let file = site.nginx.prefix().join("body.gz");
    fs::write(&file, bytes).unwrap();
    let output = Command::new("gzip").arg("-dc").arg(&file).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn they_come_out_whole_and_in_part() {
    let (site, mut client) = riddled(&site("max_object=2m"));
    let body = pattern(LARGE, 2);
    put_large(&site, &mut client, "/large", &body);
    let last = LARGE - 1;
    for (from, to) in [
        (0, 0),
        (0, last),
        (59_999, 60_001),
        (100_000, 500_000),
        (699_000, last),
    ] {
        let range = format!("bytes={from}-{to}");
        let answer = client.ask(&Request::get("/large").header("Range", &range));
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(
            answer.header("x-source").as_deref(),
            Some("memory"),
            "{range}"
        );
        assert!(answer.body == body[from..=to], "{range}");
    }
    let answer = client.ask(&Request::get("/large").header("Range", "bytes=1-9,100000-300000"));
    assert_eq!(answer.status, 206);
    let found = |part: &[u8]| answer.body.windows(part.len()).any(|window| window == part);
    assert!(found(&body[1..=9]) && found(&body[100_000..=300_000]));
    let answer = client.ask(&Request::head("/large"));
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some(LARGE.to_string()))
    );
    let unchanged = Request::get("/large").header("If-Modified-Since", MODIFIED);
    assert_eq!(client.ask(&unchanged).status, 304);
    let answer = client.get("/large");
    assert!(answer.body == body);
    assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
}

#[test]
fn they_go_through_filters_and_into_pages() {
    let (site, mut client) = riddled(&site("max_object=2m").locations(
        "location /page { ssi on; ssi_types text/plain; proxy_pass http://backend; }
                 location /part { redis_cache on; redis_cache_lock locks; redis_cache_pass main; \
                 redis_cache_key $uri; redis_cache_header X-Cache; gzip on; gzip_types text/plain; \
                 add_header X-Source $redis_cache_source always; proxy_pass http://backend; }",
    ));
    let text: String = (0..100_000).map(|number| format!("{number} ")).collect();
    put_large(&site, &mut client, "/part", text.as_bytes());
    let answer = client.ask(&Request::get("/part").header("Accept-Encoding", "gzip"));
    assert_eq!(answer.header("content-encoding").as_deref(), Some("gzip"));
    assert!(gunzip(&site, &answer.body) == text.as_bytes());
    site.backend.set(
        "/page",
        Answer::ok("[<!--# include virtual=\"/part\" -->|<!--# include virtual=\"/part\" -->]")
            .content_type("text/plain"),
    );
    let page = client.get("/page").text();
    let begin: String = page.chars().take(80).collect();
    assert!(
        page == format!("[{text}|{text}]"),
        "{} bytes, {begin}",
        page.len()
    );
    assert_eq!(source(&mut client, "/part"), "memory");
}

#[test]
fn slow_clients_get_what_they_began_with() {
    let (site, mut client) = riddled(&site("max_object=2m"));
    let mut readers = Vec::new();
    for turn in 0..4_u64 {
        let body = pattern(LARGE, 10 + turn);
        put_large(&site, &mut client, "/large", &body);
        wait_for("the new record", PATIENCE, || {
            client.get("/large").body == body
        });
        warm(&mut client, "/large");
        let mut reader = Client::connect_narrow(site.address(), 8 << 10).unwrap();
        reader.send(&Request::get("/large")).unwrap();
        let answer = reader.receive_header().unwrap();
        assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
        readers.push((turn, reader, answer));
    }
    // All else that the memory holds is pushed out, and other bytes lie there.
    let other = pattern(HOLE, 3);
    for number in 0..200 {
        put_and_read_twice(&site, &mut client, &format!("/other/{number}"), &other);
    }
    for (turn, mut reader, mut answer) in readers {
        reader.receive_rest(&mut answer).unwrap();
        assert!(
            answer.complete && answer.body == pattern(LARGE, 10 + turn),
            "{turn}"
        );
    }
    // What they have pinned is free again.
    for number in 0..200 {
        let target = format!("/later/{number}");
        put_and_read_twice(&site, &mut client, &target, &other);
        assert_eq!(source(&mut client, &target), "memory");
    }
}
