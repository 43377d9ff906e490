//! Clients of every kind: those that leave, read slowly, pipeline, speak HTTP/1.0, use their connection again.

use std::thread;

use testbed::{Answer, Client, Gate, PATIENCE, Request, Site, holds_for, ms, pattern};

/// A way to leave, once the client has sent its request.
type Leave = fn(Client);

#[test]
fn a_client_that_leaves_during_a_miss_does_not_stop_the_fill() {
    let ways: [(&str, Leave); 3] = [
        ("reset", Client::reset),
        ("close", drop),
        ("half close", |mut client| {
            client.half_close().unwrap();
            client.is_closed_within(ms(300));
        }),
    ];
    for (form, site) in Site::forms() {
        let site = site.start();
        for (way, leave) in ways {
            let path = format!("/{}", way.replace(' ', "-"));
            let gate = Gate::new();
            site.backend
                .set(&path, Answer::ok(pattern(100_000, 1)).gate_at(1000, &gate));
            let mut client = site.client();
            client.send(&Request::get(&path)).unwrap();
            site.backend.wait_for_hits(&path, 1);
            leave(client);
            assert!(
                holds_for(ms(100), || site.backend.under_way(&path) == 1),
                "{form}: {way}"
            );
            gate.open();
            let record = site.redis.wait_for_record(&site.key(&path));
            assert!(record.body == pattern(100_000, 1), "{form}: {way}");
            assert_eq!(site.get(&path).word(), "HIT", "{form}: {way}");
            assert_eq!(site.backend.hits(&path), 1, "{form}: {way}");
        }
        site.nginx.finish();
    }
}

#[test]
fn a_slow_reader_gets_everything() {
    let site = Site::new().start();
    let body = pattern(7_000_000, 2);
    site.backend.set("/x", Answer::ok(body.clone()));
    for word in ["STORE", "HIT"] {
        let mut client = Client::connect_narrow(site.address(), 8 * 1024).unwrap();
        client.send(&Request::get("/x")).unwrap();
        let mut response = client.receive_header().unwrap();
        let mut next_rest = 0;
        while client.receive_piece(&mut response).unwrap() {
            if response.body.len() > next_rest {
                next_rest += 200_000;
                // What a slow network does: there is nothing to await.
                thread::sleep(ms(15));
            }
        }
        assert!(
            response.complete && response.body == body,
            "{word}: {}",
            response.body.len()
        );
        assert_eq!(response.word(), word);
        site.redis.wait_for_record("/x");
    }
}

#[test]
fn a_reader_that_stands_still_holds_up_nobody_else() {
    let site = Site::new().workers(1).start();
    let body = pattern(3_000_000, 3);
    let gate = Gate::new();
    site.backend
        .set("/x", Answer::ok(body.clone()).gate_at(10_000, &gate));
    let mut still = Client::connect_narrow(site.address(), 8 * 1024).unwrap();
    still.send(&Request::get("/x")).unwrap();
    let mut unread = still.receive_header().unwrap();
    let mut quick = site.client();
    quick.send(&Request::get("/x")).unwrap();
    let mut answer = quick.receive_header().unwrap();
    gate.open();
    quick.receive_rest(&mut answer).unwrap();
    assert!(answer.body == body && answer.word() == "HIT");
    assert_eq!(site.redis.wait_for_record("/x").body.len(), body.len());
    still.receive_rest(&mut unread).unwrap();
    assert!(unread.body == body && unread.word() == "STORE");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for (form, site) in Site::forms() {
        let site = site.start();
        site.backend.set("/slow", Answer::ok("slow").delay(ms(150)));
        site.fill("/hit");
        site.fill_and_age("/stale");
        let mut client = site.client();
        let requests = [
            Request::get("/slow"),
            Request::get("/hit"),
            Request::get("/stale"),
            Request::new("PUT", "/put").body("body"),
            Request::get("/slow"),
            Request::get("/hit"),
        ];
        client.pipeline(&requests).unwrap();
        let answers: Vec<_> = requests.iter().map(|_| client.receive().unwrap()).collect();
        let words: Vec<_> = answers.iter().map(testbed::Response::word).collect();
        assert_eq!(words[..4], ["STORE", "HIT", "STALE", "SKIP"], "{form}");
        assert_eq!(words[5], "HIT", "{form}");
        let bodies: Vec<_> = answers.iter().map(testbed::Response::text).collect();
        let expected = [
            "slow",
            "GET /hit #1\n",
            "GET /stale #1\n",
            "PUT /put #1\n",
            "slow",
            "GET /hit #1\n",
        ];
        assert_eq!(bodies, expected, "{form}");
        assert_eq!(site.backend.last("/put").body, b"body", "{form}");
    }
}

#[test]
fn http_1_0_is_answered_whole_and_closed() {
    let site = Site::new().start();
    let body = pattern(100_000, 4);
    site.backend.set("/length", Answer::ok(body.clone()));
    site.backend
        .set("/chunked", Answer::ok(body.clone()).chunked());
    for path in ["/length", "/chunked"] {
        for word in ["STORE", "HIT", "STALE"] {
            if word == "STALE" {
                site.make_stale(path);
            }
            let mut client = site.client();
            let answer = client.exchange(&Request::get(path).http10()).unwrap();
            assert!(answer.body == body, "{path}: {word}: {}", answer.body.len());
            assert_eq!(answer.word(), word, "{path}");
            assert_eq!(answer.header("transfer-encoding"), None, "{path}: {word}");
            assert!(client.is_closed_within(PATIENCE), "{path}: {word}");
            site.redis.wait_for_record(path);
        }
    }
    let mut client = site.client();
    let keep = Request::get("/length")
        .http10()
        .header("Connection", "keep-alive");
    assert_eq!(client.ask(&keep).body.len(), client.ask(&keep).body.len());
}

#[test]
fn a_connection_is_used_again_after_every_kind_of_answer() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let mut client = site.client();
        for round in 0..3 {
            let path = format!("/{round}");
            assert_eq!(client.get(&path).word(), "STORE", "{form}");
            site.redis.wait_for_record(&site.key(&path));
            assert_eq!(client.get(&path).word(), "HIT", "{form}");
            site.make_stale(&path);
            assert_eq!(client.get(&path).word(), "STALE", "{form}");
            assert_eq!(
                client.ask(&Request::new("PUT", &path).body("x")).word(),
                "SKIP",
                "{form}"
            );
        }
    }
}
