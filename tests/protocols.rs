//! What matters most, over HTTP/1.1, and over HTTP/2 and HTTP/3 with windows of 1,000 bytes: what a client speaks changes
//! nothing.

use testbed::{
    Answer, Certificate, Client, Gate, Http2, Port, Protocol, Request, Response, Running, Site,
    TlsTunnel, holds_for, ms, pattern,
};

/// However busy the machine is, nobody goes for having waited too long.
const PATIENT: &str = "redis_cache_lock_timeout 60s;";

/// All protocols, each with a site of its own.
fn scenes(workers: usize) -> impl Iterator<Item = (Protocol, Running)> {
    let start = move |protocol| {
        let site = Site::new().spread().workers(workers).http2().http3();
        (protocol, site.location(PATIENT).start())
    };
    Protocol::ALL.into_iter().map(start)
}

#[track_caller]
fn is_whole(what: Protocol, answer: &Response, body: &[u8]) {
    assert_eq!(answer.status, 200, "{what:?}");
    assert!(
        answer.complete && answer.body == body,
        "{what:?}: {} bytes of {}",
        answer.body.len(),
        body.len()
    );
}

#[test]
fn a_miss_with_many_waiters_is_filled_once() {
    for (protocol, site) in scenes(2) {
        let (body, gate) = (pattern(100_000, 1), Gate::new());
        let answer = Answer::ok(body.clone()).gate_at(50_000, &gate);
        site.backend.set("/x", answer);
        // Two connections of HTTP/2 or HTTP/3, which may well be those of two workers.
        let requests = vec![Request::get("/x"); 10];
        let mut exchanges = protocol.send(&site, &requests);
        exchanges.extend(protocol.send(&site, &requests));
        site.backend.wait_for_hits("/x", 1);
        gate.open();
        let answers: Vec<Response> = exchanges
            .into_iter()
            .map(|exchange| exchange.receive().unwrap())
            .collect();
        for answer in &answers {
            is_whole(protocol, answer, &body);
        }
        let words = answers.iter().map(Response::word);
        let filled = words.filter(|word| word == "STORE").count();
        assert_eq!((filled, site.backend.hits("/x")), (1, 1), "{protocol:?}");
        assert!(site.redis.wait_for_record("/x").body == body);
        site.wait_for_quiet_zone();
        site.nginx.finish();
    }
}

#[test]
fn a_stale_answer_does_not_wait_for_its_refill() {
    for (protocol, site) in scenes(2) {
        let (old, new) = (pattern(50_000, 1), pattern(50_000, 2));
        site.backend.set("/x", Answer::ok(old.clone()));
        site.fill_and_age("/x");
        let gate = Gate::new();
        site.backend
            .set("/x", Answer::ok(new.clone()).gate_at(0, &gate));
        // All on one connection where the protocol allows that.
        for exchange in protocol.send(&site, &vec![Request::get("/x"); 5]) {
            let answer = exchange.receive().unwrap();
            is_whole(protocol, &answer, &old);
            assert_eq!(answer.word(), "STALE", "{protocol:?}");
        }
        site.backend.wait_for_hits("/x", 2);
        gate.open();
        site.wait_for_hit("/x");
        let answer = protocol.get(&site, "/x");
        is_whole(protocol, &answer, &new);
        assert_eq!(answer.word(), "HIT", "{protocol:?}");
        assert_eq!(site.backend.hits("/x"), 2, "{protocol:?}");
        site.nginx.finish();
    }
}

#[test]
fn a_hit_of_a_megabyte_is_whole() {
    for (protocol, site) in scenes(2) {
        let body = pattern(1_000_000, 3);
        site.backend.set("/x", Answer::ok(body.clone()));
        site.fill("/x");
        for exchange in protocol.send(&site, &vec![Request::get("/x"); 3]) {
            let answer = exchange.receive().unwrap();
            is_whole(protocol, &answer, &body);
            assert_eq!(answer.word(), "HIT", "{protocol:?}");
            assert_eq!(answer.header("content-length").unwrap(), "1000000");
        }
        let head = protocol.ask(&site, &Request::head("/x"));
        assert_eq!((head.word(), head.body.len()), ("HIT".into(), 0));
        let part = Request::get("/x").header("Range", "bytes=500000-899999");
        let part = protocol.ask(&site, &part);
        assert_eq!(part.status, 206, "{protocol:?}");
        assert!(part.body == body[500_000..900_000], "{protocol:?}");
        assert_eq!(site.backend.hits("/x"), 1, "{protocol:?}");
        site.nginx.finish();
    }
}

