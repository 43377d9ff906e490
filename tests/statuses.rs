//! What a request is told of itself, situation by situation: the word of `redis_cache_header`, `$redis_cache_status` and
//! `$redis_cache_reason`, for clients that come first and such as come while somebody fills.

use testbed::{
    Answer, Client, Gate, PATIENCE, Request, Response, Running, Site, eventually, pattern, wait_for,
};

const REASON: &str = "add_header X-Reason $redis_cache_reason always;";
const WHO: &str = "location = /who { add_header X-Worker $pid; return 200; }";

/// Both forms of a site, which say the reason as well.
fn forms() -> [(&'static str, Site); 2] {
    let [(own, directives), (seed, variables)] = Site::forms();
    // In the second form what passes by the cache is answered elsewhere, under the server's own headers.
    [
        (own, directives.location(REASON)),
        (seed, variables.server(REASON)),
    ]
    .map(|(form, site)| (form, site.locations(WHO)))
}

/// Word, status and reason of an answer.
#[track_caller]
fn is_told(what: &str, answer: &Response, expected: (&str, &str, &str)) {
    let reason = answer.header("x-reason").unwrap_or_default();
    assert_eq!(
        (
            answer.word().as_str(),
            answer.happened().as_str(),
            reason.as_str()
        ),
        expected,
        "{what}: {:?}",
        answer.fields
    );
}

/// A connection to each of two workers.
fn one_each(site: &Running) -> [Client; 2] {
    let with_worker = || {
        let mut client = site.client();
        let worker = client.get("/who").header("x-worker").expect("a worker");
        (worker, client)
    };
    let (first, client) = with_worker();
    let other = eventually(PATIENCE, || {
        let (worker, client) = with_worker();
        (worker != first).then_some(client)
    });
    [client, other.expect("a connection to the other worker")]
}

/// The answers for `path` that the first of `clients` gets and those that ask while its fill waits for the gate.
fn while_it_fills(
    site: &Running,
    path: &str,
    gate: &Gate,
    clients: Vec<Client>,
) -> (Response, Vec<Response>) {
    let mut clients = clients.into_iter();
    let mut first = clients.next().expect("a client");
    first.send(&Request::get(path)).unwrap();
    site.backend.wait_for_hits(path, 1);
    let mut others: Vec<_> = clients.collect();
    for client in &mut others {
        client.send(&Request::get(path)).unwrap();
    }
    wait_for("all others to wait", PATIENCE, || {
        site.zone().waiting as usize == others.len()
    });
    gate.open();
    let answers = others.iter_mut().map(|client| client.receive().unwrap());
    let answers = answers.collect();
    (first.receive().unwrap(), answers)
}

#[test]
fn with_a_record() {
    for (form, site) in forms() {
        let mut site = site
            .workers(1)
            .location("redis_cache_backoff 100s;")
            .start();
        is_told(form, &site.fill("/x"), ("STORE", "MISS", "being stored"));
        is_told(form, &site.get("/x"), ("HIT", "HIT", "fresh"));

        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("new").gate(&gate));
        site.make_stale("/x");
        is_told(form, &site.get("/x"), ("STALE", "STALE", "stale"));
        site.backend.wait_for_hits("/x", 2);
        let meanwhile = site.get("/x");
        is_told(
            form,
            &meanwhile,
            ("STALE", "UPDATING", "stale, being refilled"),
        );
        gate.open();
        let _ = site.wait_for_hit("/x");

        site.make_stale("/x");
        let position = site.nginx.log().end();
        site.backend.stop();
        is_told(form, &site.get("/x"), ("STALE", "STALE", "stale"));
        let log = site.nginx.log();
        let failed = log.wait_for(position, "backend failed", PATIENCE);
        assert!(failed.is_some(), "{form}: the refill fails");
        let failing = site.get("/x");
        is_told(form, &failing, ("STALE", "STALE", "backend failed"));
    }
}

#[test]
fn what_passes_by_or_is_not_stored() {
    for (form, site) in forms() {
        let site = site
            .workers(1)
            .location("redis_cache_bypass $arg_bypass; redis_cache_no_store $arg_no_store;")
            .start();
        let answer = Answer::ok("x").header("Cache-Control", "no-store");
        site.backend.set("/no-store", answer);
        site.backend.set("/teapot", Answer::of(418, "x"));
        let cases = [
            (
                "GET",
                "/a?bypass=1",
                200,
                ("STORE", "BYPASS", "being stored"),
            ),
            (
                "GET",
                "/b?bypass=1&no_store=1",
                200,
                ("SKIP", "BYPASS", "bypass"),
            ),
            ("DELETE", "/c", 200, ("SKIP", "BYPASS", "method not listed")),
            ("GET", "/no-store", 200, ("SKIP", "MISS", "no-store")),
            ("GET", "/teapot", 418, ("SKIP", "MISS", "status not listed")),
        ];
        for (method, target, status, told) in cases {
            let answer = site.ask(&Request::new(method, target));
            assert_eq!(answer.status, status, "{form}: {method} {target}");
            is_told(&format!("{form}: {method} {target}"), &answer, told);
        }
    }
}

