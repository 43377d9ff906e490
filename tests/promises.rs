//! The four promises: one fill for a missing key, an expiry written with the record, stale answers at once, and then
//! exactly one refill, whatever the client does.

use std::time::Instant;

use testbed::{Answer, Client, Gate, Request, Running, Site, crowd, holds_for, ms, pattern};

#[test]
fn a_missing_record_is_stored_and_then_answers() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let body = pattern(30_000, 1);
        let answer = Answer::ok(body.clone())
            .content_type("image/png")
            .header("X-Own", "1");
        site.backend.set("/x", answer);
        let first = site.fill("/x");
        assert_eq!(
            (first.status, first.happened().as_str()),
            (200, "MISS"),
            "{form}"
        );
        for _ in 0..5 {
            let hit = site.get("/x");
            assert_eq!(
                (hit.word().as_str(), hit.happened().as_str()),
                ("HIT", "HIT"),
                "{form}"
            );
            for name in ["content-type", "content-length", "x-own"] {
                assert_eq!(hit.headers(name), first.headers(name), "{form}: {name}");
            }
            assert!(
                hit.status == 200 && hit.body == body && first.body == body,
                "{form}"
            );
        }
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
        site.nginx.finish();
    }
}

#[test]
fn the_expiry_is_freshness_and_stale_together() {
    let cases = [
        ("", 60),
        ("max-age=30", 30),
        ("max-age=300, public", 300),
        ("s-maxage=7, max-age=9", 7),
    ];
    for (form, site) in Site::forms() {
        let site = site.start();
        for (number, (cache_control, freshness)) in cases.into_iter().enumerate() {
            let path = format!("/{number}");
            let answer = Answer::ok("x");
            if !cache_control.is_empty() {
                site.backend
                    .set(&path, answer.header("Cache-Control", cache_control));
            }
            let start = Instant::now();
            site.fill(&path);
            println!("{form}: {cache_control:?}");
            site.redis
                .assert_left(&site.key(&path), freshness + 100, start);
        }
        assert!(site.redis.keys_without_expiry().is_empty(), "{form}");
        assert_eq!(
            site.redis.keys().len(),
            cases.len(),
            "one key a record, nothing else: {form}"
        );
    }
}

/// Fills `target`, makes its record stale and lets the backend answer "new" from now on, as `answer` says.
fn stale(site: &Running, target: &str, answer: impl Fn(Answer) -> Answer) {
    site.backend.set(target, Answer::ok("old"));
    site.fill_and_age(target);
    site.backend.set(target, answer(Answer::ok("new")));
}

#[test]
fn a_stale_answer_comes_at_once_and_leaves_the_connection_free() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let (mut stale_times, mut next_times) = (Vec::new(), Vec::new());
        let gate = Gate::new();
        for number in 0..5 {
            let path = format!("/{number}");
            stale(&site, &path, |answer| answer.gate(&gate));
            let mut client = site.client();
            let old = client.get(&path);
            assert_eq!(
                (old.text().as_str(), old.word().as_str()),
                ("old", "STALE"),
                "{form}"
            );
            assert_eq!(old.happened(), "STALE", "{form}");
            let next = client.get("/next");
            assert!(
                ["STORE", "HIT"].contains(&next.word().as_str()),
                "{form}: {:?}",
                next.fields
            );
            stale_times.push(old.last_byte);
            next_times.push(next.last_byte);
        }
        // No refill has got its answer yet. Of what the module itself takes the best time tells, on a busy machine too.
        for times in [stale_times, next_times] {
            let best = times.iter().min().unwrap();
            assert!(*best < ms(50), "{form}: {times:?}");
        }
        for number in 0..5 {
            site.backend.wait_for_hits(&format!("/{number}"), 2);
        }
        gate.open();
    }
}