#[test]
fn a_client_that_leaves_takes_nobody_with_it() {
    for (protocol, site) in scenes(1) {
        let (body, gate) = (pattern(200_000, 4), Gate::new());
        site.backend
            .set("/x", Answer::ok(body.clone()).gate_at(100_000, &gate));
        let mut exchanges = protocol.send(&site, &vec![Request::get("/x"); 4]);
        let mut stays = exchanges.pop().unwrap();
        let mut answer = stays.receive_header().unwrap();
        // The one that fills is among those that leave, at the latest by the third request.
        for (number, mut exchange) in exchanges.into_iter().enumerate() {
            let mut unread = exchange.receive_header().unwrap();
            exchange
                .receive_until(&mut unread, number * 20_000)
                .unwrap();
            exchange.leave();
        }
        let goes_on = || site.backend.under_way("/x") == 1;
        assert!(holds_for(ms(100), goes_on), "{protocol:?}");
        gate.open();
        stays.receive_rest(&mut answer);
        is_whole(protocol, &answer, &body);
        assert!(site.redis.wait_for_record("/x").body == body);
        assert_eq!(site.backend.hits("/x"), 1, "{protocol:?}");
        site.wait_for_quiet_zone();
        site.nginx.finish();
    }
}

#[test]
fn a_cut_answer_shows_and_is_not_stored() {
    for (protocol, site) in scenes(1) {
        let whole = pattern(100_000, 5);
        for (path, answer) in [
            ("/length", Answer::ok(whole.clone())),
            ("/chunked", Answer::ok(whole.clone()).chunked()),
        ] {
            let gate = Gate::new();
            site.backend
                .set(path, answer.gate_at(30_000, &gate).cut_at(60_000));
            let mut exchanges = protocol.send(&site, &vec![Request::get(path); 4]);
            let mut answers: Vec<Response> = exchanges
                .iter_mut()
                .map(|exchange| exchange.receive_header().unwrap())
                .collect();
            gate.open();
            for (exchange, answer) in exchanges.iter_mut().zip(&mut answers) {
                exchange.receive_rest(answer);
                assert!(
                    !answer.complete,
                    "{protocol:?}, {path}: passed off as whole"
                );
                assert!(whole.starts_with(&answer.body), "{protocol:?}, {path}");
            }
            assert_eq!(site.backend.hits(path), 1, "{protocol:?}, {path}");
            site.wait_for_quiet_zone();
            assert!(site.redis.keys().is_empty(), "{protocol:?}, {path}: stored");
            // The key is free, and so is a connection for the next.
            site.backend.set(path, Answer::ok("whole"));
            assert_eq!(protocol.get(&site, path).text(), "whole", "{protocol:?}");
            site.redis.wait_for_record(path);
            let _: () = site.redis.command(&["FLUSHALL"]);
        }
        site.nginx.finish();
    }
}

/// The default key is of scheme, authority and target: `:authority` of HTTP/2 is Host of HTTP/1.1. Both come to one port,
/// over TLS, as they do from browsers.
#[test]
fn the_protocols_share_a_record() {
    let (port, certificate) = (Port::take(), Certificate::make());
    let site = Site::new()
        .workers(1)
        .server(&format!(
            "listen {} ssl http2; {}",
            port.address(),
            certificate.directives()
        ))
        .location("# redis_cache_key isn't given\n")
        .start();
    let tunnel = TlsTunnel::start(port.address(), &certificate);
    let mut http2 = Http2::new().tls(&certificate).connect(port.address());
    let mut http1 = Client::connect(tunnel.address());
    for (turn, host) in ["a.example", "A.example", "a.example:8443"]
        .into_iter()
        .enumerate()
    {
        for http2_first in [true, false] {
            let target = format!("/{turn}?{http2_first}");
            let request = Request::get(&target).header("Host", host);
            let (filled, found);
            if http2_first {
                filled = http2.ask(&request);
                site.wait_for_fills(2 * turn + 1);
                found = http1.ask(&request);
            } else {
                filled = http1.ask(&request);
                site.wait_for_fills(2 * turn + 2);
                found = http2.ask(&request);
            }
            let words = [filled.word(), found.word()];
            assert_eq!(
                words,
                ["STORE", "HIT"],
                "{host}, HTTP/2 first: {http2_first}"
            );
        }
    }
    let other = Request::get("/0?true").header("Host", "b.example");
    assert_eq!(http2.ask(&other).word(), "STORE", "another host");
    println!("{:?}", site.redis.keys());
}

/// A GET may say that it has a body, and have none: over HTTP/2 the end of a request may come after its header. That is
/// a GET like any other.
#[test]
fn a_body_that_turns_out_empty_is_none() {
    let site = Site::new().workers(1).http2().location(PATIENT).start();
    site.backend.set("/x", Answer::ok("page"));
    let request = Request::get("/x").body("").chunked();
    let mut http2 = Http2::new().connect(site.http2_address());
    let mut words = Vec::new();
    for _ in 0..2 {
        let mut stream = http2.open(&request).unwrap();
        stream.send_body(b"");
        let answer = stream.receive().unwrap();
        words.push((answer.status, answer.word()));
        site.redis.wait_for_record("/x");
        let answer = site.ask(&request);
        words.push((answer.status, answer.word()));
    }
    let words: Vec<_> = words
        .iter()
        .map(|(code, word)| (*code, word.as_str()))
        .collect();
    assert_eq!(
        words,
        [(200, "STORE"), (200, "HIT"), (200, "HIT"), (200, "HIT")]
    );
    // One that has a body isn't for others.
    let answer = site.ask(&Request::get("/x").body("a").chunked());
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    assert_eq!(site.backend.requests("/x").len(), 2);
    site.nginx.finish();
}
