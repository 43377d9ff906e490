//! Bounds: memory for captures, background refills, waiters of a key, and keys that aren't worth a lock.

use std::thread;

use testbed::{
    Answer, Client, Gate, PATIENCE, Request, Running, Site, holds_for, ms, pattern, wait_for,
};

#[test]
fn captures_beyond_the_memory_of_a_worker_stream_without_being_stored() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_capture_memory 1m;")
        .start();
    let gate = Gate::new();
    let (small, large) = (pattern(700_000, 1), pattern(700_000, 2));
    site.backend
        .set("/first", Answer::ok(small.clone()).gate_at(650_000, &gate));
    site.backend.set("/second", Answer::ok(large.clone()));
    let mut first = site.client();
    first.send(&Request::get("/first")).unwrap();
    let mut answer = first.receive_header().unwrap();
    // What the client has was captured: there is no room for another one now.
    first.receive_until(&mut answer, 600_000).unwrap();
    for round in 1..=2 {
        assert_eq!(site.get("/second").body, large);
        assert_eq!(site.backend.hits("/second"), round);
    }
    assert!(holds_for(ms(100), || site.redis.keys().is_empty()));
    gate.open();
    first.receive_rest(&mut answer).unwrap();
    assert_eq!(answer.body, small);
    // With the memory given back both are stored.
    site.wait_for_hit("/first");
    site.fill("/second");
    assert_eq!(site.get("/second").word(), "HIT");
}

#[test]
fn what_slow_readers_have_to_get_of_stored_answers_is_not_counted() {
    let site = Site::new()
        .workers(1)
        .server("proxy_buffering off;")
        .location("redis_cache_capture_memory 8m;")
        .start();
    let mut readers = Vec::new();
    for number in 0..3 {
        let (path, body) = (format!("/{number}"), pattern(7_500_000, number));
        site.backend.set(&path, Answer::ok(body.clone()));
        let mut slow = Client::connect_narrow(site.address(), 8 * 1024).unwrap();
        slow.send(&Request::get(&path)).unwrap();
        let answer = slow.receive_header().unwrap();
        assert_eq!(answer.word(), "STORE", "{path}");
        assert!(site.redis.wait_for_record(&path).body == body, "{path}");
        site.wait_for_quiet_zone();
        readers.push((slow, answer, body));
    }
    for (mut slow, mut answer, body) in readers {
        slow.receive_rest(&mut answer).unwrap();
        assert!(answer.complete && answer.body == body);
    }
}

#[test]
fn a_key_that_is_not_storable_needs_no_lock_for_a_while() {
    let site = Site::new()
        .spread()
        .location("redis_cache_uncacheable_ttl 60s;")
        .start();
    let private = || Answer::ok("mine").header("Cache-Control", "private");
    site.backend.set("/x", private());
    assert_eq!(site.get("/x").word(), "SKIP");
    // From here on all go side by side: nobody waits for anybody's header.
    let gate = Gate::new();
    site.backend.set("/x", private().gate(&gate));
    let crowd = thread::scope(|scope| {
        let crowd = scope.spawn(|| site.crowd(20, "/x"));
        wait_for("all of them at the backend", PATIENCE, || {
            site.backend.under_way("/x") == 20
        });
        gate.open();
        crowd.join().unwrap()
    });
    assert_eq!(crowd.words(), [("SKIP".to_owned(), 20)].into());
    // An answer that turns out to be storable is stored and ends it.
    site.backend.set("/x", Answer::ok("ours"));
    site.fill("/x");
    let _: () = site.redis.command(&["DEL", &site.key("/x")]);
    let before = site.backend.hits("/x");
    let words = site.waiting_crowd(20, "/x", Answer::ok("ours")).words();
    assert_eq!(
        words,
        [("HIT".to_owned(), 19), ("STORE".to_owned(), 1)].into()
    );
    assert_eq!(site.backend.hits("/x"), before + 1);
}

/// After a request for `path`, with this header, got `answer`, which isn't stored: those that come now go side by
/// side, if that is `expected`, else one after the other.
#[track_caller]
fn marks(site: &Running, path: &str, header: Option<(&str, &str)>, answer: Answer, expected: bool) {
    site.backend.set(path, answer);
    let request = header
        .into_iter()
        .fold(Request::get(path), |request, (name, value)| {
            request.header(name, value)
        });
    let word = site.client().exchange(&request).unwrap().word();
    assert_ne!(word, "HIT", "{path}");
    site.wait_for_quiet_zone();
    let gate = Gate::new();
    site.backend.set(path, Answer::ok("fine").gate(&gate));
    let before = site.backend.hits(path);
    let mut clients = [site.client(), site.client()];
    for client in &mut clients {
        client.send(&Request::get(path)).unwrap();
    }
    site.backend.wait_for_hits(path, before + 1);
    let second = || site.backend.hits(path) == before + 2;
    if expected {
        wait_for(&format!("both requests for {path}"), ms(5000), second);
    } else {
        assert!(holds_for(ms(200), || !second()), "{path}: marked");
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().text(), "fine", "{path}");
    }
}

#[test]
fn what_the_response_says_of_itself_marks_its_key() {
    let settings = "redis_cache_max_size 10k; redis_cache_uncacheable_ttl 60s;";
    let site = Site::new().spread().location(settings).start();
    let large = || Answer::ok(pattern(50_000, 3));
    let answers = [
        ("no-store", says("Cache-Control", "no-store")),
        ("private", says("Cache-Control", "max-age=60, private")),
        ("no-cache", says("Cache-Control", "no-cache")),
        ("cookie", says("Set-Cookie", "a=1")),
        ("vary", says("Vary", "*")),
        ("length", large()),
        ("chunked", large().chunked()),
    ];
    for (what, answer) in answers {
        marks(&site, &format!("/{what}"), None, answer, true);
    }
    assert!(site.wait_for_quiet_zone().keys >= 7);
}

