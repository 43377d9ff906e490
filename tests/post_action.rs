//! `post_action` runs once for each request of a client, behind it, as without the module: not for a fill, a refill or a
//! message to the store; and what the module does for a client that has left doesn't outlast it.

use testbed::{
    Answer, Bridge, Client, Gate, PATIENCE, Redis, Request, Running, Site, holds_for, ms, pattern,
    wait_for,
};

/// Runs `/done` at the backend behind each request.
const LOCATIONS: &str = "location = /done { proxy_set_header X-Of $request_uri; proxy_pass http://BACKEND; }
    location @done { rewrite ^ /done break; proxy_set_header X-Of $request_uri; proxy_pass http://BACKEND; }";

fn start(site: &Site, action: &str) -> Running {
    site.clone()
        .workers(1)
        .location(&format!("post_action {action};"))
        .locations(LOCATIONS)
        .start()
}

/// How often the action has run for `target`.
fn actions(site: &Running, target: &str) -> usize {
    let requests = site.backend.requests("/done");
    let of = |request: &&testbed::Received| request.header("x-of").as_deref() == Some(target);
    requests.iter().filter(of).count()
}

#[track_caller]
fn wait_for_actions(site: &Running, target: &str, count: usize, what: &str) {
    wait_for(&format!("{count} actions {what}"), PATIENCE, || {
        actions(site, target) >= count
    });
}

#[test]
fn once_a_request() {
    for (form, site) in Site::forms() {
        for action in ["/done", "@done"] {
            let site = start(&site, action);
            let what = format!("{form}, {action}");
            site.backend.set("/x", Answer::ok("x"));
            let mut client = site.client();
            assert_eq!(client.get("/x").word(), "STORE", "{what}");
            site.redis.wait_for_record(&site.key("/x"));
            wait_for_actions(&site, "/x", 1, &what);
            assert_eq!(site.wait_for_hit("/x").word(), "HIT", "{what}");
            let before = {
                wait_for_actions(&site, "/x", 2, &what);
                actions(&site, "/x")
            };
            site.make_stale("/x");
            assert_eq!(site.get("/x").word(), "STALE", "{what}");
            site.backend.wait_for_hits("/x", 2);
            site.wait_for_fills(2);
            wait_for_actions(&site, "/x", before + 1, &what);
            let once = || actions(&site, "/x") == before + 1;
            assert!(holds_for(ms(300), once), "{what}");
            // What passes by the cache has one as well.
            let _ = client.ask(&Request::new("PUT", "/x").body("x"));
            wait_for_actions(&site, "/x", before + 2, &what);
        }
    }
}

/// A client that leaves while `site` is in this state.
struct Leaving {
    what: &'static str,
    /// Makes the request and goes on until the state is reached.
    leave: fn(&mut Running, Client),
}

#[test]
fn once_for_a_client_that_leaves() {
    let cases = [
        Leaving {
            what: "while the backend works",
            leave: |site, mut client| {
                let gate = Gate::new();
                site.backend.set("/x", Answer::ok("late").gate(&gate));
                client.send(&Request::get("/x")).unwrap();
                site.backend.wait_for_hits("/x", 1);
                client.reset();
                wait_for_actions(site, "/x", 1, "");
                gate.open();
            },
        },
        Leaving {
            what: "while it waits for another's fill",
            leave: |site, mut client| {
                let gate = Gate::new();
                site.backend.set("/x", Answer::ok("late").gate(&gate));
                let mut first = site.client();
                first.send(&Request::get("/x")).unwrap();
                site.backend.wait_for_hits("/x", 1);
                client.send(&Request::get("/x")).unwrap();
                // The worker has seen it: what comes later is answered.
                let _ = site.get("/other");
                client.reset();
                wait_for_actions(site, "/x", 1, "");
                gate.open();
                assert_eq!(first.receive().unwrap().text(), "late");
            },
        },
        Leaving {
            what: "in the middle of an answer",
            leave: |site, mut client| {
                let (gate, body) = (Gate::new(), pattern(300_000, 1));
                site.backend
                    .set("/x", Answer::ok(body).gate_at(200_000, &gate));
                client.send(&Request::get("/x")).unwrap();
                let mut answer = client.receive_header().unwrap();
                client.receive_until(&mut answer, 100).unwrap();
                client.reset();
                wait_for_actions(site, "/x", 1, "");
                gate.open();
            },
        },
        Leaving {
            what: "while Redis is asked",
            leave: |site, mut client| {
                site.redis.freeze();
                client.send(&Request::get("/x")).unwrap();
                assert!(holds_for(ms(100), || site.backend.hits("/x") == 0));
                client.reset();
                wait_for_actions(site, "/x", 1, "");
                site.redis.thaw();
            },
        },
        Leaving {
            what: "while its answer waits for Redis",
            leave: |site, mut client| {
                site.redis.freeze();
                client.send(&Request::new("PUT", "/x").body("x")).unwrap();
                site.backend.wait_for_hits("/x", 1);
                assert!(holds_for(ms(100), || actions(site, "/x") == 0));
                client.reset();
                wait_for_actions(site, "/x", 1, "");
                site.redis.thaw();
            },
        },
    ];
    for (form, site) in Site::forms() {
        for action in ["/done", "@done"] {
            for Leaving { what, leave } in &cases {
                let what = format!("{form}, {action}, {what}");
                let mut site = start(&site, action);
                let gate = Gate::new();
                // The task of the request would come to its end while the action runs.
                site.backend.set("/done", Answer::ok("done").gate(&gate));
                let client = site.client();
                leave(&mut site, client);
                assert_eq!(site.get("/alive").status, 200, "{what}");
                gate.open();
                site.backend.wait_until_idle("/done");
                assert_eq!(site.get("/alive").status, 200, "{what}");
                site.nginx.finish();
            }
        }
    }
}

/// A location as the store is asked by requests of their own.
#[test]
fn not_for_messages_to_a_location_that_is_the_store() {
    let redis = Redis::start();
    let bridge = Bridge::start(&redis.address());
    let store = "redis_cache_pass /redis; redis_cache_pass_timeout 2s; post_action /done;";
    let site = Site::new()
        .workers(1)
        .location(store)
        .locations(&(LOCATIONS.to_owned() + &bridge.locations()))
        .start_with(redis);
    assert_eq!(site.get("/x").word(), "STORE");
    site.redis.wait_for_record("/x");
    wait_for_actions(&site, "/x", 1, "");
    let hit = site.get("/x");
    assert_eq!(hit.word(), "HIT");
    wait_for_actions(&site, "/x", 2, "");
    assert!(holds_for(ms(300), || site.backend.hits("/done") == 2));
}

/// A fill that nobody reads and nothing captures is given up: nothing runs behind it.
#[test]
fn not_for_a_fill_that_is_given_up() {
    for (form, site) in Site::forms() {
        for action in ["/done", "@done"] {
            let site = start(&site, action);
            let (gate, what) = (Gate::new(), format!("{form}, {action}"));
            let answer = Answer::ok(pattern(300_000, 1)).gate_at(200_000, &gate);
            site.backend
                .set("/x", answer.header("Cache-Control", "no-store"));
            let mut client = site.client();
            client.send(&Request::get("/x")).unwrap();
            let mut answer = client.receive_header().unwrap();
            client.receive_until(&mut answer, 100).unwrap();
            client.reset();
            wait_for_actions(&site, "/x", 1, &what);
            assert!(holds_for(ms(300), || actions(&site, "/x") == 1), "{what}");
            gate.open();
        }
    }
}
