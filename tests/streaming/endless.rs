//! Answers that go on as long as somebody reads them, and those that hardly end.

use testbed::{
    Answer, Client, PATIENCE, Request, Response, Running, Site, holds_for, ms, wait_for,
};

use crate::unbuffered;

/// A backend that tells each client who it is, and then what happens.
fn events(site: &Running, path: &str, kind: impl Fn(Answer) -> Answer + Send + Sync + 'static) {
    site.backend.script(path, move |_, number| {
        kind(Answer::ok(format!("data: {number}\n\n")).chunked()).endless(ms(20))
    });
}

/// A client that has read this much of an endless answer.
#[track_caller]
fn reader(site: &Running, path: &str, bytes: usize) -> (Client, Response) {
    let mut client = site.client();
    client.send(&Request::get(path)).unwrap();
    let mut answer = client.receive_header().unwrap();
    client.receive_until(&mut answer, bytes).unwrap();
    (client, answer)
}

#[track_caller]
fn ends(site: &Running, path: &str, what: &str) {
    let took = wait_for(what, PATIENCE, || site.backend.under_way(path) == 0);
    println!("{what}: {path} ended after {took:?}");
}

type Kind = fn(Answer) -> Answer;

const EVENTS: [(&str, Kind); 4] = [
    ("/events", |answer| answer.content_type("text/event-stream")),
    ("/type", |answer| {
        answer.content_type("Text/Event-Stream; charset=utf-8")
    }),
    ("/unbuffered", |answer| {
        answer.header("X-Accel-Buffering", "no")
    }),
    ("/frames", |answer| {
        answer.content_type("multipart/x-mixed-replace; boundary=x")
    }),
];

#[test]
fn an_event_stream_is_for_the_client_that_asked_for_it() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site).start();
        for (path, kind) in EVENTS {
            events(&site, path, kind);
            let first = reader(&site, path, 30);
            let second = reader(&site, path, 30);
            for (number, (_, answer)) in [&first, &second].into_iter().enumerate() {
                let text = format!("data: {}\n\ndata: {0}\n\n", number + 1);
                assert!(
                    answer.text().starts_with(&text),
                    "{form} {path}: {}",
                    answer.text()
                );
                assert_eq!(answer.word(), "SKIP", "{form} {path}");
            }
            drop(first);
            wait_for("the end of one", PATIENCE, || {
                site.backend.under_way(path) == 1
            });
            drop(second);
            ends(&site, path, form);
        }
        assert!(site.redis.keys().is_empty(), "{form}");
        site.nginx.finish();
    }
}

#[test]
fn a_refill_that_brings_an_event_stream_ends_at_once() {
    let site = unbuffered(Site::new()).start();
    site.fill_and_age("/x");
    events(&site, "/x", |answer| {
        answer.content_type("text/event-stream")
    });
    assert_eq!(site.get("/x").word(), "STALE");
    site.backend.wait_for_hits("/x", 2);
    ends(&site, "/x", "the refill");
    site.nginx.finish();
}

#[test]
fn what_has_a_length_is_stored_though_it_is_not_to_be_buffered() {
    let site = Site::new().start();
    let header = "X-Accel-Buffering";
    site.backend.set("/x", Answer::ok("x").header(header, "no"));
    site.fill("/x");
    assert_eq!(site.get("/x").word(), "HIT");
    // Nor does the field count where the configuration says so.
    let site = Site::new()
        .location("proxy_ignore_headers X-Accel-Buffering;")
        .start();
    let answer = Answer::ok("x").header(header, "no").chunked();
    site.backend.set("/x", answer);
    site.fill("/x");
    assert_eq!(site.get("/x").word(), "HIT");
}

#[test]
fn an_answer_that_hardly_ends_is_given_up_when_nobody_reads_it() {
    let cases = [
        (
            "redis_cache_capture_timeout 500ms;",
            "x",
            20,
            "capture timeout",
        ),
        (
            "redis_cache_max_size 10k;",
            "0123456789abcdef",
            1,
            "too large",
        ),
        (
            "redis_cache_capture_memory 10k;",
            "0123456789abcdef",
            1,
            "capture memory full",
        ),
    ];
    for (settings, piece, pause, reason) in cases {
        for (form, site) in Site::forms() {
            let site = unbuffered(site).location(settings).start();
            let answer = Answer::ok(piece).chunked().endless(ms(pause));
            site.backend.set("/x", answer);
            let (client, answer) = reader(&site, "/x", 50);
            assert_eq!(answer.word(), "STORE", "{form}");
            drop(client);
            ends(&site, "/x", reason);
            let line = format!("redis_cache: fill of \"{}\": {reason}", site.key("/x"));
            wait_for(&line, PATIENCE, || {
                site.nginx.log().lines().concat().contains(&line)
            });
            site.wait_for_quiet_zone();
            site.nginx.finish();
        }
    }
}

#[test]
fn an_answer_that_hardly_ends_goes_on_for_its_readers() {
    let site = unbuffered(Site::new())
        .location("redis_cache_capture_timeout 300ms;")
        .start();
    let answer = Answer::ok("0123456789").chunked().endless(ms(20));
    site.backend.set("/x", answer);
    let (mut first, mut answer) = reader(&site, "/x", 10);
    let (mut second, mut other) = reader(&site, "/x", 10);
    assert_eq!(
        (answer.word(), other.word()),
        ("STORE".into(), "HIT".into())
    );
    let line = "fill of \"/x\": capture timeout";
    wait_for(line, PATIENCE, || {
        site.nginx.log().lines().concat().contains(line)
    });
    for (client, answer) in [(&mut first, &mut answer), (&mut second, &mut other)] {
        let more = answer.body.len() + 500;
        client.receive_until(answer, more).unwrap();
        assert!(answer.text().starts_with("01234567890123456789"));
    }
    assert_eq!(site.backend.hits("/x"), 1);
    drop(first);
    assert!(holds_for(ms(200), || site.backend.under_way("/x") == 1));
    drop(second);
    ends(&site, "/x", "without readers");
    site.nginx.finish();
}

#[test]
fn a_worker_in_shutdown_waits_for_the_readers_of_an_endless_answer_and_no_longer() {
    let kinds: [(&str, Kind); 2] = [EVENTS[0], ("/plain", |answer| answer)];
    for (path, kind) in kinds {
        let mut site = unbuffered(Site::new())
            .location("redis_cache_capture_timeout 500ms;")
            .start();
        events(&site, path, kind);
        // Its client has left: nothing is to be waited for.
        drop(reader(&site, path, 30));
        let old = site.nginx.reload();
        let took = site.nginx.wait_for_exit(&old, PATIENCE);
        println!("{path}: the old worker left after {took:?}");
        assert!(took < ms(10_000), "{path}: {took:?}");
        ends(&site, path, "without readers");
        // Its client stays.
        let (mut client, mut answer) = reader(&site, path, 30);
        let old = site.nginx.reload();
        let more = answer.body.len() + 600;
        client.receive_until(&mut answer, more).unwrap();
        let there = |site: &Running| old.iter().all(|pid| site.nginx.workers().contains(pid));
        assert!(there(&site), "{path}: the client was left alone");
        drop(client);
        let took = site.nginx.wait_for_exit(&old, PATIENCE);
        println!("{path}: the old worker left {took:?} after its client");
        assert!(took < ms(10_000), "{path}: {took:?}");
        site.nginx.finish();
    }
}