#[test]
fn a_stale_key_is_refilled_exactly_once_however_many_ask() {
    for (form, site) in Site::forms() {
        let site = site.spread().start();
        let gate = Gate::new();
        stale(&site, "/x", |answer| answer.gate(&gate));
        let crowd = site.crowd(50, "/x");
        assert_eq!(crowd.words(), [("STALE".to_owned(), 50)].into(), "{form}");
        assert_eq!(crowd.bodies(), [(b"old".to_vec(), 50)].into(), "{form}");
        assert!(
            crowd.slowest() < ms(10_000),
            "{form}: {:?}",
            crowd.slowest()
        );
        site.backend.wait_for_hits("/x", 2);
        let meanwhile = site.get("/x");
        assert_eq!(
            (meanwhile.word().as_str(), meanwhile.happened().as_str()),
            ("STALE", "UPDATING"),
            "{form}"
        );
        gate.open();
        assert_eq!(site.wait_for_hit("/x").text(), "new", "{form}");
        assert!(
            holds_for(ms(200), || site.backend.hits("/x") == 2),
            "{form}: {}",
            site.backend.hits("/x")
        );
        let left = site.redis.pttl(&site.key("/x"));
        assert!(left > 150_000, "{form}: a refill renews the expiry: {left}");
    }
}

/// A way to leave, once the client has sent its request.
type Leave = fn(Client);

#[test]
fn a_refill_runs_whatever_the_client_does() {
    let ways: [(&str, Leave); 4] = [
        ("reset after the answer", |mut client| {
            client.receive().unwrap();
            client.reset();
        }),
        ("reset amid the answer", |mut client| {
            client.receive_header().unwrap();
            client.reset();
        }),
        ("close after the answer", |mut client| {
            client.receive().unwrap();
        }),
        ("half close amid the answer", |mut client| {
            let mut response = client.receive_header().unwrap();
            client.half_close().unwrap();
            client.receive_rest(&mut response).unwrap();
            assert!(response.complete);
        }),
    ];
    for (form, site) in Site::forms() {
        let site = site.start();
        for (number, (way, leave)) in ways.into_iter().enumerate() {
            let path = format!("/{number}");
            let gate = Gate::new();
            stale(&site, &path, |answer| answer.gate(&gate));
            let mut client = site.client();
            client.send(&Request::get(&path)).unwrap();
            leave(client);
            site.backend.wait_for_hits(&path, 2);
            gate.open();
            assert_eq!(site.wait_for_hit(&path).text(), "new", "{form}: {way}");
            assert_eq!(site.backend.hits(&path), 2, "{form}: {way}");
        }
    }
}

#[test]
fn clients_that_reset_in_a_crowd_neither_lose_nor_double_the_refill() {
    let site = Site::new().spread().start();
    let gate = Gate::new();
    stale(&site, "/x", |answer| answer.gate(&gate));
    let mut clients: Vec<_> = (0..50).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send(&Request::get("/x")).unwrap();
    }
    let mut last = clients.pop().unwrap();
    clients.into_iter().for_each(Client::reset);
    assert_eq!(last.receive().unwrap().word(), "STALE");
    last.reset();
    site.backend.wait_for_hits("/x", 2);
    gate.open();
    assert_eq!(site.wait_for_hit("/x").text(), "new");
    assert!(holds_for(ms(200), || site.backend.hits("/x") == 2));
}

#[test]
fn a_failed_refill_leaves_the_stale_record_as_it_was() {
    let site = Site::new().start();
    let cut = Answer::ok(pattern(1000, 1)).cut_at(10);
    let failures = [
        Answer::of(500, "broken"),
        Answer::of(404, "gone"),
        Answer::ok("").reset(),
        cut,
    ];
    for (number, failure) in failures.into_iter().enumerate() {
        let path = format!("/{number}");
        site.backend.set(&path, Answer::ok("old"));
        site.fill_and_age(&path);
        let record = site.redis.get(&path).unwrap();
        site.backend.set(&path, failure);
        assert_eq!(site.get(&path).text(), "old");
        site.backend.wait_for_hits(&path, 2);
        site.backend.wait_until_idle(&path);
        let again = crowd(site.address(), 5, |_| Request::get(&path));
        assert_eq!(again.words(), [("STALE".to_owned(), 5)].into(), "{number}");
        assert_eq!(again.bodies(), [(b"old".to_vec(), 5)].into(), "{number}");
        assert_eq!(site.redis.get(&path).unwrap(), record, "{number}");
        assert!(site.redis.pttl(&path) <= 50_000, "{number}");
    }
}