#[test]
fn who_comes_while_the_same_worker_fills() {
    for (form, site) in forms() {
        let site = site.workers(1).start();
        let clients = || (0..3).map(|_| site.client()).collect();

        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("x").gate(&gate));
        let (first, others) = while_it_fills(&site, "/x", &gate, clients());
        is_told(form, &first, ("STORE", "MISS", "being stored"));
        for joined in others {
            is_told(form, &joined, ("HIT", "HIT", "shared a fill"));
        }
        assert_eq!(site.backend.hits("/x"), 1, "{form}");

        let gate = Gate::new();
        let answer = Answer::ok("x").header("Cache-Control", "private");
        site.backend.set("/private", answer.gate(&gate));
        let (first, others) = while_it_fills(&site, "/private", &gate, clients());
        is_told(form, &first, ("SKIP", "MISS", "private"));
        for released in others {
            is_told(form, &released, ("SKIP", "MISS", "fill not storable"));
        }
        assert_eq!(site.backend.hits("/private"), 3, "{form}");
    }
}

#[test]
fn who_comes_while_another_worker_fills() {
    for (form, site) in forms() {
        let site = site.spread().start();

        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("x").gate(&gate));
        let (first, others) = while_it_fills(&site, "/x", &gate, one_each(&site).into());
        is_told(form, &first, ("STORE", "MISS", "being stored"));
        is_told(form, &others[0], ("HIT", "HIT", "fresh"));
        assert_eq!(site.backend.hits("/x"), 1, "{form}");

        let gate = Gate::new();
        let answer = Answer::ok("x").header("Cache-Control", "private");
        site.backend.set("/private", answer.gate(&gate));
        let (first, others) = while_it_fills(&site, "/private", &gate, one_each(&site).into());
        is_told(form, &first, ("SKIP", "MISS", "private"));
        is_told(form, &others[0], ("SKIP", "MISS", "fill not storable"));
        assert_eq!(site.backend.hits("/private"), 2, "{form}");
    }
}

#[test]
fn while_the_store_is_down() {
    let told = ("SKIP", "MISS", "store unavailable");
    for (form, site) in forms() {
        let mut site = site.workers(1).start();
        site.redis.stop();
        is_told(form, &site.get("/y"), told);

        let gate = Gate::new();
        let body = pattern(200_000, 1);
        site.backend
            .set("/x", Answer::ok(body.clone()).gate_at(100_000, &gate));
        let (mut first, mut second) = (site.client(), site.client());
        first.send(&Request::get("/x")).unwrap();
        let mut answer = first.receive_header().unwrap();
        second.send(&Request::get("/x")).unwrap();
        let mut shared = second.receive_header().unwrap();
        gate.open();
        first.receive_rest(&mut answer).unwrap();
        second.receive_rest(&mut shared).unwrap();
        is_told(form, &answer, told);
        is_told(form, &shared, told);
        assert!(answer.body == body && shared.body == body, "{form}");
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
    }
}

#[test]
fn who_has_waited_for_too_long() {
    for (form, site) in forms() {
        let timeout = "redis_cache_lock_timeout 200ms;";
        let site = site.workers(1).location(timeout).start();
        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("x").gate(&gate));
        let (mut first, mut second) = (site.client(), site.client());
        first.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 1);
        second.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 2);
        gate.open();
        let answer = first.receive().unwrap();
        is_told(form, &answer, ("STORE", "MISS", "being stored"));
        let gone = second.receive().unwrap();
        is_told(form, &gone, ("SKIP", "MISS", "lock timeout"));
    }
}

#[test]
fn the_backend_fails_and_there_is_no_record() {
    // nginx's own page, too, has a status that isn't stored.
    let told = ("SKIP", "MISS", "status not listed");
    for (form, site) in forms() {
        let mut site = site.workers(1).start();
        site.backend.set("/500", Answer::of(500, "x"));
        site.backend.set("/reset", Answer::ok("").reset());
        for (target, status) in [("/500", 500), ("/reset", 502), ("/down", 502)] {
            if target == "/down" {
                site.backend.stop();
            }
            let what = format!("{form}: {target}");
            let answer = site.get(target);
            assert_eq!(answer.status, status, "{what}");
            is_told(&what, &answer, told);
        }
    }
}