fn says(name: &str, value: &str) -> Answer {
    Answer::ok("x").header(name, value)
}

#[test]
fn what_lies_with_the_request_or_the_backend_marks_no_key() {
    let settings = "redis_cache_no_store $http_keep_out; redis_cache_uncacheable_ttl 60s;";
    let site = Site::new().spread().location(settings).start();
    let plain = || Answer::ok("x");
    let cases = [
        ("500", None, Answer::of(500, "oops")),
        ("503", None, Answer::of(503, "later")),
        ("404", None, Answer::of(404, "no")),
        ("reset", None, plain().reset()),
        ("cut", None, Answer::ok(pattern(5000, 4)).cut_at(100)),
        (
            "credentials",
            Some(("Authorization", "Basic YTpi")),
            plain(),
        ),
        ("no_store", Some(("Keep-Out", "1")), plain()),
    ];
    for (what, header, answer) in cases {
        // Who comes later with the same key may have an answer that is for all.
        marks(&site, &format!("/{what}"), header, answer, false);
    }
    assert!(site.wait_for_quiet_zone().is_quiet());
}

#[test]
fn more_than_the_queue_of_a_key_goes_to_the_backend() {
    let site = Site::new()
        .spread()
        .location("redis_cache_lock_queue 5;")
        .start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("x").gate(&gate));
    let crowd = thread::scope(|scope| {
        let crowd = scope.spawn(|| site.crowd(20, "/x"));
        site.backend.wait_for_hits("/x", 15);
        gate.open();
        crowd.join().unwrap()
    });
    assert_eq!(crowd.statuses(), [(200, 20)].into());
    let words = crowd.words();
    assert_eq!(words.get("STORE"), Some(&1), "{words:?}");
    assert_eq!(words.get("HIT"), Some(&5), "{words:?}");
    assert_eq!(words.get("SKIP"), Some(&14), "{words:?}");
    assert_eq!(site.backend.hits("/x"), 15);
}

#[test]
fn those_who_join_an_answer_on_its_way_are_bounded_like_those_who_wait() {
    let site = Site::new()
        .workers(1)
        .server("proxy_buffering off;")
        .location("redis_cache_lock_queue 5;")
        .start();
    let (gate, body) = (Gate::new(), pattern(1000, 1));
    let answer = Answer::ok(body.clone()).gate_at(500, &gate);
    site.backend.set("/x", answer);
    let mut clients = Vec::new();
    for number in 0..10 {
        let mut client = site.client();
        client.send(&Request::get("/x")).unwrap();
        let mut answer = client.receive_header().unwrap();
        client.receive_until(&mut answer, 500).unwrap();
        let word = ["STORE", "HIT", "SKIP"][usize::from(number > 0) + usize::from(number > 5)];
        assert_eq!(answer.word(), word, "{number}");
        clients.push((client, answer));
    }
    assert_eq!(site.backend.hits("/x"), 5);
    // One leaves: there is room for one.
    drop(clients.remove(1));
    wait_for("a place", PATIENCE, || {
        let mut client = site.client();
        client.send(&Request::get("/x")).unwrap();
        let answer = client.receive_header().unwrap();
        answer.word() == "HIT"
    });
    gate.open();
    for (mut client, mut answer) in clients {
        client.receive_rest(&mut answer).unwrap();
        assert!(answer.complete && answer.body == body);
    }
}

#[test]
fn a_refill_that_limit_req_delays_takes_no_place_of_others() {
    let ours = "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_age 60s;
        redis_cache_stale 100s; redis_cache_header X-Cache; redis_cache_key $request_uri; redis_cache_refills 1;";
    let locations = format!(
        "location /slow/ {{ {ours} redis_cache_backend @slow; }}
         location @slow {{ limit_req zone=slow burst=5; proxy_pass http://BACKEND; }}"
    );
    let site = Site::new()
        .http("limit_req_zone $host zone=slow:1m rate=1r/m;")
        .location("redis_cache_refills 1;")
        .locations(&locations)
        .start();
    site.fill_and_age("/slow/x");
    site.fill_and_age("/x");
    // It may ask the backend in a minute.
    assert_eq!(site.get("/slow/x").word(), "STALE");
    let delayed = || {
        let lines = site.nginx.log().lines().concat();
        lines.contains("delaying request")
    };
    wait_for("a delayed refill", PATIENCE, delayed);
    assert_eq!(site.get("/x").word(), "STALE");
    site.wait_for_hit("/x");
    assert_eq!(
        (site.backend.hits("/slow/x"), site.backend.hits("/x")),
        (1, 2)
    );
}

#[test]
fn refills_behind_the_clients_backs_are_bounded() {
    let site = Site::new()
        .spread()
        .location("redis_cache_refills 2;")
        .start();
    let paths: Vec<String> = (0..6).map(|number| format!("/{number}")).collect();
    for path in &paths {
        site.backend.set(path, Answer::ok("old"));
        site.fill_and_age(path);
    }
    let gate = Gate::new();
    for path in &paths {
        site.backend.set(path, Answer::ok("new").gate(&gate));
        let answer = site.get(path);
        assert_eq!(
            (answer.word().as_str(), answer.body.as_slice()),
            ("STALE", &b"old"[..])
        );
    }
    let under_way = || {
        paths
            .iter()
            .filter(|path| site.backend.under_way(path) > 0)
            .count()
    };
    wait_for("two refills", PATIENCE, || under_way() == 2);
    assert!(holds_for(ms(200), || under_way() <= 2));
    gate.open();
    // A later request of each of the others gets its turn.
    for path in &paths {
        site.wait_for_hit(path);
    }
}
